"""Shapes in masks of the coarse picture, by running sums: as quick for large windows as for small.

Shrinking and growing use squares instead of discs; no detector needs more.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
Plane = NDArray[np.float32]
_BAND_PX = 2**18
_EIGHT = np.ones((3, 3), np.bool_)


def local_mean(values: Plane, side: int) -> Plane:
    """Mean of the square of ``side`` px around each px."""
    mean: Plane = ndimage.uniform_filter(values, side, mode="nearest")
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
    labels, count = labelled(mask)
    if not count:
        return mask
    return chosen(labels, mask, part_sizes(labels, mask, count) >= least_px)


def reached(weak: Mask, seeds: Mask) -> Mask:
    """Connected parts of ``weak`` that hold a seed: thresholding with hysteresis (Canny 1986)."""
    if not seeds.any():
        return seeds
    either = weak | seeds
    labels, count = labelled(either)
    keep = np.zeros(count + 1, np.bool_)
    keep[labels[seeds]] = True
    return chosen(labels, either, keep)


def labelled(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Number of the connected part that each px is of, 0 outside; and how many there are."""
    labels, count = ndimage.label(mask, _EIGHT)
    return labels, count


def part_sizes(labels: NDArray[np.int32], mask: Mask, count: int) -> NDArray[np.int64]:
    """Px of each part inside a mask, ``(count + 1,)``; the first is no part."""
    sizes = np.zeros(count + 1, np.int64)
    for band in bands(mask):
        sizes += np.bincount(labels[band][mask[band]], minlength=count + 1)
    return sizes


def chosen(labels: NDArray[np.int32], mask: Mask, keep: Mask) -> Mask:
    """The mask's px that are of parts to keep.

    Args:
        labels: As :func:`labelled` gives them.
        mask: What was labelled, or a part of it.
        keep: One for each part and, first, one that is of no use.
    """
    found = np.zeros_like(mask)
    for band in bands(mask):
        found[band][mask[band]] = keep[labels[band][mask[band]]]
    return found


def bands(mask: Mask) -> Iterator[slice]:
    """Rows of a picture, some at a time, where what is computed takes several bytes of each px."""
    rows = max(1, _BAND_PX // max(1, mask.shape[1]))
    for top in range(0, mask.shape[0], rows):
        yield slice(top, top + rows)
