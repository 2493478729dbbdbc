"""Pictures of known amounts of two stains, for whatever finds or changes them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.stain.density import RUIFROK


def draw_stained(
    height: int,
    width: int,
    *,
    seed: int = 0,
    strength: Sequence[float] = (1.0, 1.0),
    glass: int = 0,
) -> NDArray[np.uint8]:
    """Nuclei, some px across, on stroma of uneven strength, ``(height, width, 3)`` RGB.

    Args:
        height: In px.
        width: In px.
        seed: Of the tissue; the same tissue can be stained otherwise.
        strength: Of haematoxylin and of eosin.
        glass: Columns at the left that are clear glass.
    """
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(height, width)), 4)
    nuclei = ndimage.gaussian_filter((field > 0.06).astype(float), 0.7)
    uneven = ndimage.gaussian_filter(rng.normal(size=(height, width)), 8)
    haematoxylin = 0.7 * nuclei * (1 + 0.3 * rng.random((height, width)))
    eosin = (1 - nuclei) * np.clip(0.25 + 2 * uneven, 0.1, 0.6)
    amounts = np.stack([haematoxylin, eosin], axis=-1) * np.asarray(strength)
    light = 256 * 10 ** -(amounts @ RUIFROK[:2]) - 1
    light[:, :glass] = 243
    pixels: NDArray[np.uint8] = np.clip(light + 0.5, 0, 255).astype(np.uint8)
    return pixels
