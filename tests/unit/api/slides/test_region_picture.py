"""Pictures show their place on the slide, whatever levels they come from and wherever they end."""

import functools
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from api.slides import region_picture as picture
from api.slides.deepzoom import DeepZoom
from api.slides.region_picture import (
    HOLE_GREY,
    Area,
    overview_of,
    rasters_of,
    read_area,
    wants_overview,
    with_holes,
)
from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.testing import ArraySlide
from wsi_pipeline.testing.slides import reduced

#: Downsamples of the levels a slide may have.
PYRAMIDS = [(1,), (1, 2, 4, 8), (1, 4, 16), (1, 3), (1, 5, 25), (1, 4)]


def waves(size: Size, seed: int) -> NDArray[np.uint8]:
    """Soft blobs in three colours: enough gradient everywhere to tell a shift from."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size.height, : size.width].astype(np.float64)
    image = np.full((size.height, size.width, 3), 128.0)
    for channel in range(3):
        for period in (37.0, 61.0, 113.0, 250.0):
            angle, phase = rng.uniform(0, 2 * np.pi, 2)
            along = x * np.cos(angle) + y * np.sin(angle)
            image[..., channel] += 28 * np.sin(2 * np.pi * along / period + phase)
    return image.clip(0, 255).astype(np.uint8)


@functools.cache
def wavy_slide(downsamples: tuple[int, ...]) -> tuple[NDArray[np.uint8], ArraySlide]:
    image = waves(Size(640, 560), 3)
    return image, slide(image, downsamples, up=False)


def slide(image: NDArray[np.uint8], downsamples: tuple[int, ...], *, up: bool) -> ArraySlide:
    levels = [
        reduced(image, factor, round_up=up) if factor > 1 else image for factor in downsamples
    ]
    return ArraySlide(levels)


def reference(image: NDArray[np.uint8], area: Area) -> NDArray[np.float64]:
    """The mean of exactly the level-0 px, and parts of px, that each px of the picture shows."""

    def weights(start: float, scale: float, count: int, length: int) -> NDArray[np.float64]:
        edges = start + scale * np.arange(count + 1)
        px = np.arange(length)
        overlap = np.minimum(edges[1:, None], px + 1) - np.maximum(edges[:-1, None], px)
        clipped = overlap.clip(0)
        return np.asarray(clipped / clipped.sum(axis=1, keepdims=True))

    height, width = image.shape[:2]
    rows = weights(area.y, area.scale_y, area.size.height, height)
    columns = weights(area.x, area.scale_x, area.size.width, width)
    means = np.einsum("ij,jkc,lk->ilc", rows, image.astype(np.float64), columns, optimize=True)
    return np.asarray(means)


def shift(shown: NDArray[np.uint8], expected: NDArray[np.float64]) -> tuple[float, float]:
    """How far a picture is from where it should be, in its px: least squares on gradients."""
    rows, columns, _ = np.gradient(expected)
    off = expected - shown
    matrix = np.array(
        [[(columns * columns).sum(), (columns * rows).sum()],
         [(columns * rows).sum(), (rows * rows).sum()]]
    )  # fmt: skip
    moved = np.linalg.solve(matrix, [(off * columns).sum(), (off * rows).sum()])
    return float(moved[0]), float(moved[1])


@given(
    width=st.integers(200, 420),
    height=st.integers(200, 420),
    downsamples=st.sampled_from(PYRAMIDS),
    up=st.booleans(),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_tiles_lie_where_they_should(
    width: int, height: int, downsamples: tuple[int, ...], up: bool, seed: int, data: st.DataObject
) -> None:
    size = Size(width, height)
    image = waves(size, seed)
    zoom = DeepZoom(size, tile=128)
    # Coarser ones are too small to measure a shift in.
    level = data.draw(st.integers(zoom.finest - 3, zoom.finest))
    grid = zoom.grid(level)
    area = zoom.area(
        level,
        data.draw(st.integers(0, grid.width - 1)),
        data.draw(st.integers(0, grid.height - 1)),
    )
    assert area is not None
    shown = read_area(rasters_of(slide(image, downsamples, up=up)), area)
    expected = reference(image, area)
    assert shown.shape == (area.size.height, area.size.width, 3)
    assert np.abs(shown - expected).mean() < 8
    if min(area.size.width, area.size.height) >= 12:
        x, y = shift(shown, expected)
        assert abs(x) < 0.15
        assert abs(y) < 0.15


@given(
    x=st.floats(-30, 500),
    y=st.floats(-30, 400),
    scale_x=st.floats(0.4, 30),
    scale_y=st.floats(0.4, 30),
    downsamples=st.sampled_from(PYRAMIDS),
)
def test_any_box_lies_where_it_should(
    x: float, y: float, scale_x: float, scale_y: float, downsamples: tuple[int, ...]
) -> None:
    image, source = wavy_slide(downsamples)
    area = Area(x, y, scale_x, scale_y, Size(40, 33))
    shown = read_area(rasters_of(source), area)
    assert shown.shape == (33, 40, 3)
    # Where all of it is on the slide; what is shown beyond its edge is not to be measured.
    right, bottom = x + 40 * scale_x, y + 33 * scale_y
    inside = x >= 0 and y >= 0 and right <= 600 and bottom <= 525
    if inside and max(scale_x, scale_y) < 8:
        moved = shift(shown, reference(image, area))
        assert max(map(abs, moved)) < 0.3


@pytest.mark.parametrize("downsamples", [(1,), (1, 2, 4), (1, 4)])
def test_aligned_tiles_are_exact_means(downsamples: tuple[int, ...]) -> None:
    """Nothing is resampled where whole blocks of px are px of the tile."""
    image = np.random.default_rng(0).integers(0, 256, (512, 384, 3), np.uint8)
    rasters = rasters_of(slide(image, downsamples, up=False))
    zoom = DeepZoom(Size(384, 512), tile=64)
    for level in range(zoom.finest - 3, zoom.finest + 1):
        area = zoom.area(level, 1, 0) or zoom.area(level, 0, 0)
        assert area is not None
        shown = read_area(rasters, area).astype(float)
        # Rounded at most twice on the way.
        assert np.abs(shown - reference(image, area)).max() <= 1.01


def test_the_finest_level_is_the_slides_own_px() -> None:
    image = np.random.default_rng(0).integers(0, 256, (130, 200, 3), np.uint8)
    area = DeepZoom(Size(200, 130), tile=64).area(8, 3, 2)
    assert area is not None
    shown = read_area(rasters_of(slide(image, (1, 2), up=False)), area)
    assert np.array_equal(shown, image[128:, 192:])


def test_the_edge_is_not_framed_in_white() -> None:
    """The file's levels end early, a px of the tile reaches beyond them: both stay dark."""
    image = np.full((203, 403, 3), 40, np.uint8)
    rasters = rasters_of(slide(image, (1, 4), up=False))
    zoom = DeepZoom(Size(403, 203))
    for level in range(zoom.finest + 1):
        area = zoom.area(level, 0, 0)
        assert area is not None
        assert read_area(rasters, area).max() == 40


