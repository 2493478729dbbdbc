"""Tumour regions and their GeoJSON: valid, exact, in QuPath's form."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from geojson_support import check_qupath
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.errors import UsageError
from wsi_pipeline.export.decision import Decision, decide
from wsi_pipeline.export.geojson import write_geojson
from wsi_pipeline.export.outlines import tumour_regions
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.stitch.result import Result

MakeResult = Callable[..., Result]


def decision_of(tumour: NDArray[np.bool_], scale: float = 1.0) -> Decision:
    rows, columns = tumour.shape
    step = 10 * scale
    # The last row and column are cut by the slide's edge.
    size = Size(max(1, round(columns * step - 3)), max(1, round(rows * step - 4)))
    grid = Grid(0, size, 1.0, scale, 10, 10, Mpp(0.5, 0.25))
    assert grid.size == Size(columns, rows)
    return Decision(
        probability=np.where(tumour, 0.9, 0.1).astype(np.float32),
        coverage=np.ones(tumour.shape, np.uint8),
        mask=tumour.astype(np.uint8),
        threshold=0.5,
        grid=grid,
        slide=size,
    )


@given(
    hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))),
    st.sampled_from([1.0, 0.93, 1.37]),
)
def test_outlines_are_exactly_the_mask(tumour: NDArray[np.bool_], scale: float) -> None:
    decision = decision_of(tumour, scale)
    regions = tumour_regions(decision)
    assert len(regions) == ndimage.label(tumour, np.ones((3, 3)))[1]
    assert sum(region.cells for region in regions) == tumour.sum()
    assert sum(region.area_mm2 for region in regions) == pytest.approx(decision.tumour_mm2)
    whole = shapely.box(0, 0, decision.slide.width, decision.slide.height)
    px_mm2 = 0.5 * 0.25 / 1e6
    for region in regions:
        assert region.outline.is_valid
        assert whole.covers(region.outline)
        assert region.outline.area * px_mm2 == pytest.approx(region.area_mm2)
    # Every cell's centre is in an outline exactly when it is tumour.
    x = (decision.column_edges[1:] + decision.column_edges[:-1]) / 2
    y = (decision.row_edges[1:] + decision.row_edges[:-1]) / 2
    centres = shapely.points(*np.meshgrid(x, y))
    covered = np.zeros(tumour.shape, bool)
    for region in regions:
        covered |= shapely.contains(region.outline, centres)
    assert np.array_equal(covered, tumour)


def test_outlines_have_corners_only() -> None:
    tumour = np.zeros((5, 5), bool)
    tumour[1:4, 1:4] = True
    tumour[2, 2] = False
    (region,) = tumour_regions(decision_of(tumour))
    assert isinstance(region.outline, shapely.Polygon)
    assert len(region.outline.exterior.coords) == 5
    assert [len(hole.coords) for hole in region.outline.interiors] == [5]


def test_regions_that_touch_at_a_corner_are_one() -> None:
    (region,) = tumour_regions(decision_of(np.eye(3, dtype=bool)))
    assert isinstance(region.outline, shapely.MultiPolygon)
    assert len(region.outline.geoms) == 3


def tiles_with_two_foci() -> NDArray[np.float32]:
    tiles = np.full((7, 10), 0.1, np.float32)
    tiles[1:3, 1:4] = 0.7
    tiles[5:, 8:] = 0.95
    tiles[0, 9] = np.nan
    return tiles


def read(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    check_qupath(value)
    return value


def test_geojson_is_as_qupath_wants_it(make_result: MakeResult, tmp_path: Path) -> None:
    result = make_result(tiles_with_two_foci(), size=Size(990, 680))
    path = tmp_path / "out.geojson"
    write_geojson(result, path)
    features = read(path)["features"]
    assert [f["properties"]["name"] for f in features] == ["Tumor 1", "Tumor 2"]
    first = features[0]
    assert first["properties"]["classification"] == {"name": "Tumor", "color": [200, 0, 0]}
    measured = first["properties"]["measurements"]
    assert measured["Max probability"] == pytest.approx(0.95)
    assert measured["Area mm2"] == pytest.approx(190 * 180 * 0.25 / 1e6)
    # Clipped to the slide, closed, whole px.
    ring = first["geometry"]["coordinates"][0]
    assert sorted(map(tuple, ring[:-1])) == [(800, 500), (800, 680), (990, 500), (990, 680)]
    assert ring[0] == ring[-1]
    assert all(isinstance(value, int) for point in ring for value in point)
    areas = [f["properties"]["measurements"]["Area mm2"] for f in features]
    assert sum(areas) == pytest.approx(result.attributes["tumour_area_mm2"])
    for feature in features:
        assert uuid.UUID(feature["id"]).version == 5
        assert shapely.from_geojson(json.dumps(feature["geometry"])).is_valid
    write_geojson(result, tmp_path / "again.geojson")
    assert (tmp_path / "again.geojson").read_bytes() == path.read_bytes()


def test_geojson_tiles(make_result: MakeResult, tmp_path: Path) -> None:
    result = make_result(tiles_with_two_foci(), size=Size(990, 680))
    write_geojson(result, tmp_path / "out.geojson", tiles=True)
    features = read(tmp_path / "out.geojson")["features"]
    tiles = [f for f in features if f["properties"]["objectType"] == "tile"]
    assert len(tiles) == 69
    assert len({f["id"] for f in features}) == len(features) == 71
    assert tiles[-1]["geometry"]["coordinates"][0][2] == [990, 680]
    assert tiles[-1]["properties"]["measurements"]["prob_tumour"] == pytest.approx(0.95)


def test_geojson_without_tumour_is_empty(make_result: MakeResult, tmp_path: Path) -> None:
    result = make_result(coverage=np.full((7, 10), 2, np.uint8))
    write_geojson(result, tmp_path / "out.geojson", tiles=True)
    assert read(tmp_path / "out.geojson")["features"] == []


def test_another_threshold_gives_other_regions(make_result: MakeResult, tmp_path: Path) -> None:
    result = make_result(tiles_with_two_foci())
    write_geojson(result, tmp_path / "out.geojson", threshold=0.9)
    assert len(read(tmp_path / "out.geojson")["features"]) == 1
    with pytest.raises(UsageError, match="probability"):
        write_geojson(result, tmp_path / "other.geojson", threshold=1.5)


def test_overlapping_and_resampled_grids_agree_with_the_mask(make_result: MakeResult) -> None:
    result = make_result(
        size=Size(4000, 2600), downsamples=(1, 4), level=1, patch=60, stride=25, scale=1.31,
        tiles=np.random.default_rng(2).random((20, 31), np.float32), threshold=0.6,
    )  # fmt: skip
    regions = tumour_regions(decide(result))
    mask = result.mask(0)[...]
    assert sum(r.outline.area for r in regions) == np.count_nonzero(mask == 1) * 16
