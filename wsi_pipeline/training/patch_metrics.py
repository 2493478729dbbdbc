"""Figures of patches with intervals, for reports: units are drawn again, not patches."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.metrics.bootstrap import Estimate, draws, percentiles
from wsi_pipeline.metrics.calibration import expected_calibration_error
from wsi_pipeline.metrics.confusion import Confusion, majority_baseline
from wsi_pipeline.metrics.ranking import average_precision, roc_auc

_RESAMPLES = 1000


def measures(
    labels: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    unit: NDArray[np.int32],
    threshold: float,
) -> dict[str, Any]:
    """Figures with 95 % bootstrap intervals, beside what always answering alike would get.

    Args:
        labels: True where tumour, ``(n,)``.
        probabilities: Calibrated, ``(n,)``.
        unit: What each belongs to, ``(n,)``: whole units are drawn again, those with tumour and
            those without apart.
        threshold: Probability at and above which a patch is called tumour.

    Returns:
        Plain JSON values. An interval is null where a kind of unit is there only once.
    """
    units, place = np.unique(unit, return_inverse=True)
    members = [np.flatnonzero(place == index) for index in range(len(units))]
    strata = np.array([bool(labels[one].any()) for one in members])
    resampled = [
        np.concatenate([members[index] for index in drawn])
        for drawn in draws(strata, resamples=_RESAMPLES)
    ]

    # One unit drawn again is itself: that would be an interval of no width, and no truth in it.
    alone = min(np.bincount(strata.astype(np.int64), minlength=2)[np.unique(strata * 1)]) < 2

    def estimate(statistic: Callable[[NDArray[np.int64]], float]) -> dict[str, float | None]:
        whole = statistic(np.arange(len(labels)))
        if alone:
            return _rounded(Estimate(whole, None).to_json())
        values = np.array([statistic(chosen) for chosen in resampled])
        return _rounded(Estimate(whole, percentiles(values)).to_json())

    def called(chosen: NDArray[np.int64]) -> Confusion:
        return Confusion.at(labels[chosen], probabilities[chosen], threshold)

    found: dict[str, Any] = {
        "patches": len(labels),
        "tumour": int(labels.sum()),
        "units": len(units),
        "confusion": called(np.arange(len(labels))).to_json(),
        "auc": estimate(lambda chosen: roc_auc(labels[chosen], probabilities[chosen])),
        "average_precision": estimate(
            lambda chosen: average_precision(labels[chosen], probabilities[chosen])
        ),
        "ece": estimate(
            lambda chosen: expected_calibration_error(labels[chosen], probabilities[chosen])
        ),
    }
    for name in ("accuracy", "recall", "specificity", "precision", "f1"):
        found[name] = estimate(lambda chosen, name=name: float(getattr(called(chosen), name)))  # type: ignore[misc]  # mypy infers no type for a lambda's default
    baseline = majority_baseline(labels)
    found["majority_baseline"] = {
        "accuracy": round(baseline.accuracy, 6),
        "recall": round(baseline.recall, 6),
        "auc": 0.5,
    }
    return found


def _rounded(values: dict[str, float | None]) -> dict[str, float | None]:
    return {
        key: None if value is None or np.isnan(value) else round(value, 6)
        for key, value in values.items()
    }
