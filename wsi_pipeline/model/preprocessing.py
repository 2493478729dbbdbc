"""From patches of the slide to what a network is given: resized, padded, cropped.

With Pillow on 8-bit px, as torchvision's transforms on images and timm do it, so that a model
imported from elsewhere is given the very px it was given there.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.model.description import ModelDescription

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}


class Preparer:
    """Applies a package's preprocessing but for the normalisation, which the network includes.

    Args:
        description: Of the package.

    Attributes:
        patch_px: Side of a patch.
        input_px: Side of what the network is given.
    """

    def __init__(self, description: ModelDescription) -> None:
        self._steps = description.preprocessing
        self.patch_px = description.patch_px
        self.input_px = description.input_px

    def __call__(self, patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What the network is given.

        Args:
            patches: ``(n, patch, patch, 3)`` RGB.

        Returns:
            ``(n, input, input, 3)`` RGB; the same array where nothing has to be done.
        """
        resize = self._steps.resize
        if resize is not None and resize.px != self.patch_px:
            patches = _resized(patches, resize.px, _FILTERS[resize.interpolation])
        return _cropped(self._padded(patches), self.input_px)

    def _padded(self, patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
        missing = max(0, (self._steps.pad or 0) - patches.shape[1])
        if missing == 0:
            return patches
        sides = (missing // 2, missing - missing // 2)
        return np.pad(patches, ((0, 0), sides, sides, (0, 0)), constant_values=self._steps.fill)


def _resized(
    patches: NDArray[np.uint8], side: int, resampling: Image.Resampling
) -> NDArray[np.uint8]:
    out = np.empty((len(patches), side, side, 3), np.uint8)
    for index, patch in enumerate(patches):
        out[index] = np.asarray(Image.fromarray(patch).resize((side, side), resampling))
    return out


def _cropped(patches: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    surplus = patches.shape[1] - side
    if surplus == 0:
        return patches
    # As torchvision's CenterCrop: Python's rounding of half the surplus.
    first = round(surplus / 2.0)
    return np.ascontiguousarray(patches[:, first : first + side, first : first + side])
