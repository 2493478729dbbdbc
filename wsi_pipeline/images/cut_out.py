"""A cell cut out of its background: everything but the cell in the middle is made white."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Side in px at which the cell is looked for: its outline needs no more, and images of all sizes
#: take the same time.
_SIDE = 128
#: Px of the small image by which the outline is closed.
_CLOSED = 3
#: Least share of the image that is a cell.
_LEAST_SHARE = 0.01
_WHITE = 255


def cut_out(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The stained cell in the middle on white; the image as it is where there is none.

    Otsu's threshold of saturation less green divides stained from pale px, gaps are closed and
    holes filled, and of the objects the one is kept that is largest, each px weighted by its
    nearness to the middle (a Gaussian of a quarter of the side).

    Args:
        pixels: ``(height, width, 3)`` RGB.
    """
    height, width = pixels.shape[:2]
    small = np.asarray(
        Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float64
    )
    mask = _middle_object(small)
    if mask is None:
        return pixels
    wide = Image.fromarray(mask.astype(np.uint8) * 255).resize((width, height))
    kept = np.asarray(wide) >= 128
    return np.where(kept[..., None], pixels, np.uint8(_WHITE))


def _middle_object(small: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """Where the cell is, ``(side, side)``; None where nothing is stained."""
    from scipy.ndimage import binary_closing, binary_fill_holes  # noqa: PLC0415 - few packages cut
    from skimage.filters import threshold_otsu  # noqa: PLC0415 - as above
    from skimage.measure import label  # noqa: PLC0415 - as above
    from skimage.morphology import disk  # noqa: PLC0415 - as above

    high = small.max(axis=2)
    saturation = (high - small.min(axis=2)) / np.maximum(high, 1)
    stained = saturation - small[..., 1] / 255
    if np.ptp(stained) < 0.05:
        return None
    limit = threshold_otsu(stained)  # type: ignore[no-untyped-call]  # scikit-image types few
    mask = binary_closing(stained > limit, disk(_CLOSED))  # type: ignore[no-untyped-call]  # as above
    objects = label(binary_fill_holes(mask))  # type: ignore[no-untyped-call]  # as above
    offset = (np.arange(_SIDE) + 0.5) / _SIDE - 0.5
    near = np.exp(-8 * (offset[:, None] ** 2 + offset[None, :] ** 2))
    weight = np.bincount(objects.ravel(), near.ravel())
    if len(weight) < 2:
        return None
    found: NDArray[np.bool_] = objects == 1 + int(np.argmax(weight[1:]))
    return found if found.mean() >= _LEAST_SHARE else None
