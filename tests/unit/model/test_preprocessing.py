"""What a network is given is what torchvision's transforms on images would give it."""

from typing import Any

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from wsi_pipeline.model.preprocessing import Preparer
from wsi_pipeline.testing.models import describe_model

RNG = np.random.default_rng(0)
PATCHES = RNG.integers(0, 256, (3, 50, 50, 3), np.uint8)


def preparer(**steps: Any) -> Preparer:
    return Preparer(describe_model(50, preprocessing=steps))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize(("side", "crop"), [(32, None), (77, 64), (41, 32)])
def test_as_torchvision_does_it(interpolation: str, side: int, crop: int | None) -> None:
    mode = transforms.InterpolationMode(interpolation)
    theirs = transforms.Compose(
        [transforms.Resize(side, mode), transforms.CenterCrop(crop or side)]
    )
    prepare = preparer(resize={"px": side, "interpolation": interpolation}, crop=crop)
    expected = [np.asarray(theirs(Image.fromarray(one))) for one in PATCHES]
    assert prepare.input_px == (crop or side)
    assert np.array_equal(prepare(PATCHES), expected)


def test_padding_is_the_same_on_both_sides() -> None:
    padded = preparer(pad=53, fill=255)(PATCHES)
    assert padded.shape == (3, 53, 53, 3)
    assert np.array_equal(padded[:, 1:51, 1:51], PATCHES)
    assert (padded[:, 0] == 255).all()
    assert (padded[:, 51:] == 255).all()


def test_nothing_to_do_copies_nothing() -> None:
    assert preparer()(PATCHES) is PATCHES
