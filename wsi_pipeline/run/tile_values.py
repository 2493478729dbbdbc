"""What is kept of every tile: its answer, numbers computed beside it, and features."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: Bytes of answers from which they are taken apart.
_TAKEN_AT_ONCE = 2**20


class TileExtra(Protocol):
    """Computes numbers of each tile beside its classes, ``tiles/NAME`` of a result.

    It travels to workers with a task: small, frozen, equal to its copy. What it gives depends on
    nothing but the tile.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Of its columns, as the result's arrays are called."""
        ...

    def compute(self, answers: NDArray[np.float32]) -> NDArray[np.float32]:
        """The columns, float32 ``(n, len(names))``.

        Args:
            answers: All that the predictor answers: classes ``(n, …)``; with features
                ``(n, planes + features)``. Those of a tile that cannot be read, which are a white
                patch's, become NaN.
        """
        ...


@dataclass(frozen=True, slots=True)
class TileValues:
    """The numbers of one tile that a region yields and a checkpoint keeps.

    Attributes:
        answer: Shape of the classes' answer for one patch, rows and columns of a map included.
        extras: What is computed beside it.
        features: How many features are kept; 0 also where the predictor gives some.
    """

    answer: tuple[int, ...] = ()
    extras: tuple[TileExtra, ...] = ()
    features: int = 0

    @property
    def classes(self) -> int:
        """How many numbers the answer has."""
        return math.prod(self.answer)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all columns of the extras."""
        return tuple(name for one in self.extras for name in one.names)

    @property
    def count(self) -> int:
        """How many numbers a tile has."""
        return self.classes + len(self.names) + self.features

    def take(self, answers: NDArray[np.float32]) -> "RegionValues":
        """What is kept of some tiles.

        Args:
            answers: As the predictor gives them; columns beyond classes and features are for
                extras.
        """
        n = len(answers)
        computed = [one.compute(answers).reshape(n, -1) for one in self.extras]
        extras = np.concatenate([np.empty((n, 0), np.float32), *computed], axis=1)
        if answers.shape[1:] == self.answer and not self.features:
            return RegionValues(answers, extras, np.empty((n, 0), np.float32))
        return RegionValues(
            answers[:, : self.classes].reshape(n, *self.answer),
            extras,
            answers[:, self.classes : self.classes + self.features],
        )


@dataclass(frozen=True, slots=True)
class RegionValues:
    """What is kept of some tiles, all float32; NaN = unreadable.

    Attributes:
        probabilities: ``(n, *answer)``.
        extras: ``(n, columns)``.
        features: ``(n, features)``.
    """

    probabilities: NDArray[np.float32]
    extras: NDArray[np.float32]
    features: NDArray[np.float32]

    @staticmethod
    def joined(parts: "list[RegionValues]") -> "RegionValues":
        """Parts of a region, one after another."""
        return RegionValues(
            np.concatenate([one.probabilities for one in parts]),
            np.concatenate([one.extras for one in parts]),
            np.concatenate([one.features for one in parts]),
        )

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Which tiles could be read, ``(n,)``."""
        unreadable = np.zeros(len(self.probabilities), np.bool_)
        for values in (self.probabilities, self.features):
            unreadable |= np.isnan(values).any(axis=tuple(range(1, values.ndim)))
        return ~unreadable

    def forget(self, tiles: list[int]) -> None:
        """Make the numbers of tiles NaN."""
        for values in (self.probabilities, self.extras, self.features):
            values[tiles] = np.nan


class AnswerCollector:
    """Takes what is kept out of a region's answers, of many batches at a time.

    What is computed beside an answer takes as long for four tiles as for a hundred. Batches are
    always put together alike, so that no number depends on when they are answered.

    Memory: 1 MiB of answers and the next batch.

    Args:
        kept: What is kept.
    """

    def __init__(self, kept: TileValues) -> None:
        self._kept = kept
        self._waiting: list[NDArray[np.float32]] = []
        self._taken: list[RegionValues] = []

    def add(self, answers: NDArray[np.float32]) -> None:
        """Add the answers of the next batch."""
        self._waiting.append(answers)
        if sum(one.nbytes for one in self._waiting) >= _TAKEN_AT_ONCE:
            self._take()

    def values(self) -> RegionValues:
        """Of all tiles, in the order in which they came; at least one."""
        if self._waiting:
            self._take()
        return RegionValues.joined(self._taken)

    def _take(self) -> None:
        self._taken.append(self._kept.take(np.concatenate(self._waiting)))
        self._waiting.clear()
