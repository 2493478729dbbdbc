"""Fits to region features, and scores of slides by fits that left out their patients."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from wsi_pipeline.slide_level.calibration import (
    drawn_weights,
    fit_calibration,
    positive_of,
    softmax,
)
from wsi_pipeline.slide_level.region_fit import ForestScorer, LogisticScorer, RegionFit, Scorer
from wsi_pipeline.training.forest_arrays import forest_arrays
from wsi_pipeline.training.slide_level.folds import grouped_folds

Values = NDArray[np.float64]
Indices = NDArray[np.int64]

FOLDS = 5
#: Patients of each class that a fit needs: with fewer, folds within folds may lack a class.
LEAST = 8
#: C of the logistic fit, from the strongest penalty to the weakest.
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
#: Bags of the forest, and trees of each.
BAGS, TREES = 100, 5
#: Bags of a forest that only gives scores of slides it left out.
_FEW_BAGS = 20
_LEAF, _DEPTH = 2, 8
#: Newton's steps, and the relative fall of the loss after which there are no more.
_STEPS, _ENOUGH = 60, 1e-10


@dataclass(frozen=True, slots=True)
class Slides:
    """What is fitted to.

    Attributes:
        features: float64 ``(n, features)``.
        truth: Index of each slide's class, ``(n,)``.
        groups: Whose slide it is, ``(n,)``.
        classes: How many there are.
    """

    features: Values
    truth: Indices
    groups: NDArray[np.str_]
    classes: int

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, places: NDArray[np.bool_] | Indices) -> "Slides":
        """Some of them."""
        return Slides(self.features[places], self.truth[places], self.groups[places], self.classes)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fit.

    Attributes:
        fit: Of all slides.
        scores: Of each slide by a fit without its patient, ``(n, classes)``.
        probabilities: The same, calibrated, ``(n, classes)``.
        details: What was chosen, in words.
    """

    fit: RegionFit
    scores: Values
    probabilities: Values
    details: str

    def positive(self, negative: int) -> Values:
        """Probability of each slide of not being of the negative class, ``(n,)``."""
        return positive_of(self.probabilities, negative)


def fit_regions(kind: str, slides: Slides, *, draws: int, seed: int) -> Fitted:
    """Fit, score every slide by fits that left out its patient, calibrate on those scores.

    Args:
        kind: ``regions-logistic`` or ``regions-forest``.
        slides: With at least :data:`LEAST` patients of each class, so that no fold lacks one.
        draws: Of the patients, for intervals; a forest has :data:`BAGS`.
        seed: Of all that is random.
    """
    count = draws if kind == "regions-logistic" else BAGS
    weights = drawn_weights(slides.groups, slides.truth, draws=count, seed=seed)
    if kind == "regions-logistic":
        scores = out_of_fold(slides, lambda some: _logistic(some, _strength(some, seed)), seed)
        strength = _strength(slides, seed)
        scorer: Scorer = _logistic(slides, strength, weights)
        details = f"L2 penalty with C = {strength:g}, chosen by folds of patients"
    else:
        scores = out_of_fold(
            slides,
            lambda some: _forest(
                some, drawn_weights(some.groups, some.truth, draws=_FEW_BAGS, seed=seed), seed
            ),
            seed,
        )
        scorer = _forest(slides, weights, seed)
        details = f"{BAGS} bags of {TREES} trees, each bag of one drawing of the patients"
    calibration = fit_calibration(scores, slides.truth, slides.groups, weights=weights)
    probabilities = calibration.probabilities(scores)
    return Fitted(RegionFit(scorer, calibration), scores, probabilities, details)


def out_of_fold(slides: Slides, fit: Callable[[Slides], Scorer], seed: int) -> Values:
    """Scores of each slide by a fit without its patient, ``(n, classes)``."""
    fold = grouped_folds(slides.groups, slides.truth, FOLDS, seed)
    scores = np.zeros((len(slides), slides.classes))
    for number in range(FOLDS):
        out = fold == number
        if out.any():
            scores[out] = fit(slides.take(~out)).scores(slides.features[out])
    return scores


