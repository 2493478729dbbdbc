"""Packages with a screen that is made by hand: it looks for red, as the fake model does."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.package_copy import write_copy
from wsi_pipeline.model.pinning import write_npz
from wsi_pipeline.model.screen_section import SCREEN, ScreenedStain, ScreenSection
from wsi_pipeline.screen.network import SCALE, shapes

#: Logits for a difference of 255 between red and blue.
STEEPNESS = 40.0


def red_arrays(sign: float = 1.0) -> dict[str, NDArray[np.float32]]:
    """A network whose logit grows with red less blue: 0 where they are equal.

    Args:
        sign: -1 makes a screen that is wrong about everything.
    """
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes().items()}
    # Half is added, so that the rectifiers keep differences of both signs.
    arrays["weight0"][0, 0], arrays["weight0"][0, 2] = sign / 25, -sign / 25
    arrays["bias0"][0] = 0.5
    for index in (1, 2, 3):
        arrays[f"weight{index}"][0, 0, 1, 1] = 1
    arrays["weight"][0, 0], arrays["bias"][0] = STEEPNESS, -0.5 * STEEPNESS
    return arrays


def red_logit(red: float, blue: float) -> float:
    """The logit of a tile of one colour, 0-255."""
    return STEEPNESS * (red - blue) / SCALE


def screened(
    package: ModelPackage, folder: Path, *, sign: float = 1.0, **stain: Any
) -> ModelPackage:
    """A copy of a package with such a screen, for slides of every colour.

    Args:
        package: The model.
        folder: Of the copy.
        sign: See :func:`red_arrays`.
        stain: Fields of the stain that differ.
    """
    usual = {
        "colour": (0.577, 0.577, 0.577),
        "radius": 2.0,
        "limit": 0.0,
        "slides": 4,
        "tiles": 400,
        "positives": 100,
        "lost": 0,
        "upper": 0.03,
        "screened": 0.7,
        "bound": 0.125,
    }
    section = ScreenSection(
        promise=0.001,
        confidence=0.95,
        threshold=package.description.threshold.value,
        fitted="by hand",
        stains=(ScreenedStain(**{**usual, **stain}),),
    )
    return write_copy(
        package,
        folder,
        SCREEN,
        lambda to: write_npz(to / SCREEN, **red_arrays(sign)),
        {"screen": section.model_dump(mode="json")},
        overwrite=False,
    )
