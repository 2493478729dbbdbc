"""The four counts of a yes-no decision, and the shares made of them."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of right and wrong decisions; a share of nothing is NaN.

    Attributes:
        tp: Positives called positive.
        fp: Negatives called positive.
        tn: Negatives called negative.
        fn: Positives called negative.
    """

    tp: int
    fp: int
    tn: int
    fn: int

    @classmethod
    def of(cls, labels: ArrayLike, called: ArrayLike) -> "Confusion":
        """Count decisions.

        Args:
            labels: True where positive, ``(n,)``.
            called: True where called positive, ``(n,)``.
        """
        positive, yes = np.asarray(labels).astype(bool), np.asarray(called).astype(bool)
        if positive.shape != yes.shape:
            raise ValueError(f"{positive.size} labels, but {yes.size} decisions")
        return cls(
            tp=int(np.count_nonzero(positive & yes)),
            fp=int(np.count_nonzero(~positive & yes)),
            tn=int(np.count_nonzero(~positive & ~yes)),
            fn=int(np.count_nonzero(positive & ~yes)),
        )

    @classmethod
    def at(cls, labels: ArrayLike, scores: ArrayLike, threshold: float) -> "Confusion":
        """Count decisions of scores at and above a threshold, compared in the scores' own type."""
        values = np.asarray(scores)
        return cls.of(labels, values >= np.asarray(threshold).astype(values.dtype))

    def __add__(self, other: "Confusion") -> "Confusion":
        return Confusion(
            self.tp + other.tp, self.fp + other.fp, self.tn + other.tn, self.fn + other.fn
        )

    @property
    def total(self) -> int:
        """How many decisions there are."""
        return self.tp + self.fp + self.tn + self.fn

    @property
    def precision(self) -> float:
        """Share of those called positive that are."""
        return share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of the positives called positive; also called sensitivity."""
        return share(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Share of the negatives called negative."""
        return share(self.tn, self.tn + self.fp)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def accuracy(self) -> float:
        """Share of the right decisions."""
        return share(self.tp + self.tn, self.total)

    def to_json(self) -> dict[str, int]:
        """The counts as plain values."""
        return asdict(self)


def majority_baseline(labels: ArrayLike) -> Confusion:
    """What always answering with the more frequent class gets; the negative one where equal.

    A figure that does not beat it says nothing.
    """
    positive = np.asarray(labels).astype(bool)
    yes = 2 * np.count_nonzero(positive) > positive.size
    return Confusion.of(positive, np.full(positive.shape, yes))


def share(part: float, whole: float) -> float:
    """A share; NaN of nothing."""
    return part / whole if whole else float("nan")
