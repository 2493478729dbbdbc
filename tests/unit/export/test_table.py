"""The tile table: every tile once, in order, null where nothing is known."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet

from wsi_pipeline.export.table import tile_table, write_csv, write_parquet
from wsi_pipeline.geometry import Size
from wsi_pipeline.stitch.result import Result

MakeResult = Callable[..., Result]

COLUMNS = ["x", "y", "width", "height", "tissue", "prob_tumour", "tumour"]


def sample(make_result: MakeResult) -> Result:
    tiles = np.random.default_rng(1).random((7, 10), np.float32)
    tiles[2, 3] = np.nan
    tiles[0, 0] = 0.5
    coverage = np.ones((7, 10), np.uint8)
    coverage[6] = 2
    return make_result(tiles, coverage=coverage)


def test_csv_round_trip(make_result: MakeResult, tmp_path: Path) -> None:
    result = sample(make_result)
    write_csv(result, tmp_path / "tiles.csv")
    with (tmp_path / "tiles.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS
    stored = result.tile_table()
    assert len(rows) == len(stored["x"]) == 60
    assert [int(row["x"]) for row in rows] == stored["x"].tolist()
    assert [int(row["y"]) for row in rows] == stored["y"].tolist()
    read = np.array([row["prob_tumour"] or "nan" for row in rows], np.float32)
    np.testing.assert_array_equal(read, stored["probability"])
    lost = rows[23]
    assert (lost["x"], lost["y"], lost["prob_tumour"], lost["tumour"]) == ("300", "200", "", "")
    assert rows[0]["tumour"] == "1"
    assert {row["width"] for row in rows} == {"100"}


def test_parquet_round_trip(make_result: MakeResult, tmp_path: Path) -> None:
    result = sample(make_result)
    write_parquet(result, tmp_path / "tiles.parquet", threshold=0.8)
    table = pyarrow.parquet.read_table(tmp_path / "tiles.parquet")
    assert table.column_names == COLUMNS
    assert table.equals(tile_table(result, 0.8))
    assert table["prob_tumour"].null_count == table["tumour"].null_count == 1
    about = json.loads(table.schema.metadata[b"wsi_pipeline"])
    assert about["threshold"] == 0.8
    assert about["slide"]["name"] == "slide-7"
    assert b"level-0 px" in table.schema.field("x").metadata[b"meaning"]


def test_patches_may_be_larger_than_cells(make_result: MakeResult) -> None:
    result = make_result(size=Size(1000, 700), level=1, patch=50, stride=25)
    assert set(tile_table(result)["width"].to_pylist()) == {200}


def test_no_tiles(make_result: MakeResult, tmp_path: Path) -> None:
    result = make_result(coverage=np.full((7, 10), 2, np.uint8))
    write_csv(result, tmp_path / "tiles.csv")
    assert (tmp_path / "tiles.csv").read_text() == ",".join(COLUMNS) + "\n"
    write_parquet(result, tmp_path / "tiles.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "tiles.parquet").num_rows == 0
