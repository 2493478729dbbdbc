"""The classes a model answers for, and how probabilities become one class for each cell.

A model has one *plane* of probabilities for each class; a binary one has the plane of its positive
class alone, since the other's is what is missing to 1. The *label* of a cell is a number in the
stored mask: binary 0 or 1 by the threshold; multiclass the index of the most likely class;
multilabel 0 for none, else 1 + the index of the most likely class that reaches the threshold.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Task = Literal["binary", "multiclass", "multilabel"]

#: Label of a cell without a probability; no class has it.
NOT_ANALYSED = 255
#: Most classes: labels are uint8, of which 254 is the fill value and 255 `NOT_ANALYSED`.
MOST = 250
#: Of classes whose package gives none: Okabe and Ito (2008), told apart with colour-blind eyes too,
#: in an order in which neighbours differ most.
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#f0e442", "#d55e00")
#: Of the positive class, where its package gives none.
_POSITIVE_COLOUR = "#d50000"


@dataclass(frozen=True, slots=True)
class ModelClass:
    """One class.

    Attributes:
        name: As the model's maker calls it.
        colour: ``#rrggbb``; empty where the maker gave none.
    """

    name: str
    colour: str = ""

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green, blue, 0-255."""
        red, green, blue = bytes.fromhex(self.colour.removeprefix("#"))
        return red, green, blue


