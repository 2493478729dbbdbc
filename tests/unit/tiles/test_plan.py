"""Which tiles are classified, in which order, and what is said of the others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_pipeline.geometry import Mpp, Region
from wsi_pipeline.grid import Grid
from wsi_pipeline.testing import ArraySlide
from wsi_pipeline.testing.slides import reduced
from wsi_pipeline.tiles import plan as module
from wsi_pipeline.tiles.plan import CONTROLS, Coverage, Plan, make_plan, spread

PATCH = 40
GLASS, TISSUE = (240, 240, 240), (170, 110, 160)


def slide_of(image: NDArray[np.uint8], **options: object) -> ArraySlide:
    return ArraySlide([image, reduced(image, 4)], **options)  # type: ignore[arg-type]  # passed on


def glass(width: int = 400, height: int = 320) -> NDArray[np.uint8]:
    return np.full((height, width, 3), GLASS, np.uint8)


def planned(slide: ArraySlide, *, exact: bool = False, stride: int = PATCH) -> Plan:
    grid = Grid(0, slide.info.size, 1.0, 1.0, PATCH, stride, Mpp(0.5, 0.5))
    return make_plan(slide, grid, min_tissue=0.3, exact=exact)


@given(st.integers(0, 2**32 - 1), st.sampled_from([40, 20]))
@settings(max_examples=30)
def test_fast_and_exact_agree(seed: int, stride: int) -> None:
    rng = np.random.default_rng(seed)
    image = glass()
    for _ in range(12):
        x, y = int(rng.integers(0, 400)), int(rng.integers(0, 320))
        width, height = rng.integers(4, 150, 2)
        image[y : y + height, x : x + width] = rng.integers(100, 200, 3)
    slide = slide_of(image)
    fast, exact = planned(slide, stride=stride), planned(slide, exact=True, stride=stride)
    assert np.array_equal(fast.cells, exact.cells)
    assert np.array_equal(fast.coverage, exact.coverage)
    assert exact.settled == exact.grid.size.area
    assert fast.settled < exact.settled


def test_clear_glass_and_solid_tissue_are_never_read() -> None:
    image = glass()
    image[:160, :200] = TISSUE
    slide = slide_of(image)
    plan = planned(slide)
    assert len(plan) == 5 * 4
    assert (plan.tissue == 1).all()
    assert plan.settled == 0
    assert plan.reads_saved == 80
    assert {region.level for region in slide.reads} == {1}


def test_the_rule_is_at_least_30_percent() -> None:
    for share, chosen in ((0.3, 1), (0.275, 0)):
        image = glass()
        image[40:80, 40 : 40 + round(PATCH * share)] = TISSUE
        plan = planned(slide_of(image))
        assert len(plan) == chosen
        assert plan.settled >= 1
        if chosen:
            assert plan.tissue[0] == np.float32(0.3)
            assert plan.cells.tolist() == [[1, 1]]


def test_every_cell_says_why() -> None:
    image = glass()
    image[:80, :80] = TISSUE
    image[240:] = 0
    seen = np.ones(image.shape[:2], np.bool_)
    seen[:, 360:] = False
    plan = planned(slide_of(image, scanned=[seen, seen[::4, ::4]]))
    expected = np.full((8, 10), Coverage.GLASS)
    expected[:2, :2] = Coverage.CLASSIFIED
    expected[6:] = Coverage.EMPTY
    expected[:, 9] = Coverage.EMPTY
    assert np.array_equal(plan.coverage, expected)


@pytest.mark.parametrize("exact", [True, False])
def test_tissue_that_cannot_be_read_is_named(exact: bool) -> None:
    image = glass()
    image[80:120, 80:96] = TISSUE  # 40 % of one tile: its own px have to decide
    image[200:240, 200:240] = TISSUE
    slide = slide_of(image, unreadable=[Region(0, 90, 90, 5, 5)])
    plan = planned(slide, exact=exact)
    assert plan.unreadable.tolist() == [[2, 2]]
    assert plan.coverage[2, 2] == Coverage.UNREADABLE
    assert plan.cells.tolist() == [[5, 5]]


def test_the_order_is_by_equal_strips_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STRIP_PX", 4 * PATCH)
    image = np.full((160, 400, 3), TISSUE, np.uint8)
    plan = planned(slide_of(image))
    # Of ten columns, at most four to a strip.
    key = [(column * 3 // 10, row, column) for column, row in plan.cells.tolist()]
    assert key == sorted(key)
    assert len(key) == 40


def test_equal_plans_have_equal_hashes() -> None:
    image = np.full((160, 400, 3), TISSUE, np.uint8)
    slide = slide_of(image)
    one, same = planned(slide), planned(slide)
    image[:80] = GLASS
    other, finer = planned(slide_of(image)), planned(slide, stride=20)
    assert one.sha256 == same.sha256
    assert len({one.sha256, other.sha256, finer.sha256}) == 3


def test_a_slide_of_one_level_is_decided_from_its_own_px() -> None:
    image = glass()
    image[:80, :80] = TISSUE
    image[240:] = 0
    slide = ArraySlide([image])
    plan = planned(slide)
    assert plan.settled == 80
    assert len(plan) == 4
    assert (plan.coverage[6:] == Coverage.EMPTY).all()
    assert np.array_equal(plan.coverage, planned(slide_of(image)).coverage)


def test_what_was_not_scanned_is_empty_without_a_coarse_level_too() -> None:
    image = glass()
    image[:80, :80] = TISSUE
    scanned = np.ones((320, 400), bool)
    scanned[:, 320:] = False
    plan = planned(ArraySlide([image], scanned=[scanned]))
    assert (plan.coverage[:, 8:] == Coverage.EMPTY).all()
    assert (plan.coverage[2:, :8] == Coverage.GLASS).all()
    assert len(plan) == 4


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("coarse", [False, True])
def test_tissue_outside_the_scanned_bounds_is_none(*, exact: bool, coarse: bool) -> None:
    """Bounds cut through the third column of tiles: a quarter of each of its tiles is inside."""
    image = glass()
    image[:80] = TISSUE
    bounds = Region(0, 0, 0, 90, 320)
    slide = slide_of(image, bounds=bounds) if coarse else ArraySlide([image], bounds=bounds)
    plan = planned(slide, exact=exact)
    assert sorted(map(tuple, plan.cells.tolist())) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert (plan.coverage[:, 3:] == Coverage.EMPTY).all()


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    slide = slide_of(glass())
    grid = Grid(0, slide.info.size, 1.0, 1.0, PATCH, PATCH, Mpp(0.5, 0.5))
    make_plan(
        slide,
        grid,
        min_tissue=0.3,
        exact=True,
        progress=lambda done, all_: told.append((done, all_)),
    )
    assert told == [(64, 80), (80, 80)]


def test_the_last_row_and_column_are_planned() -> None:
    image = np.full((330, 415, 3), TISSUE, np.uint8)
    plan = planned(slide_of(image))
    assert plan.coverage.shape == (9, 11)
    # 15 of 40 px wide is enough tissue, 10 of 40 px high is not.
    assert (plan.coverage[:8] == Coverage.CLASSIFIED).all()
    assert (plan.coverage[8] == Coverage.GLASS).all()


@pytest.mark.parametrize("factor", [16, 32])
def test_tissue_at_the_edge_of_every_tile_is_found(factor: int) -> None:
    """Px of the overview that a patch only cuts may hold all their tissue inside it."""
    side = 299
    image = np.full((side * 4 + 100, side * 6 + 100, 3), GLASS, np.uint8)
    for column in range(7):
        image[:, side * column : side * column + 100] = (220, 195, 215)
    slide = ArraySlide([image, reduced(image, factor)])
    grid = Grid(0, slide.info.size, 1.0, 1.0, side, side, Mpp(0.5, 0.5))
    fast, exact = (make_plan(slide, grid, min_tissue=0.3, exact=e) for e in (False, True))
    assert np.array_equal(fast.cells, exact.cells)
    assert len(fast) == 28


@given(st.integers(0, 500), st.integers(0, 70))
def test_what_is_spread_is_evenly_apart(total: int, count: int) -> None:
    chosen = spread(total, count)
    assert len(chosen) == min(total, count)
    if len(chosen):
        gaps = np.diff(np.concatenate([[-chosen[0] - 1], chosen, [2 * total - chosen[-1] - 1]]))
        assert gaps.min() >= 1
        assert gaps.max() <= 2 * -(-total // len(chosen))


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("coarse", [False, True])
def test_controls_are_clean_glass_all_over_the_slide(*, exact: bool, coarse: bool) -> None:
    image = glass(415, 330)
    image[:160, :200] = TISSUE
    image[200:206, 240:400] = TISSUE  # too little to be classified, too much to be clean
    image[280:] = 0
    plan = planned(slide_of(image) if coarse else ArraySlide([image]), exact=exact)
    controls = plan.controls.tolist()
    assert len(controls) == CONTROLS
    assert len({tuple(cell) for cell in controls}) == CONTROLS
    for column, row in controls:
        assert plan.coverage[row, column] == Coverage.GLASS
        px = image[row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH]
        assert px.shape == (PATCH, PATCH, 3), "reaches over the edge"
        assert (px == GLASS).all()
    columns, rows = np.array(controls).T
    assert np.ptp(rows) >= 4
    assert np.ptp(columns) >= 4
    assert np.array_equal(planned(slide_of(image)).controls, planned(slide_of(image)).controls)


def test_controls_are_no_tiles() -> None:
    image = glass()
    image[:160, :200] = TISSUE
    plan = planned(slide_of(image))
    tiles = {tuple(cell) for cell in plan.cells.tolist()}
    assert not tiles & {tuple(cell) for cell in plan.controls.tolist()}
    assert len(plan) == 20
    assert np.count_nonzero(plan.coverage == Coverage.CLASSIFIED) == 20


def test_there_are_no_controls_without_glass_or_without_tissue() -> None:
    assert len(planned(slide_of(np.full((160, 400, 3), TISSUE, np.uint8))).controls) == 0
    assert len(planned(slide_of(glass())).controls) == 0
