"""How well a fit tells slides it had not seen, beside the largest probability of a cell."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.metrics.bootstrap import percentiles
from wsi_pipeline.metrics.calibration import expected_calibration_error, reliability
from wsi_pipeline.metrics.delong import compare_aucs
from wsi_pipeline.metrics.ranking import roc_auc, roc_curve
from wsi_pipeline.slide_level.calibration import drawn_weights

Json = dict[str, Any]
Values = NDArray[np.float64]
_DRAWS = 1000
_BINS = 10


def figures_of(
    probability: Values,
    largest: Values,
    positive: NDArray[np.bool_],
    groups: NDArray[np.str_],
    seed: int,
) -> Json:
    """Figures with 95 % intervals; patients are drawn with all their slides.

    Args:
        probability: Of slides no fit had seen, ``(n,)``.
        largest: The largest probability of a cell of each, ``(n,)``.
        positive: Whether each is, ``(n,)``.
        groups: Whose slide it is, ``(n,)``.
        seed: Of the drawings.
    """
    weights = drawn_weights(groups, positive.astype(np.int64), draws=_DRAWS, seed=seed)
    drawn = [np.repeat(np.arange(len(positive)), one.astype(np.int64)) for one in weights]

    def estimate(statistic: Callable[[NDArray[np.int64]], float]) -> Json:
        value = statistic(np.arange(len(positive)))
        found = percentiles(np.array([statistic(one) for one in drawn]))
        low, high = (None, None) if found is None else (found.low, found.high)
        return {"value": None if np.isnan(value) else value, "low": low, "high": high}

    test = compare_aucs(positive, largest, probability)
    curves = {
        name: roc_curve(positive, values)
        for name, values in (("fit", probability), ("max", largest))
    }
    bins = reliability(positive, probability, _BINS)
    filled = bins.count > 0
    return {
        "slides": len(positive),
        "positive": int(positive.sum()),
        "auc": estimate(lambda one: roc_auc(positive[one], probability[one])),
        "auc_max": estimate(lambda one: roc_auc(positive[one], largest[one])),
        "auc_difference": {
            **estimate(
                lambda one: (
                    roc_auc(positive[one], probability[one]) - roc_auc(positive[one], largest[one])
                )
            ),
            "delong_p": None if np.isnan(test.p) else test.p,
        },
        "brier": estimate(lambda one: float(((probability[one] - positive[one]) ** 2).mean())),
        "calibration_error": estimate(
            lambda one: expected_calibration_error(positive[one], probability[one], _BINS)
        ),
        "roc": {
            name: {
                "false_positive_rate": curve.false_positive_rate.tolist(),
                "true_positive_rate": curve.true_positive_rate.tolist(),
            }
            for name, curve in curves.items()
        },
        "reliability": {
            "probability": bins.probability[filled].tolist(),
            "frequency": bins.frequency[filled].tolist(),
            "slides": bins.count[filled].tolist(),
        },
    }
