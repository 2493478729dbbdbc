"""Temperature and threshold come from the labels and logits they are given, by stated rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit

from wsi_pipeline.errors import UsageError
from wsi_pipeline.metrics.confusion import Confusion
from wsi_pipeline.training.operating_point import (
    ThresholdRule,
    choose_threshold,
    decide,
    parse_rule,
)

Scored = tuple[NDArray[np.bool_], NDArray[np.float64]]


@st.composite
def scored(draw: st.DrawFn) -> Scored:
    """Labels of both classes; scores with ties."""
    count = draw(st.integers(2, 30))
    labels = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    labels[:2] = True, False
    steps = draw(st.lists(st.integers(0, 12), min_size=count, max_size=count))
    return labels, (np.array(steps) + 0.5) / 13


def thresholds(scores: NDArray[np.float64]) -> list[float]:
    """One threshold for every decision that is possible."""
    return [*np.unique(scores).tolist(), 1.0]


@given(scored(), st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_recall_takes_the_highest_threshold_that_reaches_it(case: Scored, target: float) -> None:
    labels, scores = case
    chosen = choose_threshold(labels, scores, ThresholdRule("recall", target))
    assert Confusion.at(labels, scores, chosen).recall >= target - 1e-12
    stricter = [t for t in thresholds(scores) if t > chosen]
    # The next score above is the one the threshold lies below; beyond it recall is lost.
    assert all(Confusion.at(labels, scores, t).recall < target for t in stricter[1:])


@given(scored(), st.sampled_from([0.0, 0.05, 0.3]))
def test_fpr_takes_the_lowest_threshold_within_it(case: Scored, target: float) -> None:
    labels, scores = case
    chosen = choose_threshold(labels, scores, ThresholdRule("fpr", target))
    assert 1 - Confusion.at(labels, scores, chosen).specificity <= target + 1e-12
    laxer = [t for t in thresholds(scores) if t < chosen]
    assert all(1 - Confusion.at(labels, scores, t).specificity > target for t in laxer)


@given(scored())
def test_youden_is_the_best_sum(case: Scored) -> None:
    labels, scores = case

    def index(threshold: float) -> float:
        found = Confusion.at(labels, scores, threshold)
        return found.recall + found.specificity

    chosen = choose_threshold(labels, scores, ThresholdRule("youden"))
    assert index(chosen) == pytest.approx(max(index(t) for t in thresholds(scores)))


def test_a_threshold_lies_between_scores() -> None:
    labels = np.array([False, False, True, True])
    scores = np.array([0.1, 0.2, 0.6, 0.9])
    chosen = choose_threshold(labels, scores, ThresholdRule("recall", 1.0))
    assert 0.2 < chosen < 0.6


def test_calibration_makes_the_error_smaller() -> None:
    rng = np.random.default_rng(2)
    true = rng.normal(0, 2, 4000)
    labels = rng.random(len(true)) < expit(true)
    found = decide(labels, 4 * true, ThresholdRule("youden"))
    assert found.after.error < 0.03 < found.before.error
    assert 0 < found.threshold < 1


@pytest.mark.parametrize("text", ["recall", "recall=0", "recall=1.2", "fpr=1", "youden=1", "f1=1"])
def test_other_rules_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is chosen by"):
        parse_rule(text)


def test_rules_read_as_written() -> None:
    assert [str(parse_rule(t)) for t in ("recall=0.95", "youden", "fpr=0.05")] == [
        "recall=0.95",
        "youden",
        "fpr=0.05",
    ]
