"""Features of a slide, from a result store, a ZIP of one and an HDF5 file alike."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from features_support import LOST, feature_result

from wsi_pipeline.errors import TrainingError
from wsi_pipeline.export.archive import write_zip
from wsi_pipeline.features.bag import TileMark
from wsi_pipeline.features.bag_files import open_bag
from wsi_pipeline.features.hdf5 import write_hdf5
from wsi_pipeline.stitch.result import Result

#: Puts the features of a result into a file of one kind; where it is.
Write = Callable[[Result], Path]


def _store(result: Result) -> Path:
    return result.path


def _zip(result: Result) -> Path:
    path = result.path.with_suffix(".zarr.zip")
    write_zip(result, path)
    return path


def _hdf5(result: Result) -> Path:
    path = result.path.with_suffix(".h5")
    write_hdf5(result, path)
    return path


@pytest.fixture(params=[_store, _zip, _hdf5])
def write(request: pytest.FixtureRequest) -> Write:
    chosen: Write = request.param
    return chosen


def test_it_gives_what_could_be_read(write: Write, tmp_path: Path) -> None:
    result = feature_result(tmp_path / "s.zarr")
    stored, table = np.asarray(result.features()[...]), result.tile_table()
    file = open_bag(write(result))
    assert file.features == 4
    assert (file.encoder.name, file.encoder.sha256) == ("small", result.model.sha256)
    assert file.tiles == TileMark(32, 0.25)
    bag = file.read()
    known = np.delete(np.arange(len(stored)), LOST)
    assert bag.features.dtype == np.float32
    assert np.array_equal(bag.features, stored[known])
    assert bag.coords_0.dtype == np.int64
    assert np.array_equal(bag.coords_0, np.stack([table["x"], table["y"]], axis=1)[known])


def test_its_hash_is_that_of_the_features(write: Write, tmp_path: Path) -> None:
    one, other = (
        open_bag(write(feature_result(tmp_path / f"{seed}.zarr", seed=seed))) for seed in (1, 2)
    )
    assert len(one.sha256()) == 64
    assert one.sha256() == open_bag(one.path).sha256()
    assert one.sha256() != other.sha256()


def test_what_is_damaged_is_refused_by_its_name(write: Write, tmp_path: Path) -> None:
    path = write(feature_result(tmp_path / "s.zarr", size=64))
    if path.is_dir():
        path = max((path / "features").rglob("*"), key=lambda one: one.stat().st_size)
    content = bytearray(path.read_bytes())
    del content[len(content) // 2 :]
    path.write_bytes(content)
    named = tmp_path / "s.zarr" if path.is_relative_to(tmp_path / "s.zarr") else path
    with pytest.raises(TrainingError) as error:
        open_bag(named).sha256()
    assert str(error.value).startswith(f"{named}: ")


def test_what_holds_no_features_is_refused_by_its_name(tmp_path: Path) -> None:
    empty = tmp_path / "empty.zarr"
    empty.mkdir()
    other, text = tmp_path / "other.h5", tmp_path / "text.h5"
    with h5py.File(other, "w") as file:
        file["features"] = np.zeros((3, 4), np.float32)
    text.write_text("no HDF5")
    for path in (empty, other, text):
        with pytest.raises(TrainingError) as error:
            open_bag(path)
        assert str(error.value).startswith(f"{path}: ")


def test_files_of_trident_have_one_axis_more_and_no_hash(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    values = np.arange(12, dtype=np.float16).reshape(1, 3, 4)
    with h5py.File(path, "w") as file:
        file["features"] = values
        file["features"].attrs["encoder"] = np.bytes_("uni_v1")
        file["coords"] = np.arange(6).reshape(1, 3, 2)
        file["coords"].attrs.update({"patch_size": 256, "target_magnification": 20})
    file = open_bag(path)
    assert (file.encoder.name, file.encoder.sha256) == ("uni_v1", "")
    # The encoder is given patches of another size than those that are cut.
    assert file.tiles == TileMark(None, 0.5)
    assert np.array_equal(file.read().features, values[0])


@pytest.mark.parametrize("told", [{}, {"target_magnification": "?"}, {"target_magnification": 0}])
def test_a_file_need_not_say_how_its_tiles_were_cut(
    tmp_path: Path, told: dict[str, object]
) -> None:
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as file:
        file["features"] = np.zeros((3, 4), np.float32)
        file["coords"] = np.zeros((3, 2), np.int64)
        file["coords"].attrs.update(told)
        file.attrs["wsi_pipeline"] = "no JSON"
    assert open_bag(path).tiles == TileMark()
