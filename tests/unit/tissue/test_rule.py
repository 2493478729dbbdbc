"""The tissue rule for single px is DESIGN's, which is scikit-image's luminance."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.color import rgb2gray

from wsi_pipeline.tissue.rule import (
    BLACK_BOUND,
    WHITE_LUMINANCE,
    is_black,
    luminance,
    tissue_fraction,
    tissue_mask,
)


def random_px(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    far = rng.integers(0, 256, (200, 50, 3), np.uint8)
    # Near the threshold, where rounding would show.
    near = np.clip(rng.normal(204, 6, (200, 50, 3)), 0, 255).astype(np.uint8)
    return np.concatenate([far, near])


@given(st.integers(0, 2**32 - 1))
def test_tissue_is_what_scikit_image_finds_dark_enough(seed: int) -> None:
    rgb = random_px(seed)
    expected = (rgb2gray(rgb) <= 0.8) & (rgb > BLACK_BOUND).any(axis=-1)
    tie = luminance(rgb) == 0.8 * WHITE_LUMINANCE  # floats may fall to either side there
    assert np.array_equal(tissue_mask(rgb)[~tie], expected[~tie])
    assert np.allclose(luminance(rgb).astype(float) / WHITE_LUMINANCE, rgb2gray(rgb), atol=1e-12)


def test_the_threshold_itself_is_tissue() -> None:
    # 204 of 255 is 0.8 exactly, whatever a float makes of it.
    assert tissue_mask(np.full((1, 1, 3), 204, np.uint8)).all()
    assert not tissue_mask(np.full((1, 1, 3), 205, np.uint8)).any()


def test_black_is_padding_and_nuclei_are_not() -> None:
    px = np.array([[[0, 0, 0], [10, 10, 10], [11, 10, 10], [10, 10, 60], [40, 20, 90]]], np.uint8)
    assert is_black(px).tolist() == [[True, True, False, False, False]]
    assert tissue_mask(px).tolist() == [[False, False, True, True, True]]


def test_the_fraction_is_exact() -> None:
    patch = np.full((7, 11, 3), 255, np.uint8)
    patch[2, 3:6] = (150, 60, 120)
    patch[5] = 0
    assert tissue_fraction(patch) == 3 / 77