def test_each_tile_reads_the_coarsest_level_that_is_fine_enough() -> None:
    image = waves(Size(512, 512), 1)
    source = slide(image, (1, 4, 16), up=False)
    zoom = DeepZoom(Size(512, 512))
    for level, expected in ((9, 0), (8, 0), (7, 1), (6, 1), (5, 2), (3, 2)):
        source.reads.clear()
        area = zoom.area(level, 0, 0)
        assert area is not None
        read_area(rasters_of(source), area)
        assert {region.level for region in source.reads} == {expected}


def test_memory_is_bounded_by_blocks() -> None:
    """A slide without a pyramid is read in blocks, however much of it becomes one picture."""
    side = 3 * picture.BLOCK_PX + 7
    source = ArraySlide([np.full((side, side, 3), 90, np.uint8)])
    shown = read_area(rasters_of(source), Area.whole(Size(side, side), 64))
    assert shown.shape == (64, 64, 3)
    assert shown.min() == shown.max() == 90
    largest = max(region.width * region.height for region in source.reads)
    assert largest <= picture.BLOCK_PX**2


def test_an_overview_stands_in_for_missing_levels() -> None:
    image = waves(Size(1100, 900), 5)
    source = slide(image, (1,), up=False)
    rasters = rasters_of(source)
    zoom = DeepZoom(Size(1100, 900))
    coarse, fine = zoom.area(zoom.finest - 4, 0, 0), zoom.area(zoom.finest - 2, 0, 0)
    assert coarse is not None
    assert fine is not None
    assert wants_overview(rasters, coarse)
    assert not wants_overview(rasters, fine)
    overview = overview_of(rasters[0])
    assert overview.downsample == 8
    source.reads.clear()
    shown = read_area((*rasters, overview), coarse)
    assert not source.reads
    x, y = shift(shown, reference(image, coarse))
    assert max(abs(x), abs(y)) < 0.15