@dataclass(frozen=True, slots=True)
class Classes:
    """All classes of a model.

    Attributes:
        task: How they exclude one another: ``binary`` and ``multiclass`` classes do, ``multilabel``
            ones do not.
        members: In the order of the model's answers.
        positive: Name of the class of interest: slides are ranked by it.
    """

    task: Task
    members: tuple[ModelClass, ...]
    positive: str

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) != len(names):
            raise ValueError("two classes have the same name")
        if self.positive not in names:
            raise ValueError(f"the positive class {self.positive!r} is not among the classes")
        most = 2 if self.task == "binary" else MOST
        if not 2 <= len(names) <= most:
            wanted = "two classes" if most == 2 else f"2 to {most} classes"
            raise ValueError(f"a {self.task} model has {wanted}, not {len(names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Of all classes."""
        return tuple(one.name for one in self.members)

    @property
    def planes(self) -> tuple[ModelClass, ...]:
        """The classes that have a plane of probabilities, each with a colour."""
        coloured = _coloured(self.members, self.positive)
        if self.task == "binary":
            return tuple(one for one in coloured if one.name == self.positive)
        return coloured

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the answer for one patch: a number, or a row with one for each plane."""
        return () if self.task == "binary" else (len(self.members),)

    @property
    def labels(self) -> dict[int, ModelClass]:
        """The classes by their label in the mask; the one for no class has no colour."""
        if self.task == "multiclass":
            return dict(enumerate(self.planes))
        other = "none"
        if self.task == "binary":
            other = next(name for name in self.names if name != self.positive)
        return dict(enumerate((ModelClass(other), *self.planes)))

    def label_of(self, name: str) -> int:
        """The label of a class that has a plane."""
        return next(label for label, one in self.labels.items() if one.name == name and one.colour)

    def plane_of(self, name: str, probability: NDArray[np.float32]) -> NDArray[np.float32]:
        """The plane of a class out of all, ``(rows, columns)``.

        Args:
            name: Of a class that has a plane.
            probability: ``(rows, columns)`` of a binary model, else ``(planes, rows, columns)``.

        Raises:
            KeyError: no plane has this name.
        """
        found = [index for index, one in enumerate(self.planes) if one.name == name]
        if not found:
            raise KeyError(name)
        return probability if self.task == "binary" else probability[found[0]]

    def decide(self, probability: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
        """The label of every cell, uint8 ``(rows, columns)``.

        Args:
            probability: ``(rows, columns)`` of a binary model, else ``(planes, rows, columns)``;
                what it says of cells that are NaN means nothing.
            threshold: Probability at and above which a binary or multilabel class is there.
        """
        planes = np.nan_to_num(np.atleast_3d(probability.T).T, nan=-1.0)
        # Where two are equal the first counts, always.
        likely = np.argmax(planes, axis=0)
        if self.task != "multiclass":
            # In float32, as the probabilities are: 0.5 stored and 0.5 asked for must meet.
            reached = planes.max(axis=0) >= np.float32(threshold)
            likely = np.where(reached, likely + 1, 0)
        return np.asarray(likely, np.uint8)

    def where(
        self, label: int, probability: NDArray[np.float32], threshold: float
    ) -> NDArray[np.bool_]:
        """Which cells a label's class is in, ``(rows, columns)``.

        As :meth:`decide` says it, but that classes of a multilabel model do not exclude one
        another: each is wherever its own probability reaches the threshold.

        Args:
            label: One of :attr:`labels`.
            probability: As for :meth:`decide`.
            threshold: As for :meth:`decide`.
        """
        if self.task == "multilabel" and label:
            reached = probability[label - 1] >= np.float32(threshold)
            return np.asarray(reached, np.bool_)
        return np.equal(self.decide(probability, threshold), label)


#: Of results and packages that say nothing of their classes.
TUMOUR_OR_NORMAL = Classes("binary", (ModelClass("normal"), ModelClass("tumour")), "tumour")


def logit(probabilities: NDArray[np.float32] | np.float32) -> NDArray[np.float64]:
    """Logits of probabilities, finite (±16) also where a float32 sigmoid has reached 0 or 1."""
    wide = np.clip(np.asarray(probabilities, np.float64), 1e-7, 1 - 1e-7)
    return np.log(wide / (1 - wide))


def margin(classes: Classes, answers: NDArray[np.float32], threshold: float) -> NDArray[np.float64]:
    """How far each answer is from another label, in logits, ``(n,)``.

    Binary and multilabel: the least distance of a class's logit from the threshold's; multilabel
    also half of the distance between the two largest logits, where one reaches the threshold, since
    both may move. Multiclass: between the logarithms of the two largest probabilities, which is the
    distance of their logits before the softmax.

    Args:
        classes: Of the model.
        answers: Probabilities ``(n,)`` of a binary model, else ``(n, planes)``.
        threshold: Divides binary and multilabel answers.
    """
    rows = _as_rows(answers)
    if classes.task == "multiclass":
        ordered = np.sort(_log(rows), axis=1)
        return np.asarray(ordered[:, -1] - ordered[:, -2], np.float64)
    limit, logits = logit(np.float32(threshold)), np.sort(logit(rows), axis=1)
    least = np.abs(logits - limit).min(axis=1)
    if rows.shape[1] > 1:
        between = (logits[:, -1] - logits[:, -2]) / 2
        least = np.where(logits[:, -1] >= limit, np.minimum(least, between), least)
    return np.asarray(least, np.float64)


def deviation(
    classes: Classes, answers: NDArray[np.float32], expected: NDArray[np.float32]
) -> NDArray[np.float64]:
    """How much answers may have moved a :func:`margin`, in logits, ``(n,)``.

    Args:
        classes: Of the model.
        answers: As they came out, shaped as for :func:`margin`.
        expected: As they should be.
    """
    ours, theirs = _as_rows(answers), _as_rows(expected)
    if classes.task == "multiclass":
        moved = _log(ours) - _log(theirs)
        return np.asarray(moved.max(axis=1) - moved.min(axis=1), np.float64)
    return np.asarray(np.abs(logit(ours) - logit(theirs)).max(axis=1), np.float64)


def class_columns(values: NDArray[np.float32], classes: tuple[int, ...]) -> NDArray[np.float32]:
    """The classes' part of answers with features, a view ``(n, *classes)``.

    Args:
        values: ``(n, planes + features)``.
        classes: Shape of the classes' answer for one patch.
    """
    columns = values[:, : math.prod(classes)]
    return columns if classes else columns[:, 0]


def _as_rows(answers: NDArray[np.float32]) -> NDArray[np.float32]:
    return answers[:, None] if answers.ndim == 1 else answers


def _log(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.log(np.clip(np.asarray(probabilities, np.float64), 1e-7, 1.0))


def _coloured(members: Sequence[ModelClass], positive: str) -> tuple[ModelClass, ...]:
    spare = iter(PALETTE * (1 + len(members) // len(PALETTE)))
    return tuple(
        one
        if one.colour
        else ModelClass(one.name, _POSITIVE_COLOUR if one.name == positive else next(spare))
        for one in members
    )
