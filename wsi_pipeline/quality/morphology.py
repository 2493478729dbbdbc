"""Shapes in masks of the coarse picture, by running sums: as quick for large windows as for small.

Shrinking and growing use squares instead of discs; no detector needs more.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
_EIGHT = np.ones((3, 3), np.bool_)


def local_mean(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Mean of the square of ``side`` px around each px."""
    mean: NDArray[np.float32] = ndimage.uniform_filter(values, side, mode="nearest")
    return mean


def solid(mask: Mask, side: int, share: float = 0.7) -> Mask:
    """Where at least a share of the square around a px is set."""
    # Beyond the edge px count again, up to four times in a corner.
    if 4 * np.count_nonzero(mask) < share * side * side:
        return np.zeros_like(mask)
    return np.asarray(local_mean(mask.astype(np.float32), side) >= share)


def opened(mask: Mask, rows: int, columns: int) -> Mask:
    """What a rectangle of this size, lying wholly in the mask, can cover."""
    if not mask.any():
        return mask
    size = (rows, columns)
    kept = ndimage.minimum_filter(mask.view(np.uint8), size, mode="constant", cval=0)
    # An even window is off the middle by half a px; the way back is off the other way.
    origin = tuple(-1 if side % 2 == 0 else 0 for side in size)
    back = ndimage.maximum_filter(kept, size, mode="constant", cval=0, origin=origin)
    return np.asarray(back, np.bool_)


def grown(mask: Mask, px: int) -> Mask:
    """The mask and what lies within ``px`` of it."""
    if not mask.any():
        return mask
    near = ndimage.maximum_filter(mask.view(np.uint8), 2 * px + 1, mode="constant", cval=0)
    return np.asarray(near, np.bool_)


def large(mask: Mask, least_px: float) -> Mask:
    """Connected parts of at least so many px."""
    labels, count = ndimage.label(mask, _EIGHT)
    if not count:
        return mask
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    keep = sizes >= least_px
    keep[0] = False
    return np.asarray(keep[labels])


def reached(weak: Mask, seeds: Mask) -> Mask:
    """Connected parts of ``weak`` that hold a seed: thresholding with hysteresis (Canny 1986)."""
    if not seeds.any():
        return seeds
    labels, count = ndimage.label(weak | seeds, _EIGHT)
    keep = np.zeros(count + 1, np.bool_)
    keep[np.unique(labels[seeds])] = True
    keep[0] = False
    return np.asarray(keep[labels])