def test_an_overview_is_small() -> None:
    wide = ArraySlide([np.zeros((100, 40_000, 3), np.uint8)])
    overview = overview_of(rasters_of(wide)[0])
    assert overview.size == Size(1250, 4)
    assert overview.downsample == 32


def test_holes_are_grey_and_the_rest_is_there() -> None:
    image = np.full((700, 900, 3), 200, np.uint8)
    source = ArraySlide([image], unreadable=[Region(0, 300, 300, 20, 20)])
    (raster,) = rasters_of(source)
    area = Area(0, 0, 1, 1, Size(900, 700))
    with pytest.raises(DamagedSlideError):
        read_area([raster], area)
    shown = read_area([with_holes(raster)], area)
    grey = (shown == HOLE_GREY).all(axis=-1)
    assert np.array_equal(np.argwhere(grey)[[0, -1]], [[256, 256], [511, 511]])
    assert grey.sum() == 256 * 256
    assert (shown[~grey] == 200).all()


def test_a_slide_of_holes_is_given_up() -> None:
    image = np.zeros((4096, 4096, 3), np.uint8)
    source = ArraySlide([image], unreadable=[Region(0, 0, 0, 4096, 4096)])
    with pytest.raises(DamagedSlideError):
        overview_of(rasters_of(source)[0])
    assert len(source.reads) < 100


def test_a_whole_slide_keeps_its_shape_and_is_not_enlarged() -> None:
    assert Area.whole(Size(20_000, 10_000), 500) == Area(0, 0, 40, 40, Size(500, 250))
    assert Area.whole(Size(30, 20), 500) == Area(0, 0, 1, 1, Size(30, 20))
    thin = Area.whole(Size(100_000, 3), 500)
    assert thin.size == Size(500, 1)
    assert thin.scale == 3


def test_pictures_may_be_read_from_many_threads() -> None:
    image = waves(Size(600, 600), 2)
    rasters = rasters_of(slide(image, (1, 4), up=False))
    zoom = DeepZoom(Size(600, 600), tile=64)
    areas = [area for c in range(5) for r in range(5) if (area := zoom.area(9, c, r))]
    expected = [read_area(rasters, area) for area in areas]
    wrong: list[int] = []

    def read(offset: int) -> None:
        for index in range(len(areas)):
            at = (index + offset) % len(areas)
            if not np.array_equal(read_area(rasters, areas[at]), expected[at]):
                wrong.append(at)

    threads = [threading.Thread(target=read, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_px_over_the_edge_are_means_of_what_is_there() -> None:
    image = np.zeros((70, 70, 3), np.uint8)
    image[64:] = 200
    (raster,) = rasters_of(ArraySlide([image]))
    shown = read_area([raster], Area(0, 0, 32, 32, Size(3, 3)))
    assert (shown[:, :, 0] == [[0] * 3, [0] * 3, [200] * 3]).all()
    corner = read_area([raster], Area(0, 0, 128, 128, Size(1, 1)))
    assert corner[0, 0, 0] == pytest.approx(image.mean(), abs=1)
    beyond = read_area([raster], Area(96, -64, 32, 32, Size(2, 3)))
    assert (beyond == 0).all()
