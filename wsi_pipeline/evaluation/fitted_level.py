"""Slide level of fitted answers: beside the largest cell, calibration, and the three states."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.evaluation.assessment import Assessment
from wsi_pipeline.evaluation.json_metrics import Json, Values, estimate, number, shares
from wsi_pipeline.evaluation.score_counts import count_scores
from wsi_pipeline.metrics.calibration import expected_calibration_error, reliability
from wsi_pipeline.metrics.delong import compare_aucs
from wsi_pipeline.metrics.ranking import roc_auc
from wsi_pipeline.slide_level.conformal import upper_bound
from wsi_pipeline.stitch.slide_answer_record import SlideAnswerRecord, State

_BINS = 10
Flags = NDArray[np.bool_]


def fitted_level(every: Sequence[Assessment], drawn: Values) -> Json | None:
    """Figures of slides whose package answers for them; None unless it does so for all.

    Args:
        every: Slides with a label and a score.
        drawn: How often each is in each redrawn cohort, ``(resamples, slides)``.
    """
    answers = [slide.answer for slide in every if slide.answer is not None]
    if len(answers) < len(every) or not answers:
        return None
    positive = np.array([bool(slide.positive) for slide in every])
    scores = np.array([float(slide.score or 0) for slide in every])
    squares = (scores - positive) ** 2
    drawings = [np.repeat(np.arange(len(every)), one.astype(np.int64)) for one in drawn]
    bins = reliability(positive, scores, _BINS)
    filled = bins.count > 0
    return {
        "methods": sorted({answer.method for answer in answers}),
        **_beside_largest(every, positive, scores, drawn),
        "calibration": {
            "brier": estimate(float(squares.mean()), shares(drawn @ squares, drawn.sum(axis=1))),
            "expected_calibration_error": estimate(
                expected_calibration_error(positive, scores, _BINS),
                np.array(
                    [expected_calibration_error(positive[d], scores[d], _BINS) for d in drawings]
                ),
            ),
            "reliability": {
                "probability": bins.probability[filled].tolist(),
                "frequency": bins.frequency[filled].tolist(),
                "slides": bins.count[filled].tolist(),
            },
        },
        "states": _states(answers, positive.tolist()),
        "classes": _classes(every, answers),
    }


def _beside_largest(
    every: Sequence[Assessment], positive: Flags, scores: Values, drawn: Values
) -> Json:
    """AUC of the largest cell, and the difference; None where some result has no such cells."""
    known = [slide.largest for slide in every if slide.largest is not None]
    if len(known) < len(every):
        return {"auc_max": None, "auc_difference": None}
    largest = np.array(known)
    labels = [[one] for one in positive.tolist()]
    fitted, other = (
        count_scores(labels, [[one] for one in values.tolist()]).aucs(drawn)
        for values in (scores, largest)
    )
    found, most = roc_auc(positive, scores), roc_auc(positive, largest)
    p = number(compare_aucs(positive, largest, scores).p)
    return {
        "auc_max": estimate(most, other),
        "auc_difference": {**estimate(found - most, fitted - other), "delong_p": p},
    }


def _states(answers: Sequence[SlideAnswerRecord], positive: Sequence[bool]) -> Json:
    """How many slides of either kind are in each state, and the shares the rule speaks of."""
    states: tuple[State, ...] = get_args(State)
    counts = {
        state: {
            name: sum(
                a.state == state and p == kind for a, p in zip(answers, positive, strict=True)
            )
            for name, kind in (("positive", True), ("negative", False))
        }
        for state in states
    }
    rule = answers[0].rule
    clear, missed = sum(counts["clear"].values()), counts["clear"]["positive"]
    called, false = sum(counts["suspicious"].values()), counts["suspicious"]["negative"]
    delta = 0.1 if rule is None else rule.delta
    return {
        "counts": counts,
        "missed_among_clear": _share(missed, clear, delta, None if rule is None else rule.alpha),
        "false_among_suspicious": _share(
            false, called, delta, None if rule is None else rule.false_alarms
        ),
        "look_again": (len(answers) - clear - called) / len(answers),
    }


def _share(part: int, whole: int, delta: float, stated: float | None) -> Json:
    """A share with its upper bound of Clopper and Pearson; null of nothing."""
    return {
        "slides": whole,
        "wrong": part,
        "value": part / whole if whole else None,
        "bound": upper_bound(part, whole, delta) if whole else None,
        "confidence": 1 - delta,
        "stated": stated,
    }


def _classes(every: Sequence[Assessment], answers: Sequence[SlideAnswerRecord]) -> Json | None:
    """Confusion of the classes of slides where there are more than two; the table names them."""
    names = tuple(answers[0].probabilities)
    chosen = [
        (str(slide.slide.label), max(answer.probabilities, key=answer.probabilities.__getitem__))
        for slide, answer in zip(every, answers, strict=True)
        if slide.slide.label in names and tuple(answer.probabilities) == names
    ]
    if len(names) < 3 or not chosen:
        return None
    counts = [[chosen.count((true, called)) for called in names] for true in names]
    right = sum(counts[place][place] for place in range(len(names)))
    return {
        "labels": list(names),
        "confusion": counts,
        "accuracy": right / len(chosen),
        "slides": len(chosen),
    }
