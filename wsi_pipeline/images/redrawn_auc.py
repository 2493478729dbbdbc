"""Areas under the ROC curve of many redrawn collections at once."""

import numpy as np
from numpy.typing import NDArray

#: Numbers held at once, at most.
_HELD = 4_000_000


def redrawn_aucs(
    truth: NDArray[np.bool_],
    scores: NDArray[np.float64],
    drawn: NDArray[np.float64],
    groups: NDArray[np.int64],
) -> NDArray[np.float64]:
    """How often an image of a class scores above one of another, ties half, in each collection.

    The weighted Mann-Whitney statistic: an image counts as often as its group was drawn.

    Args:
        truth: True where an image is of a class, ``(n, classes)``.
        scores: ``(n, classes)``.
        drawn: How often each group is in each collection, ``(resamples, groups)``.
        groups: Of each image, ``(n,)``.

    Returns:
        ``(resamples, classes)``; NaN where a class is missing, or all others are.
    """
    found = np.full((len(drawn), truth.shape[1]), np.nan)
    step = max(1, _HELD // max(len(truth), 1))
    for place in range(truth.shape[1]):
        order = np.argsort(scores[:, place], kind="stable")
        ordered, positive = scores[order, place], truth[order, place]
        starts = np.flatnonzero(np.r_[True, np.diff(ordered) > 0])
        for first in range(0, len(drawn), step):
            often = drawn[first : first + step][:, groups[order]]
            # Of each distinct score, from low to high: positives and negatives that have it.
            yes = np.add.reduceat(often * positive, starts, axis=1)
            no = np.add.reduceat(often * ~positive, starts, axis=1)
            above = (yes * (np.cumsum(no, axis=1) - no / 2)).sum(axis=1)
            pairs = yes.sum(axis=1) * no.sum(axis=1)
            np.divide(above, pairs, out=found[first : first + step, place], where=pairs > 0)
    return found
