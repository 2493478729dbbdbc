"""A map goes back to the very place of the image that it is of, whatever was done on the way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from wsi_pipeline.images.explanation.heat import InputFrame, over_image, picture
from wsi_pipeline.images.placement import Placement, place
from wsi_pipeline.model.input_description import ImageFit
from wsi_pipeline.model.preprocessing import Preparer
from wsi_pipeline.testing.models import describe_model

PREPROCESSINGS = [
    {},
    {"resize": {"px": 96}},
    {"resize": {"px": 48}, "pad": 72},
    {"resize": {"px": 80}, "crop": 64},
    {"resize": {"px": 81}, "crop": 64},
    {"pad": 75, "crop": 70},
]


@settings(max_examples=25)
@given(
    size=st.tuples(st.integers(90, 160), st.integers(90, 160)),
    where=st.tuples(st.floats(0.35, 0.65), st.floats(0.35, 0.65)),
    how=st.sampled_from(["pad", "crop", "stretch"]),
    steps=st.sampled_from(PREPROCESSINGS),
)
def test_a_mark_in_the_image_is_found_where_it_is(
    size: tuple[int, int], where: tuple[float, float], how: str, steps: dict[str, object]
) -> None:
    about = describe_model(64, preprocessing=steps)
    width, height = size
    x, y = round(where[0] * width), round(where[1] * height)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[y - 8 : y + 8, x - 8 : x + 8] = 255
    square, placement = place(pixels, 64, ImageFit(how=how, fill=(0, 0, 0)))  # type: ignore[arg-type]  # of the list above
    given_to_network = Preparer(about)(square[None])[0, :, :, 0].astype(np.float32)
    # As coarse as features are, but not so coarse that their cells hide an error of a px.
    heat = ndimage.gaussian_filter(given_to_network, 2)
    found = over_image(heat, InputFrame.of(about), placement, width, height)
    assert found.shape == (height, width)
    centre = ndimage.center_of_mass(np.maximum(found - found.max() / 2, 0))
    px = max(1.0, 1.5 / min(placement.scale_x, placement.scale_y))  # of the network's input
    assert centre == pytest.approx((y - 0.5, x - 0.5), abs=px)


def test_what_the_network_never_saw_has_no_heat() -> None:
    cropped = Placement(1, 1, -36, 0)  # 136 px wide, of which the middle 64 are seen
    about = describe_model(64)
    found = over_image(np.ones((4, 4), np.float32), InputFrame.of(about), cropped, 136, 64)
    assert found[:, :36].max() == found[:, 100:].max() == 0
    assert found[:, 36:100].min() == 1


def test_a_picture_shows_the_image_and_the_map_and_is_not_large() -> None:
    pixels = np.full((1000, 2000, 3), 128, np.uint8)
    about = describe_model(64)
    _, placement = place(pixels, 64, ImageFit())
    heat = np.zeros((8, 8), np.float32)
    heat[4, 6] = 3e-9  # only what is more and what is less counts
    drawn = picture(pixels, heat, InputFrame.of(about), placement)
    assert drawn.shape == (384, 2 * 768 + 8, 3)
    right = drawn[:, 776:].astype(int)
    row, column = np.unravel_index(np.abs(right - 128).sum(axis=2).argmax(), (384, 768))
    # The map's cell at three quarters of the width and, of 32 px of image in 64, at 4.5 / 8.
    assert column / 768 == pytest.approx(6.5 / 8, abs=0.02)
    assert row / 384 == pytest.approx(((4.5 * 8) - 16) / 32, abs=0.04)
    assert (drawn[:, :768] == 128).all()
    nothing = picture(pixels, heat * 0, InputFrame.of(about), placement)
    assert (nothing[:, 776:] == 128).all()
