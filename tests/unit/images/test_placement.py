"""Images of any shape in the model's square: nothing is distorted or lost unless that was asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.images.placement import Intake, place
from wsi_pipeline.model.input_description import ImageFit
from wsi_pipeline.stain.appearance import LabStatistics, StainMatrix
from wsi_pipeline.stain.normalisation import StainTarget
from wsi_pipeline.testing.stained import draw_stained


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 64))
def test_padding_keeps_the_proportions_and_the_whole(width: int, height: int, side: int) -> None:
    pixels = np.zeros((height, width, 3), np.uint8)
    square, placed = place(pixels, side, ImageFit(how="pad", fill=(255, 0, 0)))
    assert square.shape == (side, side, 3)
    black = (square == 0).all(axis=2)
    rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
    assert columns[0] == placed.left
    assert rows[0] == placed.top
    assert columns[-1] + 1 == pytest.approx(placed.left + width * placed.scale_x)
    assert rows[-1] + 1 == pytest.approx(placed.top + height * placed.scale_y)
    # Equal but for the rounding to whole px, of which there is one at least.
    scale = side / max(width, height)
    assert abs(width * scale - len(columns)) < 1
    assert abs(height * scale - len(rows)) < 1
    assert max(len(rows), len(columns)) == side


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 64))
def test_cropping_fills_the_square(width: int, height: int, side: int) -> None:
    square, placed = place(np.zeros((height, width, 3), np.uint8), side, ImageFit(how="crop"))
    assert (square == 0).all()
    assert placed.left <= 0
    assert placed.top <= 0


@pytest.mark.parametrize("turned", [False, True])
def test_a_line_of_px_is_cropped_without_enlarging_all_of_it(turned: bool) -> None:
    """As a whole 60,000 × 2 px would become 6,720,000 × 224."""
    pixels = np.zeros((2, 60_000, 3), np.uint8)
    pixels[:, 30_000:] = 200  # the middle is an edge
    fit = ImageFit(how="crop")
    square, placed = place(pixels.swapaxes(0, 1) if turned else pixels, 224, fit)
    along = square[:, 112] if turned else square[112]
    assert (along[:50] == 0).all()
    assert (along[-50:] == 200).all()
    scale, offset = (placed.scale_y, placed.top) if turned else (placed.scale_x, placed.left)
    assert 30_000 * scale + offset == pytest.approx(112)


def test_stretching_fills_the_square_with_the_whole() -> None:
    pixels = np.zeros((10, 40, 3), np.uint8)
    pixels[:, 20:] = 200
    square, placed = place(pixels, 20, ImageFit(how="stretch"))
    assert (square[:, :9] == 0).all()
    assert (square[:, 11:] == 200).all()
    assert (placed.scale_x, placed.scale_y) == (0.5, 2.0)


def test_an_image_of_the_models_size_stays_as_it_is() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    for how in ("pad", "crop", "stretch"):
        square, _ = place(pixels, 32, ImageFit.model_validate({"how": how}))
        np.testing.assert_array_equal(square, pixels)


def test_the_stain_of_the_image_is_normalised_and_the_padding_stays() -> None:
    target = StainMatrix((0.65, 0.704286, 0.285458), (0.0722, 0.9919, 0.1048), (0.8, 0.5))
    intake = Intake(ImageFit(how="pad", fill=(0, 0, 255)), StainTarget("macenko", target))
    pale, dense = (
        intake(draw_stained(96, 192, strength=strength), 128)
        for strength in ((0.6, 0.8), (1.2, 1.1))
    )
    assert pale.warning == dense.warning == ""
    for square in (pale, dense):
        assert (square.pixels[:32] == (0, 0, 255)).all()
        assert (square.pixels[96:] == (0, 0, 255)).all()
    apart = np.abs(pale.pixels.astype(int) - dense.pixels)[32:96].mean()
    plain = [
        place(draw_stained(96, 192, strength=s), 128, ImageFit())[0]
        for s in ((0.6, 0.8), (1.2, 1.1))
    ]
    assert apart < 4 < np.abs(plain[0].astype(int) - plain[1])[32:96].mean()


def test_an_image_whose_stain_cannot_be_told_stays_and_says_why() -> None:
    target = StainTarget("reinhard", LabStatistics((60, 20, -10), (15, 8, 6)))
    blank = np.full((40, 40, 3), 250, np.uint8)
    square = Intake(ImageFit(), target)(blank, 40)
    assert "was not normalised (reinhard)" in square.warning
    assert np.array_equal(square.pixels, blank)
