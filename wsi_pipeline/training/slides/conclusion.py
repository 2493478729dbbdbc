"""What is concluded from a cross-validation: calibration, the rule of the states, all figures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from wsi_pipeline.metrics.concordance import concordance_index
from wsi_pipeline.metrics.ranking import roc_auc
from wsi_pipeline.model.slide_level_section import SlideRule
from wsi_pipeline.slide_level.attention.answer import ask
from wsi_pipeline.slide_level.calibration import SlideCalibration, fit_calibration
from wsi_pipeline.slide_level.conformal import one_of_each
from wsi_pipeline.training.slide_rule import slide_rule
from wsi_pipeline.training.slides.cross_validation import CrossValidated, SlideJob
from wsi_pipeline.training.slides.figures import class_figures, spread, survival_figures

Json = dict[str, Any]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class SlideConclusion:
    """What a package states, and what the report has to tell.

    Attributes:
        calibration: Of scores; None of survival, which has none.
        rule: Of the three states; None likewise.
        negative: The class in which there is nothing to find; empty likewise.
        report: Plain values.
    """

    calibration: SlideCalibration | None
    rule: SlideRule | None
    negative: str
    report: Json


def conclude(job: SlideJob, found: CrossValidated) -> SlideConclusion:
    """Measure the networks on slides they never saw, and calibrate on the same."""
    if job.recipe.target == "survival":
        return _survival(job, found)
    classes, positive = job.found.classes, job.found.positive
    slides = [job.found.slides[number] for number in found.numbers]
    labels = np.array([slide.label for slide in slides])
    groups = np.array([slide.group for slide in slides])
    by_repeat = log_softmax(found.logits, axis=-1)
    scores = by_repeat.mean(axis=0)
    calibration = fit_calibration(scores, labels, groups, seed=job.seed)
    place, negative = classes.index(positive), _negative(classes, positive)
    probabilities = calibration.probabilities(scores)
    sick = 1 - probabilities[:, classes.index(negative)]
    rule = rule_of(sick, labels != classes.index(negative), groups)
    report: Json = {
        "classes": list(classes),
        "positive": positive,
        "negative": negative,
        "held_out": class_figures(
            slides, _cross_fitted(scores, labels, groups, found.fold[0]), classes, positive
        ),
        "by_fold": _by_fold(found, labels == place, by_repeat[:, :, place]),
        "calibration": {
            "slope": round(calibration.slope, 6),
            "offsets": [round(float(one), 6) for one in calibration.offsets],
            "fitted": fitted_on(len(slides)),
            "measured": "figures of held-out slides are with a calibration that was fitted without "
            "their fold",
        },
        "rule": rule.model_dump(mode="json"),
        "test": None,
    }
    tested = job.numbers(test=True)
    if tested:
        kept = [job.found.slides[number] for number in tested]
        values = np.array([_ensemble(job, found, number) for number in tested])
        report["test"] = class_figures(kept, calibration.probabilities(values), classes, positive)
    return SlideConclusion(calibration, rule, negative, report)


def rule_of(
    probabilities: Values, positive: NDArray[np.bool_], groups: NDArray[np.str_]
) -> SlideRule:
    """The limits of the three states, from slides that no network had seen.

    Args:
        probabilities: Calibrated, of not being negative, ``(n,)``.
        positive: Whether each is, ``(n,)``.
        groups: Whose slide it is, ``(n,)``; one of each group counts.
    """
    chosen = one_of_each(groups)
    return slide_rule(probabilities[chosen], positive[chosen])


def fitted_on(slides: int) -> str:
    """On what the calibration was fitted, in words."""
    return f"{slides} slides, each scored by networks that never saw its group"


def _survival(job: SlideJob, found: CrossValidated) -> SlideConclusion:
    slides = [job.found.slides[number] for number in found.numbers]
    risks = found.logits[:, :, 0]
    times, events = np.array([s.time for s in slides]), np.array([s.event for s in slides])
    values = [
        concordance_index(times[part], events[part], risk[part])
        for risk, fold in zip(risks, found.fold, strict=True)
        for part in (fold == one for one in range(job.recipe.folds))
    ]
    report: Json = {
        # Risks of two networks have no common zero: each is compared within its fold.
        "held_out": survival_figures(slides, _within_folds(risks[0], found.fold[0])),
        "by_fold": spread(values),
        "test": None,
    }
    tested = job.numbers(test=True)
    if tested:
        kept = [job.found.slides[number] for number in tested]
        values_of = [_ensemble(job, found, number)[0] for number in tested]
        report["test"] = survival_figures(kept, np.array(values_of))
    return SlideConclusion(None, None, "", report)


def _within_folds(risks: Values, fold: NDArray[np.int64]) -> Values:
    """Risks as ranks within their fold, 0-1."""
    found = np.zeros(len(risks))
    for one in np.unique(fold):
        part = fold == one
        found[part] = np.argsort(np.argsort(risks[part])) / max(1, int(part.sum()) - 1)
    return found


def _ensemble(job: SlideJob, found: CrossValidated, number: int) -> Values:
    """What all networks together say of a slide that none of them saw, ``(outputs,)``."""
    answer = ask(found.heads, job.bags[number])
    assert answer is not None  # a slide without a readable tile is no bag
    if job.recipe.target == "survival":
        return np.asarray(answer.logits.mean(axis=0))
    return np.asarray(log_softmax(answer.logits, axis=-1).mean(axis=0))


def _cross_fitted(
    scores: Values, labels: NDArray[np.int64], groups: NDArray[np.str_], fold: NDArray[np.int64]
) -> Values:
    """Probabilities, each calibrated without its fold, ``(n, classes)``."""
    found = np.zeros(scores.shape)
    for one in np.unique(fold):
        out = fold == one
        fitted = fit_calibration(scores[~out], labels[~out], groups[~out], draws=0)
        found[out] = fitted.probabilities(scores[out])
    return found


def _by_fold(found: CrossValidated, positive: NDArray[np.bool_], scores: Values) -> Json:
    """AUC of every fold and of every repeat; none is left out."""
    folds = range(int(found.fold.max()) + 1)
    each = [
        roc_auc(positive[fold == one], score[fold == one])
        for score, fold in zip(scores, found.fold, strict=True)
        for one in folds
    ]
    return {
        "folds": spread(each),
        "repeats": spread([roc_auc(positive, score) for score in scores]),
    }


def _negative(classes: tuple[str, ...], positive: str) -> str:
    """The class that is not looked for: of two the other one, of several the first other one."""
    return next(name for name in classes if name != positive)
