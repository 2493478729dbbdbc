"""Optical density, in which the amounts of stains add, and the directions of known stains.

Stains absorb by Beer and Lambert's law: each weakens light by a factor, so that the optical density
of a px, and not its brightness, is in proportion to the amount of stain; a mixture of stains is a
sum of directions in the densities of red, green and blue (Ruifrok and Johnston 2001, Analytical and
Quantitative Cytology and Histology 23:291).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Optical density of each value 0-255, float64 ``(256,)``; white is 0, and black finite.
DENSITY: NDArray[np.float64] = -np.log10((np.arange(256) + 1) / 256)

#: Densities of haematoxylin, eosin and diaminobenzidine in R, G and B (Ruifrok and Johnston 2001),
#: as unit vectors ``(3, 3)``; where there is no third stain, the third takes what the others leave.
RUIFROK: NDArray[np.float64] = np.array(
    [(0.650, 0.704, 0.286), (0.072, 0.990, 0.105), (0.268, 0.570, 0.776)]
)
RUIFROK /= np.linalg.norm(RUIFROK, axis=1, keepdims=True)

#: Direction of the azure B of Giemsa and Wright stains: the first vector of "Giemsa" in
#: G. Landini's Colour Deconvolution for ImageJ.
AZURE: NDArray[np.float64] = np.array([0.834750233, 0.513556283, 0.196330403])
#: Likewise of the haemoglobin of red cells in a camera's channels.
HAEMOGLOBIN: NDArray[np.float64] = np.array([0.13, 0.70, 0.70])


def optical_density(
    pixels: NDArray[np.uint8], white: float | NDArray[Any] = 255.0
) -> NDArray[np.float64]:
    """Decimal logarithm of clear glass over px; 1 is added to both, so that black is finite.

    Args:
        pixels: ``(…, 3)`` RGB.
        white: What clear glass looks like, one value or one of each channel, 0-255.
    """
    density: NDArray[np.float64] = -np.log10((pixels + 1.0) / (white + 1.0))
    return density
