"""Does the statement of the clear slides hold: validation slides divided at random, many times."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsi_pipeline.slide_level.conformal import clear_limit

SPLITS = 200


@dataclass(frozen=True, slots=True)
class Splits:
    """What became of each division.

    Attributes:
        clear: Slides of the other half that were called clear, ``(splits,)``.
        missed: Positive ones among them, ``(splits,)``.
    """

    clear: NDArray[np.int64]
    missed: NDArray[np.int64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Of the positive slides among the clear ones; 0 where none was called clear."""
        return np.asarray(self.missed / np.maximum(self.clear, 1), np.float64)

    def kept(self, alpha: float) -> float:
        """In which share of the divisions at most ``alpha`` of the clear slides were positive."""
        return float((self.shares <= alpha).mean()) if len(self.clear) else 1.0


def random_splits(
    scores: ArrayLike,
    positive: ArrayLike,
    alpha: float,
    delta: float,
    *,
    splits: int = SPLITS,
    seed: int = 0,
) -> Splits:
    """Choose the limit on a random half of the slides, and count on the other, many times.

    As in a package no limit is above the share of positive slides. The share that is counted has
    the chance of the other half's few slides in it, for which the rule allows.

    Args:
        scores: Probabilities of slides no fit had seen, one of each patient, ``(n,)``.
        positive: Whether each is, ``(n,)``.
        alpha: Of the rule.
        delta: Of the rule.
        splits: How many divisions.
        seed: Of them.
    """
    values, labels = np.asarray(scores, np.float64), np.asarray(positive, np.bool_)
    rng = np.random.default_rng(seed)
    clear, missed = np.zeros((2, splits), np.int64)
    for number in range(splits):
        order = rng.permutation(len(values))
        half, other = np.array_split(order, 2)
        share = float(labels[half].mean())
        limit = clear_limit(values[half], labels[half], alpha, delta, highest=share).value
        if limit is not None:
            below = values[other] < limit
            clear[number], missed[number] = below.sum(), labels[other][below].sum()
    return Splits(clear, missed)
