"""Prediction sets: every class that an image may well be of, with a promise how often they hold it.

Split conformal prediction with the least ambiguous sets (LAC, Sadinle, Lei and Wasserman 2019).
Of validation images that nothing was trained on, the score is 1 - p(true class). At coverage ``c``
the set of an image holds every class with ``1 - p <= q``, ``q`` being the ``ceil((n + 1) c)``-th
smallest of the ``n`` scores. Over images that come from where the validation images came from, the
set then holds the true class with a probability of at least ``c``, whatever the model; of images
from elsewhere nothing is promised. A set of one class is an answer; one of several classes, or of
none, means that a person has to look.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsi_pipeline.classes import Classes
from wsi_pipeline.model.package import CONFORMAL, ModelPackage
from wsi_pipeline.model.pinning import write_npz

#: The share of images whose set shall hold the true class, where nobody asks for another.
USUAL_COVERAGE = 0.9
#: ``(n + 1) c`` is a whole number more often than its floating-point product.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Conformal:
    """What prediction sets are made with.

    Attributes:
        scores: float64 ``(n,)``, ascending: 1 - p(true class) of the validation images.
    """

    scores: NDArray[np.float64]

    def limit(self, coverage: float) -> float:
        """The largest ``1 - p`` of a class in a set: ``q`` of the formula above.

        1, which every class meets, where the images are too few for the coverage.

        Args:
            coverage: Above 0 and below 1.

        Raises:
            ValueError: it is not.
        """
        if not 0 < coverage < 1:
            raise ValueError(f"a coverage is above 0 and below 1, not {coverage:g}")
        rank = math.ceil((len(self.scores) + 1) * coverage - _ROUNDING)
        return 1.0 if rank > len(self.scores) else float(self.scores[rank - 1])

    def sets(self, probabilities: ArrayLike, coverage: float) -> NDArray[np.bool_]:
        """Which classes are in the set of each image, bool ``(n, classes)``.

        Args:
            probabilities: Calibrated, of all classes, as :func:`of_all_classes` gives them.
            coverage: As for :meth:`limit`.
        """
        missing = 1 - np.asarray(probabilities, np.float64)
        return np.asarray(missing <= self.limit(coverage), np.bool_)


def scores_of(probabilities: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """The scores of validation images, float64 ``(n,)``, ascending.

    Args:
        probabilities: Calibrated, of all classes, ``(n, classes)``.
        truth: Index of the true class, ``(n,)``.
    """
    wide, index = np.asarray(probabilities, np.float64), np.asarray(truth, np.int64)
    return np.sort(1 - wide[np.arange(len(index)), index])


def of_all_classes(classes: Classes, answers: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities of all classes in the order of their names, float64 ``(n, classes)``.

    Args:
        classes: Of the model.
        answers: As the runtime gives them: ``(n,)`` of a binary model's positive class, else
            ``(n, classes)``.
    """
    wide = np.asarray(answers, np.float64)
    if classes.task != "binary":
        return wide
    two = [1 - wide, wide] if classes.names[1] == classes.positive else [wide, 1 - wide]
    return np.stack(two, axis=1)


def conformal_of(package: ModelPackage) -> Conformal | None:
    """A package's; None where it holds no scores, or its classes do not exclude one another."""
    scores = package.conformal_scores()
    if scores is None or package.classes.task == "multilabel":
        return None
    return Conformal(np.sort(scores))


def write_conformal(folder: Path, scores: NDArray[np.float64]) -> None:
    """Put the scores into the folder of a package that is being made.

    Args:
        folder: Before its files are pinned.
        scores: As :func:`scores_of` gives them.
    """
    write_npz(folder / CONFORMAL, scores=np.asarray(scores, np.float64))
