"""What a field is stained with: optical densities, and the shares of haemoglobin and azure in them.

Densities add where cells overlap, and a mixture of two stains is a sum of two directions in them,
see :mod:`wsi_pipeline.stain.density`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.cells import shapes
from wsi_pipeline.stain.density import AZURE, HAEMOGLOBIN, optical_density

#: Densities of blue and red in red cells as shares of that of green: at least, and at most.
_BLUE, _RED = 0.65, 0.6
#: Least share of the stained px that has to look like red cells.
_FEWEST_RED = 0.05
#: Least density of stain, summed over the channels. Below it there is nothing but noise.
_LEAST_DENSITY = 0.06


@dataclass(frozen=True, slots=True)
class Stains:
    """A field's stains, each float64 ``(height, width)``.

    All are in units of the field's usual red cell: 1 is as dense as that, whatever the camera and
    the strength of the stain.

    Attributes:
        density: Of all channels together.
        azure: Of the stain of nuclei and platelets; 0 in red cells.
        violet: How much more green than blue is held back, compared with red cells; 0 in those.
            Cytoplasm and granules of white cells show in it.
        stained: bool, where there is any cell: density above half of Otsu's threshold.
    """

    density: NDArray[np.float64]
    azure: NDArray[np.float64]
    violet: NDArray[np.float64]
    stained: NDArray[np.bool_]


def separate(pixels: NDArray[np.uint8], blur: float, share: float) -> Stains | None:
    """A field's stains; None where nothing is stained.

    Args:
        pixels: ``(height, width, 3)`` RGB.
        blur: Standard deviation of the Gaussian that takes noise away, px.
        share: Of Otsu's threshold, at which a px counts as stained. Otsu's lies in the middle
            between glass and dense cells; pale cells are below it.
    """
    densities = _densities(pixels)
    smooth = ndimage.gaussian_filter(densities, (blur, blur, 0))
    total = smooth.sum(axis=2)
    limit = shapes.otsu(total)
    dense = total > limit
    if limit < _LEAST_DENSITY or not dense.any():
        return None
    red = _red_cells(smooth[dense], densities[dense])
    strength = float(np.linalg.norm(red))
    direction = red / strength
    other = np.cross(direction, AZURE)
    basis = np.stack([direction, AZURE, other / np.linalg.norm(other)])
    shares = smooth @ np.linalg.inv(basis) / strength
    violet = (smooth[..., 1] * direction[2] - smooth[..., 2] * direction[1]) / strength
    return Stains(total / float(red.sum()), shares[..., 1], violet, total > share * limit)


def _red_cells(smooth: NDArray[np.float64], dense: NDArray[np.float64]) -> NDArray[np.float64]:
    """The usual densities of red, green and blue in red cells.

    Of the px that hold back blue about as much as green, and red much less: haemoglobin does, azure
    does not. Where there are too few, as in a field of white cells only, its direction is taken for
    known, and nuclei for twice as dense.

    Args:
        smooth: Densities of stained px without noise, ``(n, 3)``: which px are like red cells.
        dense: The same px as they are: how dense they are.
    """
    red, green, blue = smooth.T
    like = (blue > _BLUE * green) & (red < _RED * green)
    if like.mean() >= _FEWEST_RED:
        return np.asarray(np.maximum(np.median(dense[like], axis=0), 1e-3))
    usual = np.median(np.linalg.norm(dense, axis=1)) / 2
    return np.asarray(HAEMOGLOBIN * max(float(usual), 1e-3))


def _densities(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Optical densities, float64 ``(height, width, 3)``.

    The glass is the commonest brightness among the px brighter than Otsu's threshold.
    """
    brightness = pixels.mean(axis=2)
    if np.ptp(brightness) < 1:
        return np.zeros(pixels.shape)
    bright = brightness[brightness > shapes.otsu(brightness)]
    counts = ndimage.gaussian_filter1d(np.bincount(bright.astype(int), minlength=256) * 1.0, 2)
    glass = np.abs(brightness - counts.argmax()) <= 3
    white = np.median(pixels[glass], axis=0) if glass.any() else pixels.max(axis=(0, 1))
    return optical_density(pixels, white)
