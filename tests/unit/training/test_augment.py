"""Recolouring does what its numbers say, to each patch by itself."""

import colorsys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from wsi_pipeline.training.augment import placed, recolour
from wsi_pipeline.training.geometry import drawn_placement
from wsi_pipeline.training.recipe_sections import Augmentation

NEUTRAL = (0, 1, 0, 1, 1, 1, 1, 0, 0, 0)
NAMES = ("brightness", "saturation", "hue", "contrast", "h", "e", "d", "dh", "de", "dd")


def numbers(count: int = 1, **changed: Any) -> Tensor:
    row = [changed.get(name, neutral) for name, neutral in zip(NAMES, NEUTRAL, strict=True)]
    return torch.tensor([row] * count, dtype=torch.float32)


@pytest.fixture
def pixels() -> Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(20, 236, (6, 3, 8, 8))).float()


def test_neutral_numbers_change_nothing(pixels: Tensor) -> None:
    assert torch.allclose(recolour(pixels, numbers(6)), pixels, atol=1e-3)


def test_a_patch_does_not_depend_on_its_batch(pixels: Tensor) -> None:
    rng = np.random.default_rng(1)
    colours = numbers(6) + torch.from_numpy(rng.uniform(-0.2, 0.2, (6, 10))).float()
    together = recolour(pixels, colours)
    for index in range(6):
        alone = recolour(pixels[index : index + 1], colours[index : index + 1])
        assert torch.allclose(together[index], alone[0], atol=1e-4)


def test_brightness_and_contrast_move_values(pixels: Tensor) -> None:
    brighter = recolour(pixels, numbers(6, brightness=0.05))
    assert torch.allclose(brighter, (pixels + 0.05 * 255).clamp(0, 255), atol=1e-2)
    flat = recolour(pixels, numbers(6, contrast=0.0))
    assert torch.allclose(flat, pixels.mean(dim=(2, 3), keepdim=True).expand_as(flat), atol=1e-2)


@pytest.mark.parametrize(("turn", "factor"), [(0.04, 1.0), (-0.04, 0.75), (0.3, 1.25), (0.0, 0.0)])
def test_hue_and_saturation_equal_the_standard_library(
    pixels: Tensor, turn: float, factor: float
) -> None:
    changed = recolour(pixels, numbers(6, hue=turn, saturation=factor))
    for index in range(8):
        red, green, blue = (pixels[0, :, index, index] / 255).tolist()
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        expected = colorsys.hsv_to_rgb((hue + turn) % 1, min(1, saturation * factor), value)
        assert (changed[0, :, index, index] / 255).tolist() == pytest.approx(expected, abs=1e-4)


def test_grey_has_no_hue_to_turn() -> None:
    grey = torch.full((1, 3, 4, 4), 120.0)
    assert torch.allclose(recolour(grey, numbers(hue=0.3, saturation=1.2)), grey, atol=1e-3)


def test_more_haematoxylin_is_bluer_and_darker() -> None:
    stained = torch.tensor([150.0, 110.0, 170.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    more = recolour(stained, numbers(dh=0.1))[0, :, 0, 0]
    lost = (torch.tensor([150.0, 110.0, 170.0]) - more).tolist()
    assert all(value > 0 for value in lost)
    # Haematoxylin takes least of the blue.
    assert lost[2] < lost[0]
    assert lost[2] < lost[1]


def test_everything_stays_within_its_range(pixels: Tensor) -> None:
    wild = recolour(pixels, numbers(6, brightness=0.5, contrast=1.75, e=1.5, de=0.4, h=0.2))
    assert bool(torch.isfinite(wild).all())
    assert float(wild.min()) >= 0
    assert float(wild.max()) <= 255
    white = recolour(torch.full((1, 3, 4, 4), 255.0), numbers(h=1.2, e=0.8))
    assert float(white.min()) > 254


def test_a_placement_of_nothing_changes_nothing(pixels: Tensor) -> None:
    still = torch.eye(2).expand(6, 2, 2)
    assert torch.allclose(placed(pixels, still), pixels, atol=1e-3)


def test_a_quarter_turn_and_a_zoom(pixels: Tensor) -> None:
    turned = placed(pixels, torch.tensor([[0.0, -1.0], [1.0, 0.0]]).expand(6, 2, 2))
    assert torch.allclose(turned, torch.rot90(pixels, 1, (2, 3)), atol=1e-3) or torch.allclose(
        turned, torch.rot90(pixels, -1, (2, 3)), atol=1e-3
    )
    # Twice as large: the middle half of the image fills it.
    large = placed(pixels, torch.eye(2).expand(6, 2, 2) / 2)
    middle = pixels[:, :, 2:6, 2:6].mean()
    assert abs(large.mean() - middle) < 3


def test_placements_are_drawn_within_their_limits() -> None:
    assert drawn_placement(Augmentation(), 5, [1]) is None
    found = drawn_placement(Augmentation(rotation=30, zoom=0.2), 400, [1, 2])
    again = drawn_placement(Augmentation(rotation=30, zoom=0.2), 400, [1, 2])
    assert found is not None
    assert again is not None
    assert np.array_equal(found, again)
    scale = np.sqrt(np.linalg.det(found))
    assert 0.8 - 1e-6 < scale.min() < 0.85
    assert 1.18 < scale.max() < 1.25 + 1e-6
    angle = np.rad2deg(np.arctan2(found[:, 1, 0], found[:, 0, 0]))
    assert 25 < np.abs(angle).max() <= 30
