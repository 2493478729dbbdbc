"""The rule of the three states from slides that no fit or network had seen."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.slide_level_section import SlideRule
from wsi_pipeline.slide_level.conformal import (
    ALPHA,
    DELTA,
    FALSE_ALARMS,
    clear_limit,
    least_slides,
    suspicious_limit,
)


def slide_rule(
    probabilities: NDArray[np.float64],
    positive: NDArray[np.bool_],
    *,
    alpha: float = ALPHA,
    delta: float = DELTA,
    false_alarms: float = FALSE_ALARMS,
    parting: float | None = None,
    scores: Literal["out-of-fold", "held-out"] = "out-of-fold",
) -> SlideRule:
    """The limits.

    Args:
        probabilities: Calibrated, of not being negative, one slide of each patient, ``(n,)``.
        positive: Whether each is, ``(n,)``.
        alpha: As of :class:`~wsi_pipeline.model.slide_level_section.SlideRule`.
        delta: Likewise.
        false_alarms: Likewise.
        parting: No slide above this probability is called clear, and none below it suspicious.
        scores: Why no slide's probability is from a fit that has seen it.
    """
    highest = np.inf if parting is None else parting
    clear = clear_limit(probabilities, positive, alpha, delta, highest=highest)
    lowest = max(parting or 0.0, clear.value or 0.0)
    suspicious = suspicious_limit(probabilities, positive, false_alarms, delta, not_below=lowest)
    return SlideRule(
        alpha=alpha,
        delta=delta,
        false_alarms=false_alarms,
        slides=len(probabilities),
        positives=int(positive.sum()),
        clear_below=clear.value,
        suspicious_from=suspicious.value,
        clear=clear.slides,
        missed=clear.wrong,
        bound=clear.bound,
        needed=least_slides(alpha, delta),
        scores=scores,
    )
