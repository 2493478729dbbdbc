"""A file of features knows the result that it was made of."""

from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from features_support import feature_result

from wsi_pipeline.features import origin
from wsi_pipeline.features.annotated import write_anndata
from wsi_pipeline.features.hdf5 import write_hdf5
from wsi_pipeline.features.origin import is_of
from wsi_pipeline.stitch.result import Result

Write = Callable[[Result, Path], None]


@pytest.fixture(params=[write_hdf5, write_anndata])
def write(request: pytest.FixtureRequest) -> Write:
    chosen: Write = request.param
    return chosen


def test_it_is_of_its_own_result_alone(write: Write, tmp_path: Path) -> None:
    one, other = (feature_result(tmp_path / f"{seed}.zarr", seed=seed) for seed in (1, 2))
    path = tmp_path / "file"
    assert not is_of(path, one)
    write(one, path)
    assert is_of(path, one)
    assert not is_of(path, other)


def test_what_was_cut_off_or_is_laid_out_otherwise_is_none(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, path = feature_result(tmp_path / "s.zarr"), tmp_path / "file"
    write(result, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert not is_of(path, result)
    path.write_bytes(b"no HDF5")
    assert not is_of(path, result)
    with h5py.File(path, "w") as file:
        file["features"] = [1.0]
    assert not is_of(path, result)
    path.write_bytes(whole)
    assert is_of(path, result)
    monkeypatch.setattr(origin, "_REVISION", 2)
    assert not is_of(path, result)
