"""Shapes in masks of the coarse picture: nearly as quick for large windows as for small.

Shrinking and growing use squares instead of discs; no detector needs more. A mask is combined with
itself, moved by twice as many px each time: that takes a tenth of the time of SciPy's filters,
which go px by px.
"""

from collections.abc import Callable, Iterator

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
    """Where at least a share of the square of ``side`` px, an odd number, around a px is set.

    Beyond the edge, px are as the last ones before it.
    """
    half, least = side // 2, share * side * side
    ends = (0, -1)
    edges = sum(np.count_nonzero(mask[end]) + np.count_nonzero(mask[:, end]) for end in ends)
    corners = sum(int(mask[y, x]) for y in ends for x in ends)
    if np.count_nonzero(mask) + half * edges + half**2 * corners < least:
        return np.zeros_like(mask)
    padded = np.pad(mask, half, mode="edge").astype(np.min_scalar_type(side * side))
    count = _sums(_sums(padded, side).T, side).T
    return np.asarray(count >= least)


def opened(mask: Mask, rows: int, columns: int) -> Mask:
    """What a rectangle of this size, lying wholly in the mask, can cover."""
    if not mask.any():
        return mask
    padded = np.pad(mask, ((rows - 1, rows - 1), (columns - 1, columns - 1)))
    inside = _windows(_windows(padded, columns, np.logical_and).T, rows, np.logical_and).T
    return _windows(_windows(inside, columns, np.logical_or).T, rows, np.logical_or).T


def grown(mask: Mask, px: int) -> Mask:
    """The mask and what lies within ``px`` of it."""
    if not mask.any():
        return mask
    padded, side = np.pad(mask, px), 2 * px + 1
    return _windows(_windows(padded, side, np.logical_or).T, side, np.logical_or).T


def shrunk(mask: Mask, px: int) -> Mask:
    """What has the mask all around within ``px``; beyond the edge nobody asks."""
    return ~grown(~mask, px)


def large(mask: Mask, least_px: float) -> Mask:
    """Connected parts of at least so many px."""
    if np.count_nonzero(mask) < least_px:
        return np.zeros_like(mask)
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


def _windows(mask: Mask, length: int, combine: Callable[[Mask, Mask], Mask]) -> Mask:
    """Px of runs of ``length`` columns combined, for each run that lies in the mask."""
    combined = 1
    while combined < length:
        more = min(combined, length - combined)
        mask = combine(mask[:, :-more], mask[:, more:])
        combined += more
    return mask


def _sums(values: NDArray[np.integer], length: int) -> NDArray[np.integer]:
    """Sums of runs of ``length`` columns, for each run that lies in the values."""
    width, done, side = values.shape[1] - length + 1, 0, 1
    total = np.zeros((values.shape[0], width), values.dtype)
    while True:
        if length & side:
            total += values[:, done : done + width]
            done += side
        if done == length:
            return total
        values = values[:, :-side] + values[:, side:]
        side *= 2
