"""Slide level: do scores tell slides with tumour from those without."""

from collections.abc import Sequence

import numpy as np

from wsi_pipeline.evaluation.assessment import Assessment
from wsi_pipeline.evaluation.fitted_level import fitted_level
from wsi_pipeline.evaluation.json_metrics import (
    Json,
    Values,
    band,
    baseline_figures,
    confusion_figures,
    estimate,
    redraw,
    thinned,
)
from wsi_pipeline.evaluation.score_counts import count_scores
from wsi_pipeline.evaluation.settings import EvaluationSettings
from wsi_pipeline.metrics.confusion import Confusion, majority_baseline
from wsi_pipeline.metrics.ranking import roc_auc, roc_curve

_AT = np.linspace(0, 1, 101)


def slide_level(every: Sequence[Assessment], settings: EvaluationSettings) -> Json | None:
    """Slide AUC and the decision per slide, beside the majority baseline.

    Slides without a label or a score are left out; None where there are none with both.
    """
    slides = [s for s in every if s.positive is not None and s.score is not None]
    if not slides:
        return None
    labels = [bool(s.positive) for s in slides]
    scores = [float(s.score or 0) for s in slides]
    drawn = redraw(slides, settings)
    counts = count_scores([[label] for label in labels], [[score] for score in scores])
    roc = roc_curve(labels, scores)
    columns = thinned(roc.false_positive_rate, roc.true_positive_rate, roc.thresholds)
    return {
        "slides": len(slides),
        "normal": labels.count(False),
        "tumour": labels.count(True),
        "score": sorted({s.score_rule for s in slides}),
        "auc": estimate(roc_auc(labels, scores), counts.aucs(drawn)),
        "fitted": fitted_level(slides, drawn),
        "decision": _decision(slides, drawn),
        "majority_baseline": baseline_figures(majority_baseline(labels)),
        "roc": {
            "false_positive_rate": columns[0],
            "true_positive_rate": columns[1],
            "threshold": columns[2],
            "band": band(counts.roc_rates(drawn, _AT), _AT),
        },
    }


def _decision(slides: Sequence[Assessment], drawn: Values) -> Json | None:
    """Right and wrong calls at the slides' thresholds; None where one has none."""
    thresholds = [s.slide_threshold for s in slides]
    if any(threshold is None for threshold in thresholds):
        return None
    counts = [
        Confusion.at([bool(s.positive)], np.array([s.score]), float(s.slide_threshold or 0))
        for s in slides
    ]
    used = sorted({float(threshold or 0) for threshold in thresholds})
    return {"threshold": used[0] if len(used) == 1 else used, **confusion_figures(counts, drawn)}
