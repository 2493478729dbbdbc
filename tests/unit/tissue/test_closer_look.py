"""What a closer look says of a patch is true of its own px, or it says nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_pipeline.geometry import Mpp, PerAxis, Region, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.testing import ArraySlide
from wsi_pipeline.testing.slides import reduced
from wsi_pipeline.tiles.plan import make_plan
from wsi_pipeline.tissue.closer_look import CloserLook, closer_look
from wsi_pipeline.tissue.overview import overview_level, read_overview
from wsi_pipeline.tissue.rule import tissue_fraction

GLASS = 240
PATCH = 144


def pyramid(image: NDArray[np.uint8], *downsamples: int) -> list[NDArray[np.uint8]]:
    return [image, *(reduced(image, one) for one in downsamples)]


def edges_of_tissue(seed: int) -> NDArray[np.uint8]:
    """Discs of tissue on glass: every tile at their rim is undecided from far away."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:864, :1152]
    image = np.full((864, 1152, 3), GLASS, np.uint8)
    for _ in range(6):
        radius = rng.integers(40, 200)
        inside = (x - rng.integers(0, 1152)) ** 2 + (y - rng.integers(0, 864)) ** 2 < radius**2
        image[inside] = rng.integers(100, 200, 3)
    return image


def grid_of(slide: ArraySlide, stride: int = PATCH) -> Grid:
    return Grid(0, slide.info.size, 1.0, 1.0, PATCH, stride, Mpp(0.5, 0.5))


def look_of(slide: ArraySlide, grid: Grid) -> CloserLook:
    level = overview_level(slide, grid)
    assert level is not None
    look = closer_look(slide, grid, read_overview(slide, level, grid.patch_0))
    assert look is not None
    return look


def parts_of(x: int, y: int, seed: int) -> list[Region]:
    """Parts of a patch, cut at a place that the seed tells."""
    side = 40 + seed % 100
    return Region(0, x, y, PATCH, PATCH).cut(Size(side, 3 * side // 2))


@given(st.integers(0, 2**32 - 1), st.sampled_from([PATCH, 100]))
@settings(max_examples=20, deadline=None)
def test_the_bounds_hold(seed: int, stride: int) -> None:
    slide = ArraySlide(pyramid(edges_of_tissue(seed), 4, 16))
    grid = grid_of(slide, stride)
    look = look_of(slide, grid)
    for row in range(grid.size.height - 1):
        for column in range(grid.size.width - 1):
            x, y = (int(place) for place in grid.corner(column, row))
            patch = look(column, row)
            assert patch is not None
            for part in (Region(0, x, y, PATCH, PATCH), *parts_of(x, y, seed)):
                own = tissue_fraction(slide.read(part))
                seen = patch.of(part.x, part.y, PerAxis(part.width, part.height))
                # Grey values of a coarse px are whole: half of one moves its bound a little.
                assert seen.at_least <= own + 0.02
                assert seen.at_most >= own - 0.02
                assert 0 <= seen.estimate <= 1


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_decisions_are_those_of_the_own_px(seed: int) -> None:
    image = edges_of_tissue(seed)
    with_level, without = ArraySlide(pyramid(image, 4, 16)), ArraySlide(pyramid(image, 16))
    # Of a file whose tiles are decoded one by one.
    parted = ArraySlide(pyramid(image, 4, 16), segment=Size(40 + seed % 200, 64))
    grid = grid_of(with_level)
    exact = make_plan(with_level, grid, min_tissue=0.3, exact=True)
    fast = make_plan(with_level, grid, min_tissue=0.3, exact=False)
    slow = make_plan(without, grid, min_tissue=0.3, exact=False)
    assert np.array_equal(fast.cells, exact.cells)
    assert np.array_equal(fast.coverage, exact.coverage)
    assert fast.sha256 == slow.sha256
    by_parts = make_plan(parted, grid, min_tissue=0.3, exact=False)
    assert by_parts.sha256 == fast.sha256
    assert (by_parts.tissue >= np.float32(0.3)).all()
    assert fast.settled <= slow.settled


def test_few_rims_are_read_by_their_own_px() -> None:
    read = {True: 0, False: 0}
    for seed in range(4):
        image = edges_of_tissue(seed)
        image[image[..., 0] < GLASS] = (150, 90, 140)
        for closer in read:
            slide = ArraySlide(pyramid(image, *([4] if closer else []), 16))
            read[closer] += make_plan(slide, grid_of(slide), min_tissue=0.3, exact=False).settled
    assert 0 < read[True] < 0.7 * read[False]


def test_black_px_are_left_to_the_own_px() -> None:
    image = np.full((864, 1152, 3), GLASS, np.uint8)
    image[100:130, 100:130] = 0
    slide = ArraySlide(pyramid(image, 4, 16))
    look = look_of(slide, grid_of(slide))
    assert look(0, 0) is None
    assert look(3, 3) is not None


def test_padding_and_the_edge_of_the_scanned_area_are_left_to_the_own_px() -> None:
    image = edges_of_tissue(5)
    seen = np.ones(image.shape[:2], np.bool_)
    seen[:, 500:] = False
    image[:, 500:] = 255
    slide = ArraySlide(pyramid(image, 4, 16), scanned=[seen, seen[::4, ::4], seen[::16, ::16]])
    grid = grid_of(slide)
    exact = make_plan(slide, grid, min_tissue=0.3, exact=True)
    slide.reads.clear()
    fast = make_plan(slide, grid, min_tissue=0.3, exact=False)
    assert np.array_equal(fast.coverage, exact.coverage)
    closer = {(r.x * 4 // PATCH, r.y * 4 // PATCH) for r in slide.reads if r.level == 1}
    assert closer  # of tissue that lies off the edge
    assert all(column != 3 for column, _ in closer)  # half of its px were not scanned


@pytest.mark.parametrize("downsamples", [(16,), (2, 16), (8, 16), (2,)])
def test_without_a_level_between_there_is_none(downsamples: tuple[int, ...]) -> None:
    slide = ArraySlide(pyramid(edges_of_tissue(1), *downsamples))
    grid = grid_of(slide)
    level = overview_level(slide, grid)
    assert level is not None
    assert closer_look(slide, grid, read_overview(slide, level, grid.patch_0)) is None


def test_what_cannot_be_decoded_is_left_to_the_own_px() -> None:
    image = edges_of_tissue(2)
    whole = ArraySlide(pyramid(image, 4, 16))
    broken = ArraySlide(pyramid(image, 4, 16), unreadable=[Region(1, 0, 0, 288, 216)])
    grid = grid_of(whole)
    plan = make_plan(broken, grid, min_tissue=0.3, exact=False)
    assert plan.sha256 == make_plan(whole, grid, min_tissue=0.3, exact=False).sha256
    assert not len(plan.unreadable)
