"""What is kept of every tile: its answer, numbers computed beside it, and features."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class TileExtra(Protocol):
    """Computes numbers of each tile beside its classes, ``tiles/NAME`` of a result.

    It travels to workers with a task: small, frozen, equal to its copy. What it gives depends on
    nothing but the tile.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Of its columns, as the result's arrays are called."""
        ...

    def compute(
        self, patches: NDArray[np.uint8], answers: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The columns, float32 ``(n, len(names))``.

        Args:
            patches: ``(n, patch, patch, 3)`` RGB; white where a tile cannot be read, whose numbers
                become NaN.
            answers: All that the predictor answers: classes ``(n, …)``; with features
                ``(n, planes + features)``.
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

    def take(self, patches: NDArray[np.uint8], answers: NDArray[np.float32]) -> "RegionValues":
        """What is kept of a batch.

        Args:
            patches: ``(n, patch, patch, 3)`` RGB.
            answers: As the predictor gives them; columns beyond classes and features are for
                extras.
        """
        n = len(answers)
        computed = [one.compute(patches, answers).reshape(n, -1) for one in self.extras]
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
        """Batches of a region, one after another."""
        return RegionValues(
            np.concatenate([one.probabilities for one in parts]),
            np.concatenate([one.extras for one in parts]),
            np.concatenate([one.features for one in parts]),
        )

    @property
    def lost(self) -> int:
        """How many tiles could not be read."""
        unreadable = np.zeros(len(self.probabilities), np.bool_)
        for values in (self.probabilities, self.features):
            unreadable |= np.isnan(values).any(axis=tuple(range(1, values.ndim)))
        return int(unreadable.sum())

    def forget(self, tiles: list[int]) -> None:
        """Make the numbers of tiles NaN."""
        for values in (self.probabilities, self.extras, self.features):
            values[tiles] = np.nan
