"""The three states of a slide, and the sentence that says why it is in one of them."""

from collections.abc import Collection

from wsi_pipeline.model.slide_level_section import SlideRule
from wsi_pipeline.stitch.slide_answer_record import State

#: Alarms with which nobody may rely on a slide being clear: the statement holds for slides like
#: those of validation, judged from all their tissue, and each of these says that it may not be one.
AGAINST_CLEAR = (
    "unlike-training",
    "exchanged-channels",
    "tumour-on-glass",
    "one-valued",
    "colours-corrected",
    "stain-not-normalised",
    "no-background",
    "implausible-mpp",
    "nuclei-size",
    "non-square-pixels",
    "unreadable-tissue",
    "much-rejected",
    "too-few-tiles",
)
#: Of packages without a fitted answer.
NO_FIT = (
    "the package has no fitted answer for slides: the score is the largest probability of a cell, "
    "which one wrong cell decides; wsi train --slide-level fits one"
)
NOTHING_CLASSIFIED = "nothing of the slide was classified"


def state_of(
    probability: float | None, rule: SlideRule, alarms: Collection[str]
) -> tuple[State, str]:
    """The state of a slide and why it is in it.

    Args:
        probability: That it is positive, calibrated; None where nothing was classified.
        rule: Of the package.
        alarms: Codes of the result's alarms.
    """
    if probability is None:
        return "look-again", NOTHING_CLASSIFIED
    if rule.clear_below is None and rule.suspicious_from is None:
        return "look-again", f"no limit can be stated: {too_few(rule)}"
    if rule.suspicious_from is not None and probability >= rule.suspicious_from:
        return "suspicious", (
            f"its probability reaches {rule.suspicious_from:.3g}: of such slides at most "
            f"{_percent(rule.false_alarms)} are negative, with {_percent(1 - rule.delta)} "
            "confidence"
        )
    if rule.clear_below is None or probability >= rule.clear_below:
        return "look-again", _between(rule)
    against = [code for code in AGAINST_CLEAR if code in alarms]
    if against:
        return "look-again", (
            f"its probability is below {rule.clear_below:.3g}, but there is the alarm "
            f"{', '.join(against)}: it may be unlike the slides that the limit rests on"
        )
    return "clear", (
        f"its probability is below {rule.clear_below:.3g}: of such slides at most "
        f"{_percent(rule.alpha)} are positive, with {_percent(1 - rule.delta)} confidence"
    )


def too_few(rule: SlideRule) -> str:
    """Why there is no limit for clear slides, and how many slides would do."""
    return (
        f"{rule.slides} validation slides, one of each patient, are too few or not told apart well "
        f"enough; at least {rule.needed} of the least probable ones must all be negative, or more "
        "with some positive among them"
    )


def _between(rule: SlideRule) -> str:
    low, high = rule.clear_below, rule.suspicious_from
    if low is None:
        return f"its probability is below {high:.3g}, and no slide can be called clear: " + too_few(
            rule
        )
    if high is None:
        return f"its probability is not below {low:.3g}, where slides are clear"
    return f"its probability is between {low:.3g}, below which slides are clear, and {high:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
