"""The tissue rule for single px; DESIGN's words as code, exact in integers."""

import numpy as np
from numpy.typing import NDArray

#: Weights of R, G, B in luminance, in 1/10,000: those of ``skimage.color.rgb2gray`` (ITU-R BT.709).
_WEIGHTS = (2125, 7154, 721)
#: Luminance at or below which a px is tissue, of 1.
TISSUE_LUMINANCE = 0.8
_TISSUE_BOUND = round(TISSUE_LUMINANCE * 255 * 10_000)
#: A px with no channel above this is scanner padding or void; ink and nuclei are lighter.
BLACK_BOUND = 10


def luminance(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Luminance of ``(…, 3)`` RGB in 1/2,550,000: exact, unlike its float counterpart."""
    red, green, blue = (rgb[..., i].astype(np.int32) for i in range(3))
    red *= _WEIGHTS[0]
    green *= _WEIGHTS[1]
    blue *= _WEIGHTS[2]
    red += green
    red += blue
    return red


#: What :func:`luminance` gives for white.
WHITE_LUMINANCE = sum(_WEIGHTS) * 255


def is_black(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where ``(…, 3)`` RGB is scanner padding or void."""
    dark: NDArray[np.bool_] = rgb[..., 0] <= BLACK_BOUND
    return dark & (rgb[..., 1] <= BLACK_BOUND) & (rgb[..., 2] <= BLACK_BOUND)


def tissue_mask(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where ``(…, 3)`` RGB is tissue: luminance ≤ 0.8 and not black.

    Transparent px must have been made white, as :meth:`SlideReader.read` does.
    """
    return (luminance(rgb) <= _TISSUE_BOUND) & ~is_black(rgb)


def tissue_fraction(patch: NDArray[np.uint8]) -> float:
    """Share of a patch's px, ``(height, width, 3)`` RGB, that are tissue."""
    return int(np.count_nonzero(tissue_mask(patch))) / (int(patch.shape[0]) * int(patch.shape[1]))
