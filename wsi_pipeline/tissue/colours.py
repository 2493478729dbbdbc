"""How strongly tissue is stained: densities of its px, and how they vary between patches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.stain.density import DENSITY
from wsi_pipeline.tissue.rule import tissue_mask

#: Every so many px along rows and columns are looked at: densities vary far more slowly.
_EVERY = 4
#: Tissue px of them below which a patch says nothing.
_LEAST_PX = 50
#: Density that rounding to 8 bits and JPEG move a patch's mean by; keeps a covariance invertible.
_NOISE = 0.01
#: Patches from which a covariance of three channels is worth something.
_LEAST_PATCHES = 8


def patch_colours(patch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Optical density of a patch's tissue px.

    Args:
        patch: ``(height, width, 3)`` RGB.

    Returns:
        Means, then standard deviations, of R, G and B, ``(2, 3)``; NaN where there is hardly any
        tissue.
    """
    pixels = patch[::_EVERY, ::_EVERY]
    tissue = tissue_mask(pixels)
    count = int(np.count_nonzero(tissue))
    if count < _LEAST_PX:
        return np.full((2, 3), np.nan, np.float32)
    # To count how often each value occurs takes a third of the time of a density for each px.
    values = (pixels[..., channel][tissue] for channel in range(3))
    counts = np.stack([np.bincount(of_channel, minlength=256) for of_channel in values])
    mean = counts @ DENSITY / count
    squares = counts * np.square(DENSITY - mean[:, None])
    return np.stack([mean, np.sqrt(squares.sum(axis=1) / count)]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Colours:
    """Optical densities of many patches; R, G and B each.

    Attributes:
        patches: How many there were.
        mean: Mean of their means.
        std: Mean of their standard deviations.
        covariance: Of their means, from patch to patch, 3 × 3.
    """

    patches: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    covariance: tuple[tuple[float, float, float], ...]

    def distance(self, mean: Sequence[float]) -> float:
        """Mahalanobis distance of mean densities from these patches.

        Args:
            mean: R, G and B.
        """
        spread = np.array(self.covariance) + _NOISE**2 * np.eye(3)
        away = np.asarray(mean, np.float64) - np.array(self.mean)
        return math.sqrt(float(away @ np.linalg.solve(spread, away)))


def summarise(measured: NDArray[np.float32]) -> Colours | None:
    """What several patches have in common.

    Args:
        measured: :func:`patch_colours` of each, ``(n, 2, 3)``; patches of NaN do not count.

    Returns:
        None where fewer than eight patches count.
    """
    known = measured[~np.isnan(measured).any(axis=(1, 2))].astype(np.float64)
    if len(known) < _LEAST_PATCHES:
        return None
    covariance = np.cov(known[:, 0], rowvar=False)
    return Colours(
        patches=len(known),
        mean=_triple(known[:, 0].mean(axis=0)),
        std=_triple(known[:, 1].mean(axis=0)),
        covariance=tuple(_triple(row) for row in covariance),
    )


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    # More digits would be noise, and differ between processors.
    red, green, blue = (round(float(value), 6) for value in values)
    return red, green, blue
