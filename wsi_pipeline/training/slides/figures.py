"""What slides' scores are worth: discrimination, calibration, confusion, each with its interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.metrics.bootstrap import Estimate, interval
from wsi_pipeline.metrics.calibration import reliability
from wsi_pipeline.metrics.concordance import concordance_index
from wsi_pipeline.metrics.ranking import roc_auc
from wsi_pipeline.training.operating_point import reliability_json
from wsi_pipeline.training.slides.table import LabelledSlide

Json = dict[str, Any]
Values = NDArray[np.float64]
#: Slides are few: as many bins as leave some in each.
_BINS = 10


@dataclass(frozen=True, slots=True)
class Units:
    """Groups of slides: what is drawn again for an interval.

    Attributes:
        members: Places of the slides of each group.
        strata: Of each group, its slides' commonest class: each is drawn as often as it is there.
    """

    members: tuple[NDArray[np.int64], ...]
    strata: NDArray[np.int64]

    def estimate(self, statistic: Callable[[NDArray[np.int64]], float], slides: int) -> Json:
        """A figure of all slides with its 95 % interval, rounded.

        Args:
            statistic: Of places of slides.
            slides: How many there are.
        """

        def drawn(groups: NDArray[np.int64]) -> float:
            return statistic(np.concatenate([self.members[one] for one in groups]))

        found = Estimate(statistic(np.arange(slides)), interval(drawn, self.strata)).to_json()
        return {key: None if one is None else round(one, 6) for key, one in found.items()}


def units_of(slides: Sequence[LabelledSlide]) -> Units:
    """The groups of slides, in the order of their names."""
    names = np.array([slide.group for slide in slides])
    kind = np.array([slide.label + int(slide.event) for slide in slides])
    groups, member = np.unique(names, return_inverse=True)
    members = tuple(np.flatnonzero(member == one) for one in range(len(groups)))
    return Units(members, np.array([np.bincount(kind[one]).argmax() for one in members]))


def class_figures(
    slides: Sequence[LabelledSlide], probabilities: Values, classes: Sequence[str], positive: str
) -> Json:
    """Figures of a classification.

    Args:
        slides: Which they are of.
        probabilities: ``(n, classes)``, by models that never saw the slide.
        classes: Names.
        positive: The class of interest.
    """
    labels = np.array([slide.label for slide in slides])
    units, count = units_of(slides), len(slides)
    called = probabilities.argmax(axis=1)

    def auc_of(place: int) -> Json:
        def statistic(chosen: NDArray[np.int64]) -> float:
            return roc_auc(labels[chosen] == place, probabilities[chosen, place])

        return units.estimate(statistic, count)

    def accuracy(chosen: NDArray[np.int64]) -> float:
        return float((called[chosen] == labels[chosen]).mean())

    place = classes.index(positive)
    diagram = reliability(labels == place, probabilities[:, place], _BINS)
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (labels, called), 1)
    return {
        "slides": {name: int((labels == number).sum()) for number, name in enumerate(classes)},
        "groups": len(units.members),
        "auc": auc_of(place),
        "auc_of_classes": {name: auc_of(number) for number, name in enumerate(classes)}
        if len(classes) > 2
        else {},
        "accuracy": units.estimate(accuracy, count),
        "calibration": reliability_json(diagram),
        "confusion": confusion.tolist(),
    }


def survival_figures(slides: Sequence[LabelledSlide], risks: Values) -> Json:
    """Figures of survival.

    Args:
        slides: Which they are of.
        risks: Logarithms of hazards, ``(n,)``, by models that never saw the slide.
    """
    times, events = (
        np.array([getattr(slide, name) for slide in slides]) for name in ("time", "event")
    )
    units = units_of(slides)

    def statistic(chosen: NDArray[np.int64]) -> float:
        return concordance_index(times[chosen], events[chosen], risks[chosen])

    return {
        "slides": {"with event": int(events.sum()), "without event": int((~events).sum())},
        "groups": len(units.members),
        "c_index": units.estimate(statistic, len(slides)),
    }


def spread(values: Sequence[float]) -> Json:
    """Mean, standard deviation and all of some figures, NaN left out."""
    known = [value for value in values if not np.isnan(value)]
    return {
        "values": [round(value, 6) for value in known],
        "mean": round(float(np.mean(known)), 6) if known else None,
        "sd": round(float(np.std(known, ddof=1)), 6) if len(known) > 1 else None,
    }
