"""Patches that were read to settle their tissue are not read again for the model."""

import numpy as np
import pytest

from wsi_pipeline.geometry import Mpp, Region, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.run.classification import classify_region
from wsi_pipeline.testing import ArraySlide, FakePredictor
from wsi_pipeline.testing.slides import reduced
from wsi_pipeline.tiles.kept_patches import KeptPatch, KeptPatches
from wsi_pipeline.tiles.plan import make_plan

PATCH = 40


def patch(value: int) -> KeptPatch:
    return KeptPatch(np.full((10, 10, 3), value, np.uint8))


def test_a_patch_is_given_away_once() -> None:
    kept = KeptPatches()
    kept.keep(1, 2, patch(7))
    found = kept.take(1, 2)
    assert found is not None
    assert (found.px == 7).all()
    assert kept.take(1, 2) is None
    assert kept.take(2, 1) is None


def test_what_finds_no_room_is_not_kept() -> None:
    kept = KeptPatches(capacity=600)
    for column in range(3):
        kept.keep(column, 0, patch(column))
    assert kept.take(2, 0) is None
    assert kept.take(0, 0) is not None
    kept.keep(3, 0, patch(3))  # in its place
    assert kept.take(3, 0) is not None


def noisy_slide(bounds: Region | None = None, segment: Size | None = None) -> ArraySlide:
    """Tissue of every share, so that many tiles have to be settled from their own px."""
    rng = np.random.default_rng(4)
    image = np.full((320, 400, 3), 240, np.uint8)
    image[rng.random((320, 400)) < np.linspace(0, 0.6, 400)] = (170, 110, 160)
    image[:, :, 0] = rng.integers(0, 60, (320, 400)) + 120
    return ArraySlide([image, reduced(image, 4)], bounds=bounds, segment=segment)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("bounds", [None, Region(0, 0, 50, 390, 250)])
def test_tiles_are_read_once_for_tissue_and_model(*, exact: bool, bounds: Region | None) -> None:
    slide, kept = noisy_slide(bounds), KeptPatches()
    grid = Grid(0, slide.info.size, 1.0, 1.0, PATCH, PATCH, Mpp(0.5, 0.5))
    plain = make_plan(slide, grid, min_tissue=0.3, exact=exact)
    slide.reads.clear()
    plan = make_plan(slide, grid, min_tissue=0.3, exact=exact, kept=kept)
    assert plan.sha256 == plain.sha256
    settled = {(region.x, region.y) for region in slide.reads if region.level == 0}
    planned = {(column * PATCH, row * PATCH) for column, row in plan.cells.tolist()}
    assert settled & planned
    slide.reads.clear()
    predictor = FakePredictor(patch_px=PATCH)
    ours = classify_region(slide, predictor, grid, plan.cells, at_hand=kept)
    assert {(region.x, region.y) for region in slide.reads} == planned - settled
    again = classify_region(slide, predictor, grid, plan.cells, at_hand=kept)
    assert np.array_equal(ours.probabilities, again.probabilities)
    assert len(set(ours.probabilities.tolist())) > 1


@pytest.mark.parametrize("segment", [Size(64, 64), Size(25, 56), Size(400, 16)])
@pytest.mark.parametrize("bounds", [None, Region(0, 0, 50, 390, 250)])
def test_parts_of_a_tile_are_read_once_for_tissue_and_model(
    segment: Size, bounds: Region | None
) -> None:
    """What settled a tile is not read again; what was not needed is read for the model."""
    whole, parted, kept = noisy_slide(bounds), noisy_slide(bounds, segment), KeptPatches()
    grid = Grid(0, whole.info.size, 1.0, 1.0, PATCH, PATCH, Mpp(0.5, 0.5))
    plan = make_plan(parted, grid, min_tissue=0.3, exact=False, kept=kept)
    expected = make_plan(whole, grid, min_tissue=0.3, exact=False)
    assert plan.sha256 == expected.sha256
    assert plan.settled == expected.settled
    assert np.array_equal(plan.coverage, expected.coverage)
    settled = [region for region in parted.reads if region.level == 0]
    assert sum(one.area for one in settled) < plan.settled * PATCH**2
    predictor = FakePredictor(patch_px=PATCH)
    ours = classify_region(parted, predictor, grid, plan.cells, at_hand=kept)
    theirs = classify_region(whole, predictor, grid, plan.cells)
    assert np.array_equal(ours.probabilities, theirs.probabilities)
    looked = np.zeros((320, 400), np.int64)
    for one in parted.reads:
        if one.level == 0:
            looked[one.y : one.bottom, one.x : one.right] += 1
    assert looked.max() == 1


def test_all_of_a_tile_is_read_where_the_exact_share_is_wanted() -> None:
    slide = noisy_slide(segment=Size(25, 56))
    grid = Grid(0, slide.info.size, 1.0, 1.0, PATCH, PATCH, Mpp(0.5, 0.5))
    exact = make_plan(slide, grid, min_tissue=0.3, exact=True)
    assert np.array_equal(
        exact.tissue, make_plan(noisy_slide(), grid, min_tissue=0.3, exact=True).tissue
    )
    assert {(one.width, one.height) for one in slide.reads if one.level == 0} == {(PATCH, PATCH)}


def test_a_model_that_sees_more_than_the_tile_reads_it_again() -> None:
    slide, kept = noisy_slide(), KeptPatches()
    grid = Grid(0, slide.info.size, 1.0, 1.0, PATCH, PATCH, Mpp(0.5, 0.5), margin=8, cell=PATCH)
    plan = make_plan(slide, grid, min_tissue=0.3, exact=True, kept=kept)
    assert len(plan)
    assert [kept.take(column, row) for column, row in plan.cells.tolist()] == [None] * len(plan)
