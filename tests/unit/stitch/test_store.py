"""A store gives back what was written, and no damage to it goes unnoticed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from wsi_pipeline.errors import ResultError
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.info import Level
from wsi_pipeline.stitch import layout
from wsi_pipeline.stitch.cells import stitch_cells
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.stitch.writer import publish, write_store
from wsi_pipeline.tiles.plan import Coverage, Plan

MakeStore = Callable[..., Result]


def chunk_files(path: Path) -> list[Path]:
    return sorted(f for f in path.rglob("*") if f.is_file() and f.name != "zarr.json")


def array_of(chunk: Path, store: Path) -> str:
    return str(chunk.relative_to(store)).split("/c/")[0]


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    facts = json.loads(path.read_text(encoding="utf-8"))
    change(facts)
    path.write_text(json.dumps(facts), encoding="utf-8")


def test_what_is_written_comes_back(make_store: MakeStore) -> None:
    result = verify(make_store().path)
    shape = (27, 41)
    assert result.probability.shape == result.coverage.shape == shape
    assert result.probability.dtype == np.float32
    classified = result.coverage == Coverage.CLASSIFIED
    assert np.array_equal(~np.isnan(result.probability), classified)
    assert (result.name, result.threshold, result.mpp_0) == ("a", 0.5, Mpp(0.5, 0.25))
    assert result.mask_levels == 2
    mask = np.asarray(result.mask(0)[...])
    assert mask.shape == (403, 611)
    assert result.mask(1).shape == (100, 152)
    decided = np.where(classified, result.probability >= 0.5, 255)
    assert np.array_equal(mask, decided.repeat(15, 0).repeat(15, 1)[:403, :611])
    table = result.tile_table()
    assert len({len(column) for column in table.values()}) == 1
    assert np.isnan(table["probability"][:5]).all()
    assert (table["x"] % 15 == 0).all()
    assert table["x"].max() < 611


def test_the_grids_pyramid_keeps_the_largest_probability(make_store: MakeStore) -> None:
    result = make_store()
    fine, coarse = (np.asarray(result.array(name)[...]) for name in "01")
    assert coarse.shape == (14, 21)
    assert np.nanmax(coarse) == np.nanmax(fine)
    assert coarse[0, 0] == np.nanmax(fine[:2, :2])
    assert coarse[13, 20] == fine[26, 40] or np.isnan(fine[26, 40])


def test_every_flipped_or_lost_chunk_is_found_and_named(make_store: MakeStore) -> None:
    store = make_store().path
    chunks = chunk_files(store)
    assert len(chunks) > 20
    assert len({array_of(chunk, store) for chunk in chunks}) == 10
    rng = np.random.default_rng(0)
    for chunk in chunks:
        whole = chunk.read_bytes()
        flipped = bytearray(whole)
        flipped[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        for damaged in (bytes(flipped), None):
            chunk.unlink()
            if damaged is not None:
                chunk.write_bytes(damaged)
            with pytest.raises(ResultError, match="damaged") as caught:
                verify(store)
            assert array_of(chunk, store) in caught.value.cause
        chunk.write_bytes(whole)
    verify(store)


def test_all_damage_is_named_at_once(make_store: MakeStore) -> None:
    store = make_store().path
    shutil.rmtree(store / "tiles" / "x")
    (store / "labels" / "coverage" / "0" / "c" / "0" / "0").unlink()
    with pytest.raises(ResultError) as caught:
        verify(store)
    assert "tiles/x (missing or damaged)" in caught.value.cause
    assert "labels/coverage/0" in caught.value.cause
    assert "tumour" not in caught.value.cause


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.update(threshold=0.9),
        lambda facts: facts["slide"].update(name="another"),
        lambda facts: facts["arrays"].pop("0"),
        lambda facts: facts["arrays"].update({"0": "0" * 64}),
        lambda facts: facts.update(more=1),
        lambda facts: facts.pop("arrays"),
        lambda facts: facts.update(arrays=[]),
    ],
)
def test_altered_attributes_are_found(
    make_store: MakeStore, change: Callable[[dict[str, Any]], object]
) -> None:
    store = make_store().path
    edit(store / "zarr.json", lambda meta: change(meta["attributes"]["wsi_pipeline"]))
    with pytest.raises(ResultError, match="attributes were altered"):
        verify(store)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("tiles/x/zarr.json", lambda meta: meta.update(data_type="float64")),
        ("labels/tumour/zarr.json", lambda meta: meta["attributes"].clear()),
        ("labels/coverage/0/zarr.json", lambda meta: meta.update(fill_value=2)),
        ("ome", lambda meta: meta["multiscales"][0].update(name="another")),
    ],
)
def test_altered_metadata_are_found_and_named(
    make_store: MakeStore, file: str, change: Callable[[dict[str, Any]], object]
) -> None:
    store = make_store().path
    if file == "ome":
        edit(store / "zarr.json", lambda meta: change(meta["attributes"]["ome"]))
    else:
        edit(store / file, change)
    with pytest.raises(ResultError) as caught:
        verify(store)
    assert f"{file} (altered or missing)" in caught.value.cause


def test_image_and_labels_have_equally_many_levels(make_store: MakeStore) -> None:
    names = make_store().attributes["arrays"]
    counts = {
        place: sum(name.rpartition("/")[0] == place for name in names)
        for place in ("", "labels/tumour", "labels/coverage")
    }
    assert set(counts.values()) == {2}


def test_no_fill_value_is_ever_legal(make_store: MakeStore) -> None:
    result = make_store()
    legal = {
        "labels/tumour": {0, 1, 255},
        "labels/coverage": {int(item) for item in Coverage},
    }
    for name in result.attributes["arrays"]:
        fill = result.array(name).fill_value
        values = next((v for k, v in legal.items() if name.startswith(k)), None)
        if values is None:
            assert fill < 0, name  # neither a probability, nor NaN, nor a position
        else:
            assert int(fill) not in values, name


def test_empty_stores_and_other_things_are_no_results(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="is not a result"):
        Result(tmp_path / "absent.zarr")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ResultError, match="is not a result"):
        Result(tmp_path / "folder")
    zarr.create_group(tmp_path / "other.zarr", zarr_format=3)
    with pytest.raises(ResultError, match="not a complete one"):
        Result(tmp_path / "other.zarr")


def test_a_result_of_another_format_is_refused(make_store: MakeStore) -> None:
    store = make_store().path
    edit(
        store / "zarr.json",
        lambda meta: meta["attributes"]["wsi_pipeline"].update(format=layout.FORMAT_VERSION + 1),
    )
    with pytest.raises(ResultError, match="use the version that made it"):
        Result(store)


def test_publishing_replaces_nothing(make_store: MakeStore, tmp_path: Path) -> None:
    one, other = make_store("one").path, make_store("other").path
    publish(one, tmp_path / "final.zarr")
    assert not one.exists()
    verify(tmp_path / "final.zarr")
    with pytest.raises(ResultError, match="exists already"):
        publish(other, tmp_path / "final.zarr")
    assert other.exists()


def test_a_store_without_a_tile_is_whole(tmp_path: Path) -> None:
    grid = Grid(0, Size(100, 50), 1.0, 1.0, 20, 20, Mpp(1, 1))
    none = np.empty((0, 2), np.int64)
    coverage = np.full((3, 5), Coverage.GLASS, np.uint8)
    plan = Plan(grid, none, np.empty(0, np.float32), coverage, 0, none)
    write_store(
        tmp_path / "empty.zarr",
        name="a",
        plan=plan,
        probabilities=np.empty(0, np.float32),
        cells=stitch_cells(plan, [(plan.cells, np.empty(0, np.float32))]),
        threshold=0.5,
        levels=(Level(Size(100, 50), 1.0),),
        attributes={"slide": {"name": "a"}},
    )
    result = verify(tmp_path / "empty.zarr")
    assert (np.asarray(result.mask(0)[...]) == 255).all()
    assert len(result.tile_table()["x"]) == 0
