"""What all trained networks together say of a slide: logits of each, and one attention."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.slide_level.attention.forward import forward
from wsi_pipeline.slide_level.attention.head_file import Heads


@dataclass(frozen=True, slots=True)
class HeadAnswer:
    """The answer of the networks of a package.

    Attributes:
        logits: Of each network, float64 ``(members, outputs)``.
        attention: Mean of theirs, float32 ``(n,)``, sum 1 over the tiles that could be read; NaN
            of the others.
    """

    logits: NDArray[np.float64]
    attention: NDArray[np.float32]


def ask(heads: Heads, features: NDArray[np.float32]) -> HeadAnswer | None:
    """Ask every network of a slide.

    Args:
        heads: The networks.
        features: One row for each tile in plan order, float32 ``(n, features)``; NaN = unreadable.

    Returns:
        The answer; None where no tile could be read.
    """
    readable = ~np.isnan(features).any(axis=1)
    if not readable.any():
        return None
    bag = np.ascontiguousarray(features[readable])
    answers = [forward(heads.design, member, bag) for member in heads.members]
    attention = np.full(len(features), np.nan, np.float32)
    attention[readable] = np.mean([shares for _, shares in answers], axis=0)
    return HeadAnswer(np.array([logits for logits, _ in answers], np.float64), attention)


def ranked(attention: NDArray[np.float32]) -> NDArray[np.float32]:
    """Attention as heatmaps show it: its rank among the slide's tiles, 0-1.

    0 is the least of the slide, 1 the most, equal ones share the mean of their ranks, as in the
    heatmaps of CLAM. It tells where in *this* slide the model looked, and nothing of how much more
    than elsewhere.

    Args:
        attention: ``(n,)``; NaN = unreadable.

    Returns:
        float32 ``(n,)``; NaN stays. A single tile has 1.
    """
    found = np.full(len(attention), np.nan, np.float32)
    known = ~np.isnan(attention)
    count = int(known.sum())
    if count:
        from scipy.stats import rankdata  # noqa: PLC0415 - takes a second, few packages attend

        ranks = rankdata(attention[known]) - 1
        found[known] = ranks / (count - 1) if count > 1 else 1.0
    return found
