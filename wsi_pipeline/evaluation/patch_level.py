"""Patch level: how each classified tile was judged, beside the majority baseline."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.evaluation.assessment import Assessment, Tiles
from wsi_pipeline.evaluation.json_metrics import (
    Json,
    Values,
    band,
    baseline_figures,
    confusion_figures,
    estimate,
    number,
    redraw,
    shares,
    thinned,
)
from wsi_pipeline.evaluation.score_counts import ScoreCounts, count_scores
from wsi_pipeline.evaluation.settings import EvaluationSettings
from wsi_pipeline.metrics.calibration import bin_of, reliability
from wsi_pipeline.metrics.confusion import Confusion, majority_baseline
from wsi_pipeline.metrics.ranking import (
    average_precision,
    precision_recall_curve,
    roc_auc,
    roc_curve,
)

#: Bins of the reliability diagram.
BINS = 15
_AT = np.linspace(0, 1, 101)
#: At a recall of nothing, precision has no meaning.
_RECALLS = _AT[1:]


def patch_level(every: Sequence[Assessment], settings: EvaluationSettings) -> Json | None:
    """Figures of all tiles together; intervals draw slides, since tiles of a slide are alike.

    None where no slide has tiles whose truth is known.
    """
    slides = [s for s in every if s.tiles is not None and len(s.tiles.probability)]
    tiles = [s.tiles for s in slides if s.tiles is not None]
    if not tiles:
        return None
    labels = np.concatenate([one.tumour for one in tiles])
    scores = np.concatenate([one.probability for one in tiles])
    drawn = redraw(slides, settings)
    counts = count_scores([one.tumour for one in tiles], [one.probability for one in tiles])
    decisions = [
        Confusion.at(one.tumour, one.probability, s.threshold or 0.5)
        if one.called is None
        else Confusion.of(one.tumour, one.called)
        for s, one in zip(slides, tiles, strict=True)
    ]
    return {
        "slides": len(slides),
        "tiles": len(labels),
        "tumour_tiles": int(labels.sum()),
        "tile_label": str(settings.tile_rule),
        **confusion_figures(decisions, drawn),
        "majority_baseline": baseline_figures(majority_baseline(labels)),
        "auc": estimate(roc_auc(labels, scores), counts.aucs(drawn)),
        "average_precision": estimate(
            average_precision(labels, scores), counts.average_precisions(drawn)
        ),
        "average_precision_baseline": number(float(labels.mean())),
        "calibration": _calibration(labels, scores, tiles, drawn),
        **_curves(labels, scores, counts, drawn),
    }


def _curves(
    labels: NDArray[np.bool_], scores: NDArray[np.float32], counts: ScoreCounts, drawn: Values
) -> Json:
    roc, curve = roc_curve(labels, scores), precision_recall_curve(labels, scores)
    rates = thinned(roc.false_positive_rate, roc.true_positive_rate, roc.thresholds)
    precision = thinned(curve.precision, curve.recall, curve.thresholds)
    return {
        "roc": {
            "false_positive_rate": rates[0],
            "true_positive_rate": rates[1],
            "threshold": rates[2],
            "band": band(counts.roc_rates(drawn, _AT), _AT),
        },
        "precision_recall": {
            "precision": precision[0],
            "recall": precision[1],
            "threshold": precision[2],
            "band": band(counts.precisions(drawn, _RECALLS), _RECALLS),
        },
    }


def _calibration(
    labels: NDArray[np.bool_],
    scores: NDArray[np.float32],
    tiles: Sequence[Tiles],
    drawn: Values,
) -> Json:
    """Reliability diagram and expected calibration error, with intervals over slides."""
    whole = reliability(labels, scores, BINS)
    per_slide = np.zeros((3, len(tiles), BINS))
    for index, one in enumerate(tiles):
        values = one.probability.astype(np.float64)
        place = bin_of(values, BINS)
        per_slide[0, index] = np.bincount(place, minlength=BINS)
        per_slide[1, index] = np.bincount(place, values, BINS)
        per_slide[2, index] = np.bincount(place[one.tumour], minlength=BINS)
    count, total, true = (drawn @ part for part in per_slide)
    error = shares(np.abs(total - true).sum(axis=1), count.sum(axis=1))
    return {
        "expected_calibration_error": estimate(whole.error, error),
        "bins": [
            {
                "from": whole.edges[index],
                "to": whole.edges[index + 1],
                "tiles": int(whole.count[index]),
                "probability": number(whole.probability[index]),
                "frequency": estimate(
                    float(whole.frequency[index]), shares(true[:, index], count[:, index])
                ),
            }
            for index in range(BINS)
        ],
    }
