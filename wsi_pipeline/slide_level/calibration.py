"""Scores of slides made probabilities, with what the slides' number leaves open.

``p = softmax(slope * scores + offsets)``: for two classes Platt's sigmoid (Platt 1999), for more
temperature scaling with a bias for each class (Guo et al. 2017; Alexandari, Kundaje and Shrikumar
2020). Targets are smoothed as Platt does it, for any number of classes, so that separated classes
give no certainty. Scores must be of slides that the fit behind them had not seen.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]

#: Drawings of the patients that intervals rest on.
DRAWS = 200
#: Confidence of the intervals.
LEVEL = 0.95
#: Penalty of offsets and slope: so small that it only keeps them finite.
_PENALTY = 1e-4
#: Newton's steps, and the fall of the loss after which there are no more.
_STEPS, _ENOUGH = 60, 1e-10


@dataclass(frozen=True, slots=True)
class SlideCalibration:
    """A fitted calibration, and the same fitted to patients drawn again.

    Attributes:
        slope: What scores are multiplied by; not below 0, so that it never turns their order.
        offsets: Added for each class; the first is 0; float64 ``(classes,)``.
        drawn: Slope and offsets of every drawing, float64 ``(draws, 1 + classes)``.
    """

    slope: float
    offsets: Values
    drawn: Values

    def __post_init__(self) -> None:
        sound = (
            self.offsets.ndim == 1
            and len(self.offsets) >= 2
            and self.drawn.ndim == 2
            and self.drawn.shape[1] == 1 + len(self.offsets)
            and bool(np.isfinite(self.drawn).all() and np.isfinite(self.offsets).all())
            and 0 <= self.slope < np.inf
        )
        if not sound:
            raise ValueError("a calibration has a slope and an offset for each class, all finite")

    def probabilities(self, scores: ArrayLike) -> Values:
        """Of all classes, float64 ``(n, classes)``.

        Args:
            scores: Logarithms of odds, or of probabilities, of each class, ``(n, classes)``.
        """
        return softmax(self.slope * np.asarray(scores, np.float64) + self.offsets)

    def drawn_probabilities(self, scores: ArrayLike) -> Values:
        """Of all classes of one slide in every drawing, float64 ``(draws, classes)``.

        Args:
            scores: Of the slide, ``(classes,)``; or by the fit to each drawing,
                ``(draws, classes)``.
        """
        wide = np.asarray(scores, np.float64)
        return softmax(self.drawn[:, :1] * wide + self.drawn[:, 1:])


def fit_calibration(
    scores: ArrayLike,
    truth: ArrayLike,
    groups: ArrayLike,
    *,
    weights: Values | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> SlideCalibration:
    """Fit a calibration to scores of slides that the fit behind them had not seen.

    Args:
        scores: Of each class, ``(n, classes)``.
        truth: Index of each slide's class, ``(n,)``.
        groups: Whose slide it is, ``(n,)``: intervals draw patients.
        weights: How often each slide is in each drawing, as :func:`drawn_weights` gives them,
            where the fit behind the scores was made again for each; None: drawn here.
        draws: How many drawings are made here.
        seed: Of them.
    """
    values, index = np.asarray(scores, np.float64), np.asarray(truth, np.int64)
    if weights is None:
        weights = drawn_weights(groups, index, draws=draws, seed=seed)
    whole = _fit(values, index, np.ones(len(index)))
    drawn = np.array([_fit(values, index, one) for one in weights])
    return SlideCalibration(float(whole[0]), whole[1:], drawn.reshape(len(weights), len(whole)))


def drawn_weights(
    groups: ArrayLike, truth: ArrayLike, *, draws: int = DRAWS, seed: int = 0
) -> Values:
    """How often each slide is in each drawing, ``(draws, n)``: patients, with all their slides.

    Patients are drawn within those that have the same classes, so that no class gets lost.

    Args:
        groups: Whose slide it is, ``(n,)``.
        truth: Index of its class, ``(n,)``.
        draws: How many.
        seed: Of them.
    """
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    labels = np.asarray(truth, np.int64)
    count = int(member.max(initial=-1)) + 1
    holds = np.zeros((count, int(labels.max(initial=0)) + 1), np.int64)
    holds[member, labels] = 1
    _, kinds = np.unique(holds, axis=0, return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = np.zeros((draws, count))
    for kind in range(int(kinds.max(initial=-1)) + 1):
        patients = np.flatnonzero(kinds.ravel() == kind)
        chosen = rng.integers(0, len(patients), (draws, len(patients)))
        np.add.at(drawn, (np.arange(draws)[:, None], patients[chosen]), 1)
    return np.asarray(drawn[:, member], np.float64)


def interval(probability: float, drawn: Values) -> tuple[float, float]:
    """The 95 % interval of a slide's probability: percentiles of the drawings, with itself.

    Args:
        probability: Of the whole fit.
        drawn: The same by each drawing, ``(draws,)``; of none nothing is known: 0 to 1.
    """
    if not len(drawn):
        return 0.0, 1.0
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return min(float(low), probability), max(float(high), probability)


def positive_of(probabilities: Values, negative: int) -> Values:
    """Probability of not being of the negative class: the sum of all others, ``(...)``.

    Args:
        probabilities: Of all classes, ``(..., classes)``.
        negative: Place of the negative class.
    """
    return np.asarray(np.delete(probabilities, negative, axis=-1).sum(axis=-1), np.float64)


def softmax(values: Values) -> Values:
    """Probabilities of logits along the last axis."""
    shifted = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float64)


def _fit(scores: Values, truth: NDArray[np.int64], weights: Values) -> Values:
    """Slope and offsets, ``(1 + classes,)``, of weighted slides."""
    there = weights > 0
    kept, index, count = scores[there], truth[there], weights[there]
    classes = scores.shape[1]
    # Platt's targets: (n + 1) / (n + 2) of the class itself for two classes.
    counts = np.bincount(index, count, classes)[index, None]
    targets = np.where(np.arange(classes) == index[:, None], counts + 1, 1) / (counts + classes)
    # What the numbers that are looked for are multiplied by: slope, and offsets but the first.
    design = np.zeros((len(index), classes, classes))
    design[:, :, 0] = kept
    design[:, np.arange(1, classes), np.arange(1, classes)] = 1
    numbers = _newton(design, targets, count / max(count.sum(), 1))
    if numbers[0] < 0:
        # Of all slopes that are not negative 0 is the best then, since the loss is convex.
        numbers = np.append(0.0, _newton(design[:, :, 1:], targets, count / max(count.sum(), 1)))
    return np.concatenate([numbers[:1], [0.0], numbers[1:]])


def _newton(design: Values, targets: Values, weights: Values) -> Values:
    """Least cross-entropy of ``softmax(design @ numbers)`` to the targets, by Newton's steps.

    Args:
        design: ``(n, classes, numbers)``.
        targets: ``(n, classes)``.
        weights: Of the slides, 1 in all, ``(n,)``.
    """
    size = design.shape[2]
    start = np.zeros(size)
    start[0] = float(size == design.shape[1])  # the slope, where there is one
    numbers, value = start, np.inf
    step = np.zeros(size)
    for _ in range(_STEPS):
        probability = softmax((design * numbers).sum(axis=2))
        logs = np.log(np.maximum(probability, 1e-300))
        pulled = numbers - start
        new = _PENALTY * float(pulled @ pulled) - float(((targets * logs).sum(axis=1)) @ weights)
        if new > value:
            step = step / 2
            numbers = numbers - step
            continue
        if value - new < _ENOUGH:
            break
        value = new
        mean = (probability[:, :, None] * design).sum(axis=1)
        slope = np.einsum("nc,ncd,n->d", probability - targets, design, weights)
        curve = np.einsum("nc,ncd,nce,n->de", probability, design, design, weights)
        curve -= np.einsum("nd,ne,n->de", mean, mean, weights)
        curve += 2 * _PENALTY * np.eye(size)
        step = -np.linalg.solve(curve, slope + 2 * _PENALTY * pulled)
        numbers = numbers + step
    return np.asarray(numbers, np.float64)
