"""What a coarse level says of a tile is true of the tile's own px."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_pipeline.errors import SlideContentError
from wsi_pipeline.geometry import Mpp, PerAxis, Region
from wsi_pipeline.grid import Grid
from wsi_pipeline.slide import open_slide
from wsi_pipeline.testing import ArraySlide
from wsi_pipeline.testing.slides import reduced
from wsi_pipeline.tissue.overview import (
    _box_sums,
    check_brightfield,
    overview_level,
    read_overview,
    tile_tissue,
)
from wsi_pipeline.tissue.rule import tissue_fraction

GLASS = 242
DOWNSAMPLE = 4
#: A coarse px is rounded to a whole grey value; this is what half of one does to the bounds.
ROUNDING = 0.5 / 255 / (GLASS / 255 - 0.8) + 0.001


def grid_of(slide: ArraySlide, patch: int, stride: int | None = None) -> Grid:
    return Grid(0, slide.info.size, 1.0, 1.0, patch, stride or patch, Mpp(0.5, 0.5))


@st.composite
def textures(draw: st.DrawFn) -> NDArray[np.uint8]:
    """Tissue mixed with pale px in every proportion, beside clear glass.

    Within the overview's assumptions: tissue is no darker than dense nuclei (0.35), the rest no
    brighter than the glass, which is what most bright px are.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    darkest = draw(st.integers(90, 204))
    palest = draw(st.integers(205, GLASS))
    grain = draw(st.sampled_from([1, 2, 8, 32]))
    grey = np.full((288, 576), GLASS, np.uint8)
    share = np.kron(rng.random((9, 9)), np.ones((32, 32)))
    noise = np.kron(rng.random((288 // grain, 288 // grain)), np.ones((grain, grain)))
    tissue = rng.integers(darkest, 205, (288, 288))
    pale = rng.integers(palest, GLASS + 1, (288, 288))
    grey[:, 288:] = np.where(noise < share, tissue, pale)
    return np.repeat(grey[..., None], 3, axis=-1)


@given(textures(), st.sampled_from([72, 144, 36]))
@settings(max_examples=40)
def test_the_bounds_hold(image: NDArray[np.uint8], patch: int) -> None:
    # Most bright px have to be glass for its luminance to be found: a wide slide has them.
    wide = np.concatenate([np.full((288, 1440, 3), GLASS, np.uint8), image], axis=1)
    slide = ArraySlide([wide, reduced(wide, DOWNSAMPLE)])
    grid = grid_of(slide, patch)
    tiles = tile_tissue(read_overview(slide, 1, PerAxis.of(float(patch))), grid)
    for row in range(grid.size.height):
        for column in range(grid.size.width):
            box = Region(0, column * patch, row * patch, patch, patch)
            exact = tissue_fraction(slide.read(box))
            assert tiles.at_least[row, column] <= exact + ROUNDING
            assert tiles.at_most[row, column] >= exact - ROUNDING
            assert 0 <= tiles.estimate[row, column] <= 1


def test_the_bounds_decide_what_is_clear() -> None:
    image = np.full((288, 288, 3), GLASS, np.uint8)
    image[:144] = (150, 70, 130)
    slide = ArraySlide([image, reduced(image, DOWNSAMPLE)])
    tiles = tile_tissue(read_overview(slide, 1, PerAxis(72.0, 72.0)), grid_of(slide, 72))
    assert (tiles.at_least[:2] > 0.3).all()
    assert (tiles.at_most[2:] < 0.3).all()
    assert np.allclose(tiles.estimate, [[1] * 4, [1] * 4, [0] * 4, [0] * 4])
    assert not tiles.empty.any()


def test_what_was_not_scanned_is_empty() -> None:
    image = np.full((288, 288, 3), GLASS, np.uint8)
    image[:, 144:216] = 0  # scanner padding
    seen = np.ones((288, 288), np.bool_)
    seen[:, 216:] = False
    slide = ArraySlide([image, reduced(image, 4)], scanned=[seen, seen[::4, ::4]])
    tiles = tile_tissue(read_overview(slide, 1, PerAxis(72.0, 72.0)), grid_of(slide, 72))
    assert np.allclose(tiles.empty, [[0, 0, 1, 1]] * 4)
    # Padding may not pass for tissue, nor may a px it is mixed into decide anything.
    assert not tiles.at_least[:, 2:].any()


def test_what_lies_outside_the_bounds_is_empty() -> None:
    image = np.full((288, 288, 3), (150, 70, 130), np.uint8)
    levels = [image, reduced(image, 4)]
    slide = ArraySlide(levels, bounds=Region(0, 72, 144, 144, 144))
    tiles = tile_tissue(read_overview(slide, 1, PerAxis(72.0, 72.0)), grid_of(slide, 72))
    inside = np.zeros((4, 4), bool)
    inside[2:, 1:3] = True
    assert np.array_equal(tiles.empty == 0, inside)
    assert not tiles.at_most[~inside].any()
    assert (tiles.at_least[inside] > 0.3).all()


def test_a_large_overview_is_read_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(80, 256, (288, 288, 3), np.uint8)
    slide = ArraySlide([image, reduced(image, 4), reduced(image, 16)])
    whole = read_overview(slide, 1, PerAxis(144.0, 144.0))
    monkeypatch.setattr("wsi_pipeline.tissue.overview._STRIP_ROWS", 7)
    strips = read_overview(slide, 1, PerAxis(144.0, 144.0))
    assert whole.at_most.shape == strips.at_most.shape
    assert np.array_equal(whole.at_least, strips.at_least)
    assert np.array_equal(whole.at_most, strips.at_most)
    heights = [region.height for region in slide.reads if region.width == 72]
    assert max(heights[-10:]) <= 8


def test_the_coarsest_level_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the luminance of the glass and for the overview."""
    rng = np.random.default_rng(0)
    image = rng.integers(80, 256, (288, 288, 3), np.uint8)
    slide = ArraySlide([image, reduced(image, 4)])
    once = read_overview(slide, 1, PerAxis(144.0, 144.0))
    assert len(slide.reads) == 1
    monkeypatch.setattr("wsi_pipeline.tissue.overview._STRIP_ROWS", 7)
    strips = read_overview(slide, 1, PerAxis(144.0, 144.0))
    assert len(slide.reads) == 2
    for name in ("at_least", "at_most", "estimate", "empty"):
        assert np.array_equal(getattr(once, name), getattr(strips, name))


@given(st.data())
def test_box_sums_are_integrals(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    values = rng.random((9, 12)).astype(np.float32)
    x = np.array([data.draw(st.floats(0, 13)), 0.0])
    y = np.array([data.draw(st.floats(0, 10)), 2.5, 8.0])
    side = data.draw(st.floats(0.1, 14))

    def overlap(start: float, count: int) -> NDArray[np.float64]:
        cells = np.arange(count)
        shared = np.minimum(cells + 1, start + side) - np.maximum(cells, start)
        return np.asarray(np.maximum(shared, 0), np.float64)

    expected = [[overlap(b, 9) @ values @ overlap(a, 12) for a in x] for b in y]
    assert np.allclose(_box_sums(values, x, x + side, y, y + side), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("downsamples", "patch", "expected"),
    [
        ((1, 4, 16, 64), 299, 2),
        ((1, 2, 4, 8, 16, 32), 299, 5),
        ((1,), 299, None),
        ((1, 64), 299, None),  # too coarse: bounds would be too loose
        ((1, 2, 4), 20, 1),
    ],
)
def test_the_overview_level(downsamples: tuple[int, ...], patch: int, expected: int | None) -> None:
    image = np.full((640, 640, 3), 255, np.uint8)
    slide = ArraySlide([image[::d, ::d] for d in downsamples])
    assert overview_level(slide, grid_of(slide, patch)) == expected


def test_a_dark_field_is_refused() -> None:
    rng = np.random.default_rng(0)
    dark = rng.integers(0, 30, (300, 300, 3), np.uint8)
    with pytest.raises(SlideContentError, match="fluorescence"):
        check_brightfield(ArraySlide([dark]))
    # Scanner padding alone makes no dark field.
    padded = np.zeros((300, 300, 3), np.uint8)
    padded[:60, :60] = 230
    assert check_brightfield(ArraySlide([padded])) == ()
    assert "nothing to analyse" in check_brightfield(ArraySlide([padded * 0]))[0]


def test_a_real_fluorescence_slide_is_refused(data: Path) -> None:
    with pytest.raises(SlideContentError):
        check_brightfield(open_slide(data / "slides" / "fluorescence-dapi.ndpi"))
    assert check_brightfield(open_slide(data / "slides" / "cmu-1-small-region.svs")) == ()
