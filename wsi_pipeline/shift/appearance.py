"""What a patch looks like in eleven numbers, without any model: its colour, focus and texture.

Colour is the optical density of its tissue (:mod:`wsi_pipeline.tissue.colours`). Focus and texture
are the energies of a Haar pyramid of luminance: the variance within blocks of 2 × 2 px, at px of
one, two, four, eight and sixteen times the size. The spectra of natural images fall off evenly
(Field 1987), and blur takes energy from the finest band first. So the finest band in proportion to
the next one tells the focus whatever the contrast, and the other bands tell the texture.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.tissue.colours import patch_colours

Part = Literal["colour", "focus", "texture"]
#: Which of the numbers tell what.
PARTS: dict[Part, slice] = {"colour": slice(0, 6), "focus": slice(6, 7), "texture": slice(7, 11)}
#: How many numbers there are.
APPEARANCE = 11
_BANDS = 5
#: Weights of R, G and B in luminance, as of the tissue rule.
_LUMINANCE = np.array([0.2125, 0.7154, 0.0721], np.float32)
#: Variance, in grey levels squared, that rounding leaves in a block: so the logarithm is bounded.
_NOISE = 0.1
#: Share of each number's variance that is added to it: keeps the covariance of few patches, or of
#: patches of one colour, invertible.
_RIDGE = 1e-3
_LEAST_VARIANCE = 1e-4


def patch_appearance(patch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Colour, focus and texture of a patch.

    Args:
        patch: ``(height, width, 3)`` RGB.

    Returns:
        float32 ``(11,)``: means and standard deviations of the optical densities of R, G and B
        in tissue; the logarithm of the finest band's share of the next one; the logarithms of
        the other four bands. NaN all of them where there is hardly any tissue, and the bands where
        the patch is less than 32 px wide or high.
    """
    colours = patch_colours(patch).ravel()
    found = np.full(APPEARANCE, np.nan, np.float32)
    found[PARTS["colour"]] = colours
    if np.isnan(colours).any() or min(patch.shape[:2]) < 1 << _BANDS:
        return found
    bands = _energies(patch)
    found[PARTS["focus"]] = bands[0] - bands[1]
    found[PARTS["texture"]] = bands[1:]
    return found


def _energies(patch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logarithms of the variance within blocks of 2 × 2 of ever larger px, ``(5,)``."""
    plane = patch @ _LUMINANCE
    found = np.empty(_BANDS)
    for band in range(_BANDS):
        height, width = (side // 2 * 2 for side in plane.shape)
        upper, lower = plane[:height:2, :width], plane[1:height:2, :width]
        rows = upper + lower
        left, right = rows[:, ::2], rows[:, 1::2]
        # Of differences, so that nothing is lost where they are small beside the mean.
        down, across = (upper - lower).ravel(), (left - right).ravel()
        found[band] = (2 * (down @ down) + across @ across) / (4 * height * width)
        plane = (left + right) * np.float32(0.25)
    return np.log(found + _NOISE).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Looks:
    """What training patches look like.

    Attributes:
        mean: Of their appearance, float64 ``(11,)``.
        covariance: From patch to patch, float64 ``(11, 11)``.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def distances(self, appearance: NDArray[np.floating]) -> dict[Part, NDArray[np.float64]]:
        """Mahalanobis distances of appearances from the mean, of each part by itself.

        Args:
            appearance: ``(n, 11)``; NaN gives NaN.
        """
        away = np.asarray(appearance, np.float64) - self.mean
        return {part: self._distance(away[:, of], of) for part, of in PARTS.items()}

    def _distance(self, away: NDArray[np.float64], of: slice) -> NDArray[np.float64]:
        spread = np.linalg.inv(self.covariance[of, of])
        found: NDArray[np.float64] = np.sqrt(np.einsum("ij,jk,ik->i", away, spread, away))
        return found


def looks_of(appearance: NDArray[np.floating]) -> Looks:
    """Mean and covariance of appearances ``(n, 11)`` without NaN, n ≥ 2."""
    values = np.asarray(appearance, np.float64)
    covariance = np.cov(values, rowvar=False)
    ridge = _RIDGE * np.diag(covariance) + _LEAST_VARIANCE
    return Looks(values.mean(axis=0), covariance + np.diag(ridge))
