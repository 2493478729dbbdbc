"""What a result says of its slide as a whole: probability, interval, state, reason and rule."""

from dataclasses import dataclass, field
from typing import Literal

State = Literal["clear", "suspicious", "look-again"]
#: The states as people read them.
STATE_WORDS: dict[State, str] = {
    "clear": "Clear",
    "suspicious": "Suspicious",
    "look-again": "Look again",
}
#: Answers without a fit: the largest probability of a cell.
MAX = "max"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideRuleRecord:
    """What the states rest on; see :class:`~wsi_pipeline.model.slide_level_section.SlideRule`.

    Attributes:
        alpha: Share of positive slides among the clear ones, at most,
        delta: but for this probability.
        false_alarms: Share of negative slides among the suspicious ones, at most, likewise.
        slides: Validation slides.
        positives: Positive ones among them.
        clear_below: Probability below which a slide is clear; None: none can be.
        suspicious_from: Probability at and above which it is suspicious; None: none can be.
    """

    alpha: float
    delta: float
    false_alarms: float
    slides: int
    positives: int
    clear_below: float | None
    suspicious_from: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideAnswerRecord:
    """The answer for the whole slide.

    Attributes:
        method: ``max``: the largest probability of a cell, or the kind of the package's fit.
        probability: Calibrated, that the slide is positive, 0-1; None of ``max``, which is no
            probability of a slide, and where nothing was classified.
        low: Lower end of its 95 % interval; None likewise.
        high: Upper end of it; None likewise.
        probabilities: Of every class of slides by its name; empty likewise.
        state: What is to be done with the slide.
        reason: Why it is in this state; one sentence.
        rule: What the state rests on; None where there is none.
    """

    method: str
    probability: float | None = None
    low: float | None = None
    high: float | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    state: State
    reason: str
    rule: SlideRuleRecord | None = None

    @property
    def fitted(self) -> bool:
        """Whether a fit of the package gave it."""
        return self.method != MAX
