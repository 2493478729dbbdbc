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
#: What :func:`luminance` gives for the brightest px that may be black.
BLACK_LUMINANCE = BLACK_BOUND * 10_000


def luminance(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luminance of ``(…, 3)`` RGB in 1/2,550,000: whole numbers, exact, as all are below 2**24."""
    # float32 takes a third of the time of int32.
    red, green, blue = (rgb[..., i].astype(np.float32) for i in range(3))
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
    brightest = np.maximum(rgb[..., 0], rgb[..., 1])
    np.maximum(brightest, rgb[..., 2], out=brightest)
    dark: NDArray[np.bool_] = brightest <= BLACK_BOUND
    return dark


def tissue_mask(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where ``(…, 3)`` RGB is tissue: luminance ≤ 0.8 and not black.

    Transparent px must have been made white, as :meth:`SlideReader.read` does.
    """
    grey = luminance(rgb)
    tissue: NDArray[np.bool_] = grey <= _TISSUE_BOUND
    # Most patches have no px dark enough to be black: it need not be asked of each.
    if grey.size and grey.min() <= BLACK_LUMINANCE:
        tissue &= ~is_black(rgb)
    return tissue


def tissue_fraction(patch: NDArray[np.uint8]) -> float:
    """Share of a patch's px, ``(height, width, 3)`` RGB, that are tissue."""
    return int(np.count_nonzero(tissue_mask(patch))) / (int(patch.shape[0]) * int(patch.shape[1]))
