"""Limits of the states: exact for each, valid together, mirrored, and refused where too few."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from wsi_pipeline.slide_level.conformal import (
    clear_limit,
    least_slides,
    one_of_each,
    p_value,
    suspicious_limit,
    upper_bound,
)

ALPHA, DELTA = 0.05, 0.1
SPLITS = 200


def population(
    slides: int, prevalence: float, apart: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    positive = rng.random(slides) < prevalence
    return rng.normal(np.where(positive, apart, 0.0), 1.0), positive


def missed_share(limit: float | None, scores: np.ndarray, positive: np.ndarray) -> float:
    """Of slides called clear; nothing is missed where none is."""
    clear = scores < (-np.inf if limit is None else limit)
    return float(positive[clear].mean()) if clear.any() else 0.0


@pytest.mark.parametrize("slides", [60, 150, 400])
@pytest.mark.parametrize("prevalence", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("apart", [0.0, 1.5, 3.0])
def test_the_statement_holds_over_200_draws(slides: int, prevalence: float, apart: float) -> None:
    rng = np.random.default_rng(17)
    world = population(100_000, prevalence, apart, rng)
    broken = 0
    for _ in range(SPLITS):
        limit = clear_limit(*population(slides, prevalence, apart, rng), ALPHA, DELTA)
        broken += missed_share(limit.value, *world) > ALPHA
    assert broken / SPLITS <= DELTA


def test_it_holds_where_the_share_is_exactly_the_least_that_is_too_much() -> None:
    """Scores that say nothing, and one prevalence a little above α: the hardest case."""
    rng, broken = np.random.default_rng(5), 0
    for _ in range(1000):
        scores, positive = rng.random(200), rng.random(200) < ALPHA + 1e-6
        broken += clear_limit(scores, positive, ALPHA, DELTA).value is not None
    assert broken / 1000 <= DELTA + 3 * np.sqrt(DELTA * (1 - DELTA) / 1000)
    assert broken > 0


def test_shares_that_fall_where_the_limit_rises_break_it_but_little() -> None:
    """Most positive slides among the lowest scores: what the order of the tests relies on."""
    rng, broken = np.random.default_rng(6), 0
    for _ in range(1000):
        scores = rng.random(200)
        # Below 0.3 the share is 8 %, beyond it falls to 4 % in all.
        positive = rng.random(200) < np.where(scores < 0.3, 0.08, 0.02)
        limit = clear_limit(scores, positive, ALPHA, DELTA).value
        if limit is not None:
            share = (0.08 * min(limit, 0.3) + 0.02 * max(limit - 0.3, 0)) / limit
            broken += share > ALPHA
    assert broken / 1000 <= 1.5 * DELTA


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.booleans(), min_size=0, max_size=120),
    alpha=st.floats(0.02, 0.5),
    delta=st.floats(0.02, 0.5),
    seed=st.integers(0, 99),
)
def test_a_limit_is_what_plain_counting_finds(
    labels: list[bool], alpha: float, delta: float, seed: int
) -> None:
    scores = np.round(np.random.default_rng(seed).random(len(labels)), 2)
    limit = clear_limit(scores, labels, alpha, delta)
    expected = None
    for one in np.unique(scores)[1:]:
        below = np.asarray(labels)[scores < one]
        if len(below) < least_slides(alpha, delta):
            continue
        if p_value(np.array([below.sum()]), np.array([len(below)]), alpha)[0] > delta:
            break
        expected = float(one)
        assert upper_bound(int(below.sum()), len(below), delta) <= alpha + 1e-9
    assert limit.value == expected
    if limit.value is not None:
        assert limit.slides == (scores < limit.value).sum()


@settings(max_examples=60, deadline=None)
@given(labels=st.lists(st.booleans(), max_size=80), seed=st.integers(0, 99))
def test_no_slide_is_clear_and_suspicious(labels: list[bool], seed: int) -> None:
    scores = np.random.default_rng(seed).random(len(labels)) + 0.3 * np.asarray(labels)
    clear = clear_limit(scores, labels, 0.3, 0.3)
    suspicious = suspicious_limit(scores, labels, 0.3, 0.3, not_below=clear.value)
    if clear.value is not None and suspicious.value is not None:
        assert clear.value < suspicious.value
    if suspicious.value is not None:
        kept = scores >= suspicious.value
        assert kept.sum() == suspicious.slides >= least_slides(0.3, 0.3)
        assert suspicious.wrong == (kept & ~np.asarray(labels)).sum()


def test_too_few_slides_give_no_limit_and_enough_do() -> None:
    needed = least_slides(ALPHA, DELTA)
    assert needed == 60
    for slides, found in ((needed - 1, None), (needed, float(needed))):
        scores = np.arange(slides + 1.0)
        positive = scores >= slides
        assert clear_limit(scores, positive, ALPHA, DELTA).value == found
    assert clear_limit([], [], ALPHA, DELTA).value is None


def test_a_lower_limit_may_be_asked_for() -> None:
    scores = np.arange(100.0)
    positive = scores >= 90
    whole = clear_limit(scores, positive, ALPHA, DELTA)
    assert whole.value is not None
    assert whole.value >= 90
    lower = clear_limit(scores, positive, ALPHA, DELTA, highest=70.5)
    assert (lower.value, lower.slides, lower.wrong) == (70, 70, 0)
    assert clear_limit(scores, positive, ALPHA, DELTA, highest=30).value is None


def test_both_tests_have_to_reject() -> None:
    wrong, slides = np.array([0, 0, 3]), np.array([45, 60, 200])
    # The binomial test alone would do with 45.
    assert binom.cdf(0, 45, ALPHA) <= DELTA < p_value(wrong, slides, ALPHA)[0]
    # Of 120 slides 4 are positive at least: all of them among the second 60.
    assert p_value(wrong, slides, ALPHA)[1] == pytest.approx(comb(60, 4) / comb(120, 4))
    whole = [comb(14, k) * comb(386, 200 - k) / comb(400, 200) for k in range(4)]
    assert p_value(wrong, slides, ALPHA)[2] == pytest.approx(sum(whole))


@pytest.mark.parametrize(("prevalence", "apart"), [(0.1, 3.0), (0.3, 4.0), (0.5, 3.0)])
def test_it_can_be_checked_on_as_many_slides(prevalence: float, apart: float) -> None:
    """The share among few clear slides has chance of its own; the statement allows for it."""
    rng, broken = np.random.default_rng(8), 0
    for _ in range(SPLITS):
        limit = clear_limit(*population(300, prevalence, apart, rng), ALPHA, DELTA)
        broken += missed_share(limit.value, *population(300, prevalence, apart, rng)) > ALPHA
    assert broken / SPLITS <= DELTA


def test_the_bound_is_clopper_and_pearsons() -> None:
    # By the definition: with that share, so few wrong ones have probability δ.
    bound = upper_bound(2, 90, DELTA)
    assert binom.cdf(2, 90, bound) == pytest.approx(DELTA)
    assert upper_bound(5, 5, DELTA) == 1


def test_one_slide_of_each_patient_is_taken() -> None:
    groups = np.array(["a", "b", "a", "a", "c", "b"])
    places = one_of_each(groups, seed=3)
    assert sorted(groups[places]) == ["a", "b", "c"]
    taken = {tuple(one_of_each(groups, seed=seed)) for seed in range(40)}
    assert len(taken) == 6