def _strength(slides: Slides, seed: int) -> float:
    """The C with the least log loss over folds of patients; of equals the strongest penalty."""
    losses = []
    for strength in STRENGTHS:
        scores = out_of_fold(slides, lambda some, c=strength: _logistic(some, c), seed + 1)  # type: ignore[misc]  # a default binds the loop's value
        chosen = softmax(scores)[np.arange(len(slides)), slides.truth]
        losses.append(-float(np.log(np.maximum(chosen, 1e-12)).mean()))
    return STRENGTHS[int(np.argmin(np.round(losses, 6)))]


def _logistic(slides: Slides, strength: float, weights: Values | None = None) -> LogisticScorer:
    mean, deviation = slides.features.mean(axis=0), slides.features.std(axis=0)
    # A feature that never changes says nothing, and must not be blown up where it does change.
    scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0.0)
    values = (slides.features - mean) * scale
    whole = np.ones((1, len(slides)))
    numbers = []
    for one in whole if weights is None else np.concatenate([whole, weights]):
        if slides.classes == 2:
            second = logistic(values, slides.truth == 1, one, strength)
            # Two functions whose difference is the one that was fitted.
            numbers.append(np.stack([-second, second]) / 2)
        else:
            numbers.append(
                np.stack(
                    [
                        logistic(values, slides.truth == number, one, strength)
                        for number in range(slides.classes)
                    ]
                )
            )
    found = np.array(numbers)
    return LogisticScorer(mean, scale, found[:, :, 1:], found[:, :, 0])


def logistic(values: Values, truth: NDArray[np.bool_], weights: Values, strength: float) -> Values:
    """L2-penalised logistic regression by Newton's steps: the intercept, then a number for each.

    The loss is scikit-learn's: ``strength * sum(weights * log loss) + |coefficients|² / 2``. It is
    written here because hundreds of fits to a few dozen slides are mostly scikit-learn's checks.

    Args:
        values: Standardised, ``(n, features)``.
        truth: ``(n,)``.
        weights: How often each counts, ``(n,)``.
        strength: C of scikit-learn.
    """
    there = weights > 0
    design = np.concatenate([np.ones((int(there.sum()), 1)), values[there]], axis=1)
    target, counts = truth[there].astype(np.float64), strength * weights[there]
    penalty = np.append(1e-6, np.ones(values.shape[1]))
    numbers, step, value = np.zeros(design.shape[1]), np.zeros(design.shape[1]), np.inf
    for _ in range(_STEPS):
        logits = design @ numbers
        losses = np.logaddexp(0, logits) - target * logits
        new = float(counts @ losses) + float(penalty @ numbers**2) / 2
        if new > value:
            step = step / 2
            numbers = numbers - step
            continue
        if value - new < _ENOUGH * max(1.0, new):
            break
        value = new
        probability = 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
        slope = design.T @ (counts * (probability - target)) + penalty * numbers
        curve = (design.T * (counts * probability * (1 - probability))) @ design
        step = -np.linalg.solve(curve + np.diag(penalty), slope)
        numbers = numbers + step
    return numbers


def _forest(slides: Slides, weights: Values, seed: int) -> ForestScorer:
    trees = []
    for number, drawn in enumerate(weights):
        places = np.repeat(np.arange(len(slides)), drawn.astype(np.int64))
        found = RandomForestClassifier(
            TREES,
            bootstrap=False,  # the bag is a drawing of patients already
            max_depth=_DEPTH,
            max_features="sqrt",
            min_samples_leaf=_LEAF,
            random_state=1000 * seed + number,
        )
        found.fit(slides.features[places], slides.truth[places])
        trees += [one.tree_ for one in found.estimators_]
    return ForestScorer(forest_arrays(trees, slides.classes), len(weights))
