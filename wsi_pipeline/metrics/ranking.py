"""How well scores rank positives above negatives: ROC, precision-recall and the areas below."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

Labels = NDArray[np.bool_]
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RocCurve:
    """Rates at every distinct score, from the strictest threshold to the laxest; ``(n + 1,)``.

    Attributes:
        false_positive_rate: Share of the negatives called positive; starts at 0, ends at 1.
        true_positive_rate: Share of the positives called positive; starts at 0, ends at 1.
        thresholds: Scores at and above which an item is called positive; the first is infinite.
    """

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]
    thresholds: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PrecisionRecallCurve:
    """Precision and recall at every distinct score, from the strictest threshold on; ``(n,)``."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties half.

    The Mann-Whitney U statistic over the number of pairs, from average ranks: exact with ties.

    Args:
        labels: True where positive, ``(n,)``.
        scores: Higher means more positive, ``(n,)``.

    Returns:
        0-1; NaN where one class is missing.

    Raises:
        ValueError: the lengths differ, or a score is NaN.
    """
    positive, values = checked(labels, scores)
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    ranks = float(rankdata(values)[positive].sum())
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
    """Rates of true and false positives at every distinct score.

    Rates of a class that is missing are NaN.

    Raises:
        ValueError: the lengths differ, or a score is NaN.
    """
    positive, values = checked(labels, scores)
    thresholds, true, false = _cumulated(positive, values)
    return RocCurve(
        false_positive_rate=_share(np.append(0, false), false[-1] if len(false) else 0),
        true_positive_rate=_share(np.append(0, true), true[-1] if len(true) else 0),
        thresholds=np.append(np.inf, thresholds),
    )


def precision_recall_curve(labels: ArrayLike, scores: ArrayLike) -> PrecisionRecallCurve:
    """Precision and recall at every distinct score; recall is NaN without positives.

    Raises:
        ValueError: the lengths differ, or a score is NaN.
    """
    positive, values = checked(labels, scores)
    thresholds, true, false = _cumulated(positive, values)
    recall = _share(true, true[-1] if len(true) else 0)
    return PrecisionRecallCurve(true / np.maximum(true + false, 1), recall, thresholds)


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the precision-recall curve as a sum of steps, nothing interpolated.

    ``sum over thresholds of (recall - recall before) * precision``. Its value for scores that say
    nothing is the share of positives.

    Returns:
        0-1; NaN without positives.

    Raises:
        ValueError: the lengths differ, or a score is NaN.
    """
    curve = precision_recall_curve(labels, scores)
    if not len(curve.recall) or np.isnan(curve.recall[-1]):
        return float("nan")
    return float(np.diff(curve.recall, prepend=0.0) @ curve.precision)


def checked(labels: ArrayLike, scores: ArrayLike) -> tuple[Labels, Scores]:
    """Labels as bool and scores as float64, both ``(n,)``.

    Raises:
        ValueError: the lengths differ, or a score is NaN.
    """
    positive = np.asarray(labels).astype(bool).ravel()
    values = np.asarray(scores).astype(np.float64).ravel()
    if positive.shape != values.shape:
        raise ValueError(f"{len(positive)} labels, but {len(values)} scores")
    if np.isnan(values).any():
        raise ValueError("a score is NaN")
    return positive, values


def _cumulated(positive: Labels, values: Scores) -> tuple[Scores, Scores, Scores]:
    """Distinct scores from high to low; positives and negatives at and above each."""
    distinct, place = np.unique(values, return_inverse=True)
    true = np.bincount(place[positive], minlength=len(distinct))[::-1]
    every = np.bincount(place, minlength=len(distinct))[::-1]
    return (
        distinct[::-1],
        np.cumsum(true).astype(np.float64),
        np.cumsum(every - true).astype(np.float64),
    )


def _share(counts: NDArray[np.float64], total: float) -> NDArray[np.float64]:
    return counts / total if total else np.full(len(counts), np.nan)
