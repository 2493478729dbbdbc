"""Temperature and threshold: what turns a trained network's logits into decisions.

Both are fitted to validation patches, and to nothing else: the functions are given their labels
and logits alone.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from wsi_pipeline.errors import UsageError
from wsi_pipeline.metrics.calibration import Reliability, reliability
from wsi_pipeline.metrics.ranking import roc_curve
from wsi_pipeline.training.temperature import fit_temperature

#: A threshold is a probability that a decision can be below and above.
_RANGE = (1e-6, 1 - 1e-6)


@dataclass(frozen=True, slots=True)
class ThresholdRule:
    """How a threshold is chosen: a target ``recall``, Youden's index, or a false-positive rate.

    ``value`` is the target, 0-1; of ``youden`` it has no meaning.
    """

    name: Literal["recall", "youden", "fpr"]
    value: float = 0.0

    def __str__(self) -> str:
        return self.name if self.name == "youden" else f"{self.name}={self.value:g}"


def parse_rule(text: str) -> ThresholdRule:
    """Read ``recall=0.95``, ``youden`` or ``fpr=0.05``.

    Raises:
        UsageError: it is none of these.
    """
    name, equals, number = text.strip().partition("=")
    if name == "youden" and not equals:
        return ThresholdRule("youden")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if name == "recall" and 0 < value <= 1:
        return ThresholdRule("recall", value)
    if name == "fpr" and 0 <= value < 1:
        return ThresholdRule("fpr", value)
    raise UsageError(
        f"a threshold is chosen by recall=R, youden or fpr=F (shares 0-1), not by {text!r}"
    )


def choose_threshold(
    labels: NDArray[np.bool_], probabilities: NDArray[np.float64], rule: ThresholdRule
) -> float:
    """The probability at and above which a patch is called tumour.

    It lies half-way between two neighbouring scores, so that rounding moves no patch across.

    * ``recall``: the highest threshold that reaches the target.
    * ``youden``: the one with the largest recall + specificity; of several the lowest, which has
      the larger recall.
    * ``fpr``: the lowest whose false-positive rate is within the target.
    """
    curve = roc_curve(labels, probabilities)
    true, false = curve.true_positive_rate, curve.false_positive_rate
    if rule.name == "recall":
        index = int(np.flatnonzero(true >= rule.value - 1e-12)[0])
    elif rule.name == "fpr":
        index = int(np.flatnonzero(false <= rule.value + 1e-12)[-1])
    else:
        gain = true - false
        index = int(np.flatnonzero(gain >= gain.max() - 1e-12)[-1])
    scores = np.append(curve.thresholds[1:], 0.0)
    # Thresholds begin with infinity, at which nothing is called.
    above = float(min(curve.thresholds[index], 1.0))
    below = float(scores[index]) if index < len(scores) else 0.0
    # In logits: half-way between 0.5 and 0.0001 is not 0.25 to a classifier.
    low, high = (float(np.clip(value, *_RANGE)) for value in (below, above))
    middle = expit((np.log(low / (1 - low)) + np.log(high / (1 - high))) / 2)
    return float(np.clip(middle, *_RANGE))


def reliability_json(diagram: Reliability) -> dict[str, Any]:
    """A reliability diagram as plain JSON values; empty bins are null."""

    def plain(values: NDArray[np.float64]) -> list[float | None]:
        return [None if np.isnan(value) else round(float(value), 6) for value in values]

    return {
        "edges": [round(float(edge), 6) for edge in diagram.edges],
        "count": [int(count) for count in diagram.count],
        "probability": plain(diagram.probability),
        "frequency": plain(diagram.frequency),
        "ece": round(diagram.error, 6),
    }


@dataclass(frozen=True, slots=True)
class Decision:
    """Temperature, threshold and what they did on the validation patches.

    Attributes:
        temperature: What logits are divided by.
        threshold: On probabilities after that.
        rule: How it was chosen.
        before: Reliability at temperature 1.
        after: Reliability at the fitted temperature.
    """

    temperature: float
    threshold: float
    rule: ThresholdRule
    before: Reliability
    after: Reliability


def decide(labels: NDArray[np.bool_], logits: NDArray[np.float64], rule: ThresholdRule) -> Decision:
    """Fit the temperature and choose the threshold, both on validation patches.

    Args:
        labels: True where tumour, ``(n,)``; both classes.
        logits: The trained network's, ``(n,)``.
        rule: How to choose the threshold.
    """
    temperature = fit_temperature(labels, logits)
    probabilities = expit(logits / temperature)
    return Decision(
        temperature=temperature,
        threshold=round(choose_threshold(labels, probabilities, rule), 6),
        rule=rule,
        before=reliability(labels, expit(logits)),
        after=reliability(labels, probabilities),
    )
