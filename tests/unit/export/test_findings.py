"""What a result says, against cells whose answer is known beforehand."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from features_support import feature_result
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_pipeline.export.decision import decide
from wsi_pipeline.export.findings import BINS, LARGEST, Findings, find
from wsi_pipeline.export.geojson import write_geojson
from wsi_pipeline.export.outlines import tumour_regions
from wsi_pipeline.export.regions import find_regions
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.stitch.alarm import Alarm
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.tiles.plan import Coverage

MakeResult = Callable[..., Result]


def cells(*rows: str) -> NDArray[np.float32]:
    """Tenths, one character a cell."""
    return np.array([[int(c) / 10 for c in row] for row in rows], np.float32)


GRID = cells(
    "0000000000",
    "0990000000",
    "0990000050",
    "0000000000",
    "0077770000",
    "0000000000",
    "0000000001",
)


def test_numbers_are_those_of_the_cells(make_result: MakeResult) -> None:
    found = find(make_result(GRID))
    cell_mm2 = (100 * 0.5) ** 2 / 1e6
    assert found.slide_score == pytest.approx(0.9)
    assert found.threshold == 0.5
    assert found.tiles == 70
    assert found.tumour_area_mm2 == pytest.approx(9 * cell_mm2)
    assert found.tissue_area_mm2 == pytest.approx(70 * cell_mm2)
    assert found.tumour_percent == pytest.approx(900 / 70, abs=1e-4)
    assert found.coverage["classified"] == 70
    assert found.warnings == ("odd",)


def test_regions_are_placed_in_px_and_um(make_result: MakeResult) -> None:
    found = find(make_result(GRID, mpp=Mpp(0.5, 0.25)))
    assert found.regions == 3
    block, line, single = sorted(found.largest_regions, key=lambda region: region.number)
    assert [region.number for region in (block, line, single)] == [1, 2, 3]
    assert (block.box_px.x, block.box_px.y, block.box_px.width, block.box_px.height) == (
        100, 100, 200, 200,
    )  # fmt: skip
    assert (block.box_um.x, block.box_um.y, block.box_um.width, block.box_um.height) == (
        50, 25, 100, 50,
    )  # fmt: skip
    assert (block.centroid_px.x, block.centroid_px.y) == (200, 200)
    assert (block.centroid_um.x, block.centroid_um.y) == (100, 50)
    assert (line.centroid_px.x, line.centroid_px.y) == (400, 450)
    assert (single.box_px.x, single.box_px.y) == (800, 200)
    assert (block.cells, line.cells, single.cells) == (4, 4, 1)
    assert block.mean_probability == block.max_probability == pytest.approx(0.9)
    assert block.area_mm2 == pytest.approx(4 * 50 * 25 / 1e6)


def test_the_largest_come_first_and_end_at_the_slides_edge(make_result: MakeResult) -> None:
    grid = np.zeros((9, 12), np.float32)
    grid[0, 0], grid[4, 4:7], grid[8, 11] = 0.99, 0.6, 0.99
    found = find(make_result(grid, size=Size(1150, 820)))
    assert [region.cells for region in found.largest_regions] == [3, 1, 1]
    corner = found.largest_regions[-1]
    assert (corner.box_px.width, corner.box_px.height) == (50, 20)
    assert (corner.centroid_px.x, corner.centroid_px.y) == (1125, 810)
    assert corner.area_mm2 == pytest.approx(50 * 20 * 0.25 / 1e6)


def test_only_so_many_are_described(make_result: MakeResult) -> None:
    grid = np.zeros((20, 30), np.float32)
    grid[::2, ::2] = 0.8
    grid[0, :3] = 0.8
    found = find(make_result(grid, size=Size(3000, 2000)))
    assert found.regions == 149
    assert len(found.largest_regions) == LARGEST
    assert found.largest_regions[0].cells == 3


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
@settings(max_examples=25)
def test_regions_are_those_of_the_outlines(
    make_result: MakeResult, seed: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    tiles = np.where(rng.random((14, 18)) < share, rng.random((14, 18)), 0).astype(np.float32)
    result = make_result(tiles, size=Size(1750, 1333), name=uuid.uuid4().hex)
    decision = decide(result)
    found, outlines = find(result), tumour_regions(decision)
    assert found.regions == len(outlines) == len(find_regions(decision))
    assert found.tumour_area_mm2 == pytest.approx(sum(o.area_mm2 for o in outlines), abs=1e-5)
    for region in found.largest_regions:
        outline = outlines[region.number - 1]
        left, top, right, bottom = outline.outline.bounds
        box = region.box_px
        assert (box.x, box.y, box.x + box.width, box.y + box.height) == (left, top, right, bottom)
        assert region.cells == outline.cells
        assert region.area_mm2 == pytest.approx(outline.area_mm2, abs=1e-6)
        assert region.centroid_px.x == pytest.approx(outline.outline.centroid.x, abs=1e-3)
        assert region.centroid_px.y == pytest.approx(outline.outline.centroid.y, abs=1e-3)
    areas = [region.area_mm2 for region in found.largest_regions]
    assert areas == sorted(areas, reverse=True)


def test_numbers_of_regions_are_the_names_in_the_geojson(
    make_result: MakeResult, tmp_path: Path
) -> None:
    result = make_result(GRID)
    write_geojson(result, tmp_path / "r.geojson")
    features = json.loads((tmp_path / "r.geojson").read_text())["features"]
    names = {f["properties"]["name"]: f["properties"]["measurements"] for f in features}
    for region in find(result).largest_regions:
        assert names[f"Tumor {region.number}"]["Area mm2"] == region.area_mm2


def test_the_histogram_counts_every_classified_cell(make_result: MakeResult) -> None:
    grid = np.linspace(0, 1, 70, dtype=np.float32).reshape(7, 10)
    coverage = np.full((7, 10), Coverage.CLASSIFIED, np.uint8)
    coverage[0, :5] = Coverage.GLASS
    found = find(make_result(grid, coverage=coverage))
    assert len(found.histogram) == BINS
    assert sum(found.histogram) == 65
    expected, _ = np.histogram(grid.ravel()[5:], BINS, (0, 1))
    assert list(found.histogram) == expected.tolist()
    assert found.histogram[-1] >= 1, "1.0 belongs to the last bin"


def test_a_slide_without_tumour_or_tissue(make_result: MakeResult) -> None:
    found = find(make_result(np.zeros((7, 10), np.float32)))
    assert (found.regions, found.largest_regions, found.tumour_area_mm2) == (0, (), 0)
    nothing = np.full((7, 10), Coverage.GLASS, np.uint8)
    found = find(make_result(np.zeros((7, 10), np.float32), coverage=nothing, name="b"))
    assert (found.slide_score, found.tumour_percent, sum(found.histogram)) == (None, None, 0)


def test_it_says_what_the_result_can_be_exported_as(
    make_result: MakeResult, tmp_path: Path
) -> None:
    of_classes = ("heatmap", "geojson", "csv", "wsinfer-csv", "parquet", "tiff", "zip")
    assert find(make_result(GRID)).exports == of_classes
    assert find(feature_result(tmp_path / "features.zarr")).exports == ("h5", "h5ad", "zip")


def test_it_is_json_and_names_no_slide(make_result: MakeResult) -> None:
    found = find(make_result(GRID, name="DOE^JANE"))
    text = json.dumps(found.to_json(), allow_nan=False)
    assert "DOE" not in text
    provenance = json.loads(text)["provenance"]
    assert provenance["slide"]["sha256"] == "ab" * 32
    assert provenance["model"]["sha256"] == "cd" * 32
    assert provenance["fingerprint"] == "ef" * 32
    assert provenance["grid"]["columns"] == 10
    assert set(json.loads(text)) == set(Findings.__dataclass_fields__)


def test_results_older_than_controls_still_open(make_result: MakeResult) -> None:
    found = find(make_result(GRID))
    assert (found.controls, found.colours) == (None, None)
    message = "3 cells of tissue could not be read"
    assert found.alarms == (Alarm("unreadable-tissue", message),)
