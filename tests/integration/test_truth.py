"""Planted rectangles come out where they were planted: at every level, stride and corner."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.geometry import Region
from wsi_pipeline.grid import Grid, make_grid
from wsi_pipeline.run.classification import classify_region
from wsi_pipeline.slide.resolution import choose_resolution
from wsi_pipeline.stitch.cells import stitch_cells
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.stitch.writer import write_store
from wsi_pipeline.testing import ArraySlide, FakePredictor
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.records import make_record
from wsi_pipeline.testing.slides import reduced
from wsi_pipeline.tiles.plan import make_plan

MPP, PATCH = 0.25, 32


@dataclass(frozen=True)
class Analysis:
    """One analysis of a slide with planted rectangles (level-0 px)."""

    slide: ArraySlide
    grid: Grid
    result: Result
    planted: list[Region]


def planted_slide(width: int, height: int, rectangles: list[Region]) -> ArraySlide:
    image = np.full((height, width, 3), NORMAL_COLOUR, np.uint8)
    for box in rectangles:
        image[box.y : box.bottom, box.x : box.right] = TUMOUR_COLOUR
    return ArraySlide([image, reduced(image, 2), reduced(image, 4)], mpp=MPP)


def analyse(
    folder: Path,
    slide: ArraySlide,
    planted: list[Region],
    *,
    mpp: float | None,
    level: int | None,
    stride: int,
) -> Analysis:
    resolution = choose_resolution(slide.info, mpp=mpp, level=level)
    grid = make_grid(slide.info, resolution, patch=PATCH, stride=stride)
    plan = make_plan(slide, grid, min_tissue=0.3, exact=False)
    done = classify_region(slide, FakePredictor(patch_px=PATCH, batch_size=64), grid, plan.cells)
    cells = stitch_cells(plan, [(plan.cells, done.probabilities)])
    write_store(
        folder / "planted.zarr",
        name="planted",
        plan=plan,
        probabilities=done.probabilities,
        cells=cells,
        threshold=0.5,
        levels=slide.info.levels,
        attributes=make_record(grid, slide.info.levels, cells, name="planted").to_json(),
    )
    return Analysis(slide, grid, verify(folder / "planted.zarr"), planted)


def edges(line: NDArray[np.bool_]) -> tuple[int, int]:
    """Where the only run of True begins and ends."""
    places = np.flatnonzero(line)
    assert len(places) == places[-1] - places[0] + 1, "torn apart"
    return int(places[0]), int(places[-1]) + 1


def check(analysis: Analysis, tolerance_0: float) -> None:
    """Every edge of every rectangle, in every level of the mask, to so many level-0 px."""
    grid, levels = analysis.grid, analysis.slide.info.levels
    for index in range(analysis.result.mask_levels):
        level = levels[grid.level + index]
        mask = np.asarray(analysis.result.mask(index)[...])
        assert mask.shape == (level.size.height, level.size.width)
        for box in analysis.planted:
            d = level.downsample
            # Only this rectangle: the others are farther than a patch away.
            far = int(2 * grid.patch_0.x / d)
            x1, y1 = max(0, int(box.x / d) - far), max(0, int(box.y / d) - far)
            x2, y2 = int(box.right / d) + far, int(box.bottom / d) + far
            tumour = mask[y1:y2, x1:x2] == 1
            middle_x, middle_y = (
                int((box.x + box.right) / 2 / d) - x1,
                int((box.y + box.bottom) / 2 / d) - y1,
            )
            left, right = edges(tumour[middle_y])
            top, bottom = edges(tumour[:, middle_x])
            found = np.array([left + x1, top + y1, right + x1, bottom + y1]) * d
            off = np.abs(found - [box.x, box.y, box.right, box.bottom]).max()
            assert off <= tolerance_0 + d, f"{box} in level {index} is off by {off} level-0 px"


RESOLUTIONS = [
    pytest.param(None, 0, id="level 0"),
    pytest.param(None, 1, id="level 1"),
    pytest.param(None, 2, id="level 2"),
    pytest.param(0.35, None, id="reduced 1.4x"),
    pytest.param(0.8, None, id="reduced 1.6x from level 1"),
    pytest.param(0.18, None, id="enlarged"),
]


def cell_0(slide: ArraySlide, mpp: float | None, level: int | None, stride: int) -> float:
    """Side of a cell in level-0 px, from the definition."""
    return stride * (slide.info.levels[level].downsample if level is not None else mpp / MPP)  # type: ignore[operator]  # one is given


@pytest.mark.parametrize(("mpp", "level"), RESOLUTIONS)
@pytest.mark.parametrize("stride", [32, 16, 12])
def test_a_rectangle_anywhere_is_found_to_within_a_stride(
    tmp_path: Path, mpp: float | None, level: int | None, stride: int
) -> None:
    planted = [Region(0, 333, 411, 517, 391), Region(0, 1207, 277, 463, 611)]
    slide = planted_slide(1999, 1301, planted)
    analysis = analyse(tmp_path, slide, planted, mpp=mpp, level=level, stride=stride)
    check(analysis, cell_0(slide, mpp, level, stride))


@pytest.mark.parametrize(("mpp", "level"), RESOLUTIONS)
def test_a_rectangle_on_the_grid_is_found_to_a_px(
    tmp_path: Path, mpp: float | None, level: int | None
) -> None:
    side = cell_0(planted_slide(64, 64, []), mpp, level, PATCH)
    first, last = round(2 * side), round(5 * side)
    planted = [Region(0, first, first, last - first, last - first)]
    slide = planted_slide(round(9.3 * side), round(8.2 * side), planted)
    check(analyse(tmp_path, slide, planted, mpp=mpp, level=level, stride=PATCH), 0)


@pytest.mark.parametrize("mpp", [0.25, MPP * 350 / 299])
def test_nothing_drifts_across_a_large_slide(tmp_path: Path, mpp: float) -> None:
    side = PATCH * mpp / MPP
    width, height = 6301, 6107
    columns, rows = int(width / side), int(height / side)
    corners = [(x, y) for x in (1, columns // 2, columns - 5) for y in (1, rows // 2, rows - 5)]
    planted = [
        Region(
            0,
            round(x * side),
            round(y * side),
            round((x + 3) * side) - round(x * side),
            round((y + 3) * side) - round(y * side),
        )
        for x, y in corners
    ]
    slide = planted_slide(width, height, planted)
    analysis = analyse(tmp_path, slide, planted, mpp=mpp, level=None, stride=PATCH)
    check(analysis, 0.5)
    # The last row and column are there: every px of the slide was decided.
    assert analysis.grid.size.width == columns + 1
    assert analysis.grid.size.height == rows + 1
    for index in range(analysis.result.mask_levels):
        mask = np.asarray(analysis.result.mask(index)[...])
        assert set(np.unique(mask[-1])) <= {0, 255}
        assert mask.shape == slide.read(_whole(slide, index)).shape[:2]


def _whole(slide: ArraySlide, level: int) -> Region:
    size = slide.info.levels[level].size
    return Region(level, 0, 0, size.width, size.height)


def test_tumour_in_the_last_row_and_column_is_found(tmp_path: Path) -> None:
    # 24 of 32 px of the last cells are slide: enough tissue.
    width, height = 20 * PATCH + 24, 15 * PATCH + 24
    planted = [Region(0, width - 120, height - 120, 120, 120)]
    slide = planted_slide(width, height, planted)
    result = analyse(tmp_path, slide, planted, mpp=None, level=0, stride=PATCH).result
    mask = np.asarray(result.mask(0)[...])
    assert result.coverage.shape == (16, 21)
    assert mask[height - PATCH - 24 - 1, width - 1] == 1
    assert mask[height - 1, width - PATCH - 24 - 1] == 1
    assert mask[0, width - 1] == 0


@pytest.mark.parametrize(
    ("mpp", "level", "stride"), [(None, 0, 32), (None, 1, 16), (0.35, None, 32)]
)
def test_coordinates_land_on_the_tissue(
    tmp_path: Path, mpp: float | None, level: int | None, stride: int
) -> None:
    """In µm, by nothing but what the OME metadata say."""
    side = cell_0(planted_slide(64, 64, []), mpp, level, stride)
    first, last = round(8 * side), round(16 * side)
    box = Region(0, first, first, last - first, last - first)
    slide = planted_slide(round(24 * side), round(22 * side), [box])
    result = analyse(tmp_path, slide, [box], mpp=mpp, level=level, stride=stride).result
    # The centres of the rectangle's px, in µm: the centre of px i is i px from the origin.
    truth = (box.x + box.right - 1) / 2 * MPP
    root = result._root
    layers: list[tuple[str, float]] = [("", 0.5), ("labels/tumour", 1)]
    for path, positive in layers:
        group: Any = root[path] if path else root
        (entry,) = group.attrs["ome"]["multiscales"]
        assert [axis["name"] for axis in entry["axes"]] == ["y", "x"]
        for dataset in entry["datasets"]:
            scale, translation = (
                np.array(item[item["type"]]) for item in dataset["coordinateTransformations"]
            )
            values = group[dataset["path"]][...]
            found = (values == positive) if path else values >= positive
            centre = np.argwhere(found).mean(axis=0) * scale + translation
            assert np.abs(centre - truth).max() <= 1.01 * MPP * max(1, side / 64) + scale.max() / 2
            length = found.any(axis=0).sum() * scale[1]
            assert abs(length - (last - first) * MPP) <= 2 * scale[1]
