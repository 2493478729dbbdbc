"""Figures of validation patches, and which epoch's weights are the best: recall first."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from wsi_pipeline.metrics.confusion import Confusion
from wsi_pipeline.metrics.ranking import average_precision, roc_auc
from wsi_pipeline.training.recipe import Selection


@dataclass(frozen=True, slots=True)
class Figures:
    """How a network does on the validation patches; decisions at a probability of 0.5.

    Attributes:
        auc: Area under the ROC curve.
        average_precision: Area under the precision-recall curve.
        recall: Share of the tumour patches called tumour.
        specificity: Share of the normal patches called normal.
        accuracy: Share of the right calls.
        loss: Mean binary cross-entropy.
    """

    auc: float
    average_precision: float
    recall: float
    specificity: float
    accuracy: float
    loss: float

    def to_json(self) -> dict[str, float]:
        """Rounded, for reports."""
        return {key: round(value, 6) for key, value in asdict(self).items()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Figures":
        """What :func:`dataclasses.asdict` gave."""
        return cls(**state)


def figures_of(labels: NDArray[np.bool_], logits: NDArray[np.float64]) -> Figures:
    """Figures of logits, ``(n,)``, and labels, True where tumour; both classes."""
    sign = np.where(labels, 1.0, -1.0)
    called = Confusion.at(labels, expit(logits), 0.5)
    return Figures(
        auc=roc_auc(labels, logits),
        average_precision=average_precision(labels, logits),
        recall=called.recall,
        specificity=called.specificity,
        accuracy=called.accuracy,
        loss=float(np.logaddexp(0, -sign * logits).mean()),
    )


def rank(figures: Figures, rule: Selection) -> tuple[float, ...]:
    """What the best weights have the largest of.

    Those whose recall reaches the floor come first, by the named metric, then by the smaller
    loss. Below the floor the larger recall wins.
    """
    metric = -figures.loss if rule.metric == "loss" else float(getattr(figures, rule.metric))
    reaches = figures.recall >= rule.recall_floor
    loss = -figures.loss if math.isfinite(figures.loss) else -math.inf
    return (float(reaches), metric if reaches else figures.recall, loss)
