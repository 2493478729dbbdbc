"""Parts of masks are counted and chosen by rows; shapes are what their definitions say."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.quality import morphology
from wsi_pipeline.quality.morphology import (
    Mask,
    bands,
    chosen,
    grown,
    labelled,
    large,
    opened,
    part_sizes,
    reached,
    shrunk,
    solid,
)

EIGHT = np.ones((3, 3))


@pytest.fixture(autouse=True)
def short_bands() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(morphology, "_BAND_PX", 30)
        yield


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.tuples(st.integers(1, 17), st.integers(1, 17)))
    return np.asarray(rng.random(shape) < draw(st.floats(0, 0.7)))


@given(masks(), masks())
def test_sizes_and_choices_are_those_of_the_whole(mask: Mask, other: Mask) -> None:
    labels, count = labelled(mask)
    part = mask & np.resize(other, mask.shape)
    sizes = np.bincount(labels[part], minlength=count + 1)
    assert np.array_equal(part_sizes(labels, part, count), sizes)
    keep: NDArray[np.bool_] = sizes > 1
    assert np.array_equal(chosen(labels, part, keep), keep[labels] & part)


@given(masks(), st.integers(1, 9))
def test_large_parts_have_so_many_px(mask: Mask, least: int) -> None:
    labels, count = ndimage.label(mask, EIGHT)
    expected = np.zeros_like(mask)
    for number in range(1, count + 1):
        if (labels == number).sum() >= least:
            expected |= labels == number
    assert np.array_equal(large(mask, least), expected)


@given(masks(), masks())
def test_what_is_reached_is_connected_with_a_seed(weak: Mask, seeds: Mask) -> None:
    seeds = np.resize(seeds, weak.shape)
    expected = ndimage.binary_propagation(seeds, EIGHT, weak | seeds)
    assert np.array_equal(reached(weak, seeds), expected)


@given(masks(), st.integers(0, 9), st.floats(0.05, 1))
def test_solid_is_where_enough_of_the_square_is_set(mask: Mask, half: int, share: float) -> None:
    side = 2 * half + 1
    whole = np.pad(mask, half, mode="edge").astype(np.int64)
    squares = np.lib.stride_tricks.sliding_window_view(whole, (side, side))
    enough = squares.sum(axis=(2, 3)) >= share * side * side
    assert np.array_equal(solid(mask, side, share), enough)


@given(masks(), st.integers(1, 8), st.integers(1, 8))
def test_opened_is_what_a_rectangle_inside_covers(mask: Mask, rows: int, columns: int) -> None:
    covered = np.zeros_like(mask)
    for y in range(len(mask) - rows + 1):
        for x in range(mask.shape[1] - columns + 1):
            place = (slice(y, y + rows), slice(x, x + columns))
            covered[place] |= mask[place].all()
    assert np.array_equal(opened(mask, rows, columns), covered)


@given(masks(), st.integers(0, 9))
def test_grown_and_shrunk_reach_a_square_far(mask: Mask, px: int) -> None:
    square = np.ones((2 * px + 1, 2 * px + 1))
    assert np.array_equal(grown(mask, px), ndimage.binary_dilation(mask, square))
    inner = ndimage.binary_erosion(mask, square, border_value=1)
    assert np.array_equal(shrunk(mask, px), inner)


@given(masks())
def test_bands_hold_every_row_once(mask: Mask) -> None:
    rows = np.arange(len(mask))
    assert np.array_equal(np.concatenate([rows[band] for band in bands(mask)]), rows)
