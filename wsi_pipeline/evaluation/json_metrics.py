"""Figures as JSON: values with intervals, and shares of redrawn counts."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.evaluation.assessment import Assessment
from wsi_pipeline.evaluation.settings import EvaluationSettings
from wsi_pipeline.metrics.bootstrap import Estimate, percentiles, weights
from wsi_pipeline.metrics.confusion import Confusion

Json = dict[str, Any]
Values = NDArray[np.float64]

#: Points kept of a curve; of more, every so many.
CURVE_POINTS = 400


def number(value: float) -> float | None:
    """A number for JSON, which knows no NaN and no infinity."""
    return float(value) if math.isfinite(value) else None


def estimate(value: float, redrawn: Values) -> Json:
    """A figure and its interval over redrawn cohorts."""
    return Estimate(value, None if math.isnan(value) else percentiles(redrawn)).to_json()


def redraw(slides: Sequence[Assessment], settings: EvaluationSettings) -> Values:
    """How often each slide is in each redrawn cohort, ``(resamples, slides)``.

    Slides with and without tumour keep their numbers.
    """
    strata = [-1 if slide.positive is None else int(slide.positive) for slide in slides]
    return weights(strata, resamples=settings.resamples, seed=settings.seed)


def confusion_figures(counts: Sequence[Confusion], drawn: Values) -> Json:
    """Counts, precision, recall, specificity, F1 and accuracy with intervals.

    Args:
        counts: Of each slide.
        drawn: How often each slide is in each redrawn cohort.
    """
    whole = sum(counts, Confusion(0, 0, 0, 0))
    table = np.array([[c.tp, c.fp, c.tn, c.fn] for c in counts], float).reshape(-1, 4)
    tp, fp, tn, fn = (drawn @ table).T
    redrawn = {
        "precision": shares(tp, tp + fp),
        "recall": shares(tp, tp + fn),
        "specificity": shares(tn, tn + fp),
        "f1": shares(2 * tp, 2 * tp + fp + fn),
        "accuracy": shares(tp + tn, tp + fp + tn + fn),
    }
    figures = {name: estimate(getattr(whole, name), values) for name, values in redrawn.items()}
    return {"confusion": whole.to_json(), **figures}


def baseline_figures(baseline: Confusion) -> Json:
    """What always answering the same gets."""
    names = ("precision", "recall", "specificity", "f1", "accuracy")
    figures = {name: number(getattr(baseline, name)) for name in names}
    return {"answers": "tumour" if baseline.tp + baseline.fp else "normal", **figures}


def shares(part: Values, whole: Values) -> Values:
    """Shares; NaN of nothing."""
    result: Values = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return result


def thinned(*columns: Values) -> list[list[float | None]]:
    """Columns of a curve at at most :data:`CURVE_POINTS` places, the first and last among them."""
    length = len(columns[0])
    if length > CURVE_POINTS:
        keep = np.unique(np.linspace(0, length - 1, CURVE_POINTS).round().astype(int))
        columns = tuple(column[keep] for column in columns)
    return [[number(value) for value in column.tolist()] for column in columns]


def band(redrawn: Values, at: Values) -> Json | None:
    """Where 95 % of redrawn curves run, point by point; None where they have no meaning."""
    known = redrawn[~np.isnan(redrawn).any(axis=1)]
    if not len(known):
        return None
    low, high = np.quantile(known, [0.025, 0.975], axis=0)
    return {"at": at.tolist(), "low": low.tolist(), "high": high.tolist()}
