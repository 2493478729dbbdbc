"""From probabilities to what a person is told: classes, the prediction set, whether to look again.

The rule of ``review``: look again where the prediction set holds several classes, or none. Sets
are made of what the package keeps in ``conformal.npz``; see :mod:`wsi_pipeline.images.conformal`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsi_pipeline.images.conformal import conformal_of
from wsi_pipeline.model.package import CONFORMAL, ModelPackage


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is told of one image.

    Attributes:
        called: The class it is called; of a multilabel model all that reach the threshold.
        ranked: Indices of all classes, the most likely first.
        members: The prediction set; None where the package makes none.
        reason: Why to look again; empty where there is no reason.
    """

    called: tuple[str, ...]
    ranked: tuple[int, ...]
    members: tuple[str, ...] | None
    reason: str

    @property
    def review(self) -> bool | None:
        """Whether a person has to look again; None where the package makes no sets."""
        return None if self.members is None else len(self.members) != 1


class Judge:
    """Decides by the rules of one package.

    Args:
        package: The model.
        coverage: Share of the images whose set shall hold the true class.

    Attributes:
        unavailable: Why there is no ``review``; empty where there is.
        limit: Least probability of a class in a set; None where there are no sets.
    """

    def __init__(self, package: ModelPackage, coverage: float) -> None:
        self._classes = package.classes
        self._threshold = package.description.threshold.value
        self._conformal = conformal_of(package)
        self._coverage = coverage
        self.unavailable = ""
        self.limit = None
        if self._conformal is not None:
            self.limit = 1 - self._conformal.limit(coverage)
        elif self._classes.task == "multilabel":
            self.unavailable = "prediction sets are for classes that exclude one another"
        else:
            self.unavailable = (
                f"the package has no {CONFORMAL}, which wsi train writes from validation images"
            )

    def __call__(self, probabilities: Sequence[float]) -> Verdict:
        """What is told of an image.

        Args:
            probabilities: Of all classes in their order.
        """
        names, values = self._classes.names, np.array(probabilities)
        ranked = tuple(int(index) for index in np.argsort(-values, kind="stable"))
        called = self._called(values, ranked)
        if self._conformal is None:
            return Verdict(called, ranked, None, "")
        inside = self._conformal.sets(values[None], self._coverage)[0]
        members = tuple(names[index] for index in ranked if inside[index])
        reason = ""
        if len(members) > 1:
            reason = f"may be {' or '.join(members)}"
        elif not members:
            reason = "resembles no class well enough"
        return Verdict(called, ranked, members, reason)

    def _called(self, values: np.ndarray, ranked: tuple[int, ...]) -> tuple[str, ...]:
        names, task = self._classes.names, self._classes.task
        if task == "multiclass":
            return (names[ranked[0]],)
        # In float32, as the probabilities are: 0.5 computed and 0.5 asked for must meet.
        reached = values.astype(np.float32) >= np.float32(self._threshold)
        if task == "multilabel":
            return tuple(names[index] for index in ranked if reached[index])
        positive = names.index(self._classes.positive)
        return (names[positive if reached[positive] else 1 - positive],)


def explained_class(verdict: Verdict, names: Sequence[str]) -> int:
    """Index of the class to explain: the one it is called; of several, or none, the likeliest.

    Args:
        verdict: What is told of an image.
        names: Of all classes, in their order.
    """
    return names.index(verdict.called[0]) if verdict.called else verdict.ranked[0]
