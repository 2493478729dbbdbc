"""The state of a slide, with and without alarms, limits and tissue; and why it is in it."""

import pytest
from pydantic import ValidationError

from wsi_pipeline.model.slide_level_section import SlideLevelSection, SlideRule
from wsi_pipeline.run.alarms import _RULES
from wsi_pipeline.slide_level.state import AGAINST_CLEAR, state_of

RULE = SlideRule(slides=200, positives=60, clear_below=0.2, suspicious_from=0.7, needed=60)


@pytest.mark.parametrize(
    ("probability", "alarms", "state", "told"),
    [
        (0.1, (), "clear", "at most 5 % are positive, with 90 % confidence"),
        (0.1, ("synthetic-model",), "clear", ""),
        (0.1, ("unlike-training", "no-background"), "look-again", "unlike-training, no-background"),
        (0.2, (), "look-again", "between 0.2, below which slides are clear, and 0.7"),
        (0.699, ("unlike-training",), "look-again", "between"),
        (0.7, (), "suspicious", "at most 20 % are negative"),
        (0.9, ("unlike-training",), "suspicious", ""),
        (None, (), "look-again", "nothing of the slide was classified"),
    ],
)
def test_each_slide_has_its_state(
    probability: float | None, alarms: tuple[str, ...], state: str, told: str
) -> None:
    found, reason = state_of(probability, RULE, alarms)
    assert found == state
    assert told in reason


def test_without_limits_somebody_has_to_look_and_is_told_how_many_slides_would_do() -> None:
    none = SlideRule(slides=30, positives=10, needed=60)
    assert state_of(0.01, none, ())[0] == "look-again"
    assert "at least 60" in state_of(0.01, none, ())[1]
    only = RULE.model_copy(update={"clear_below": None})
    assert state_of(0.01, only, ())[0] == "look-again"
    assert "no slide can be called clear" in state_of(0.01, only, ())[1]
    assert state_of(0.8, only, ())[0] == "suspicious"
    calm = RULE.model_copy(update={"suspicious_from": None})
    assert state_of(0.9, calm, ())[0] == "look-again"
    assert state_of(0.1, calm, ())[0] == "clear"


def test_alarms_are_those_that_there_are() -> None:
    """All but the one on the model, and the one after which the screen was left out."""
    assert set(_RULES) - {"synthetic-model", "screen-failed"} <= set(AGAINST_CLEAR)


def test_a_section_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match="clear and suspicious"):
        SlideRule(slides=9, positives=1, clear_below=0.8, suspicious_from=0.3, needed=60)
    fields = {
        "kind": "abmil",
        "classes": ("normal", "tumour"),
        "negative": "normal",
        "fitted": "…",
        "slides": {"normal": 1, "tumour": 1},
        "patients": 2,
        "calibration": {"method": "…", "fitted": "…"},
        "rule": RULE,
    }
    assert SlideLevelSection.model_validate(fields).negative_index == 0
    for name, value, told in (
        ("negative", "benign", "not among the classes"),
        ("slides", {"normal": 1}, "for each class"),
        ("classes", ("normal", "normal"), "same name"),
    ):
        with pytest.raises(ValidationError, match=told):
            SlideLevelSection.model_validate({**fields, name: value})
