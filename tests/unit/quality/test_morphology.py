"""Parts of masks are counted and chosen some rows at a time, as they would be at once."""

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
    labelled,
    large,
    part_sizes,
    reached,
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


@given(masks())
def test_bands_hold_every_row_once(mask: Mask) -> None:
    rows = np.arange(len(mask))
    assert np.array_equal(np.concatenate([rows[band] for band in bands(mask)]), rows)
