"""Figures of validation patches, and which epoch's weights are the best: recall first."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, recall_score

from wsi_pipeline.errors import UsageError
from wsi_pipeline.metrics.confusion import Confusion
from wsi_pipeline.metrics.ranking import average_precision, roc_auc
from wsi_pipeline.training.recipe_sections import Selection


@dataclass(frozen=True, slots=True)
class _Measured:
    """Named figures of validation images or patches."""

    def to_json(self) -> dict[str, float]:
        """Rounded, for reports."""
        return {key: round(value, 6) for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Figures(_Measured):
    """How a network of one logit does on the validation patches; decisions at 0.5.

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

    def __str__(self) -> str:
        return (
            f"validation AUC {self.auc:.4f}, recall {self.recall:.3f}, specificity "
            f"{self.specificity:.3f}"
        )


@dataclass(frozen=True, slots=True)
class ClassFigures(_Measured):
    """How a network of one logit for each class does; means over the classes.

    Attributes:
        auc: Area under the ROC curve of each class against the rest.
        average_precision: Area under the precision-recall curve, likewise.
        recall: Share of a class's images that are called so.
        f1: Harmonic mean of precision and recall.
        accuracy: Share of the right calls, of all images.
        loss: Mean cross-entropy.
    """

    auc: float
    average_precision: float
    recall: float
    f1: float
    accuracy: float
    loss: float

    def __str__(self) -> str:
        return (
            f"validation mean AUC {self.auc:.4f}, mean F1 {self.f1:.3f}, accuracy "
            f"{self.accuracy:.3f}"
        )


AnyFigures = Figures | ClassFigures


def figures_of(labels: NDArray[np.int64], logits: NDArray[np.float64]) -> AnyFigures:
    """Figures of logits, ``(n,)`` or ``(n, classes)``, and numbers of classes; all classes."""
    if logits.ndim == 2:
        return _of_classes(labels, logits)
    positive = labels.astype(bool)
    sign = np.where(positive, 1.0, -1.0)
    called = Confusion.at(positive, expit(logits), 0.5)
    return Figures(
        auc=roc_auc(positive, logits),
        average_precision=average_precision(positive, logits),
        recall=called.recall,
        specificity=called.specificity,
        accuracy=called.accuracy,
        loss=float(np.logaddexp(0, -sign * logits).mean()),
    )


def figures_from(state: dict[str, float]) -> AnyFigures:
    """What :func:`dataclasses.asdict` gave."""
    return ClassFigures(**state) if "f1" in state else Figures(**state)


def rank(figures: AnyFigures, rule: Selection) -> tuple[float, ...]:
    """What the best weights have the largest of.

    Of one logit, those whose recall reaches the floor come first, by the named metric, then by the
    smaller loss. Below the floor the larger recall wins. Of several classes the named metric, then
    the smaller loss.

    Raises:
        UsageError: one logit has no such metric.
    """
    value = getattr(figures, rule.metric, None)
    if value is None:
        raise UsageError(f"selection.metric {rule.metric} is for images; use auc, recall or loss")
    metric = -figures.loss if rule.metric == "loss" else float(value)
    loss = -figures.loss if math.isfinite(figures.loss) else -math.inf
    if isinstance(figures, ClassFigures):
        return (metric if math.isfinite(metric) else -math.inf, loss)
    reaches = figures.recall >= rule.recall_floor
    return (float(reaches), metric if reaches else figures.recall, loss)


def _of_classes(labels: NDArray[np.int64], logits: NDArray[np.float64]) -> ClassFigures:
    logarithms = log_softmax(np.nan_to_num(logits), axis=1)
    called = logarithms.argmax(axis=1)
    # Two classes have one ranking; against the rest each has its own.
    columns = range(logits.shape[1])
    facts: dict[str, Any] = {"average": "macro", "zero_division": 0.0}
    return ClassFigures(
        auc=float(np.mean([roc_auc(labels == one, logarithms[:, one]) for one in columns])),
        average_precision=float(
            np.mean([average_precision_score(labels == one, logarithms[:, one]) for one in columns])
        ),
        recall=float(recall_score(labels, called, **facts)),
        f1=float(f1_score(labels, called, **facts)),
        accuracy=float(accuracy_score(labels, called)),
        loss=float(-logarithms[np.arange(len(labels)), labels].mean()),
    )
