"""DeLong's test from midranks is the one from all pairs, and keeps its level."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from wsi_pipeline.metrics.delong import auc_covariance, compare_aucs
from wsi_pipeline.metrics.ranking import roc_auc


def plain(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By the definition, over all pairs."""
    below, above = [], []
    for one in scores:
        pairs = one[positive][:, None] - one[~positive][None, :]
        wins = (pairs > 0) + 0.5 * (pairs == 0)
        below.append(wins.mean(axis=1))
        above.append(wins.mean(axis=0))
    m, n = int(positive.sum()), int((~positive).sum())
    return np.mean(below, axis=1), np.cov(below) / m + np.cov(above) / n


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    positives=st.integers(2, 30),
    negatives=st.integers(2, 30),
    digits=st.sampled_from([0, 1, 6]),
)
def test_midranks_give_what_all_pairs_give(
    seed: int, positives: int, negatives: int, digits: int
) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.permutation(np.arange(positives + negatives) < positives)
    scores = np.round(rng.normal(0, 1, (3, len(positive))) + positive, digits)
    aucs, covariance = auc_covariance(positive, scores)
    expected_aucs, expected = plain(positive, scores)
    assert aucs == pytest.approx(expected_aucs, abs=1e-12)
    assert covariance == pytest.approx(expected, abs=1e-12)
    assert aucs[0] == pytest.approx(roc_auc(positive, scores[0]), abs=1e-12)


def test_the_difference_has_the_interval_and_p_of_its_variance() -> None:
    rng = np.random.default_rng(3)
    positive = np.arange(90) < 40
    first = rng.normal(0, 1, 90) + positive
    second = first + rng.normal(0, 0.8, 90)
    found = compare_aucs(positive, first, second)
    (one, other), covariance = plain(positive, np.stack([first, second]))
    spread = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found.value == pytest.approx(other - one)
    assert (found.low, found.high) == pytest.approx(
        (other - one - 1.959964 * spread, other - one + 1.959964 * spread), abs=1e-6
    )
    assert found.p == pytest.approx(2 * norm.sf(abs(other - one) / spread))
    # Turned round, the difference only changes its sign.
    back = compare_aucs(positive, second, first)
    assert (back.value, back.p) == pytest.approx((-found.value, found.p))


def test_it_keeps_its_level_where_nothing_differs() -> None:
    rng, found = np.random.default_rng(4), 0
    positive = np.arange(100) < 50
    for _ in range(1000):
        common = rng.normal(0, 1, 100) + 1.2 * positive
        one, other = (common + rng.normal(0, 0.7, 100) for _ in range(2))
        found += compare_aucs(positive, one, other).p < 0.05
    assert found / 1000 == pytest.approx(0.05, abs=0.02)


def test_scores_that_rank_alike_do_not_differ_and_too_few_say_nothing() -> None:
    positive = np.array([True, True, False, False, False])
    scores = np.array([0.9, 0.3, 0.4, 0.2, 0.1])
    same = compare_aucs(positive, scores, scores**2)
    assert (same.value, same.p) == (0, 1)
    assert np.isnan(compare_aucs(positive[1:], scores[1:], scores[1:]).p)
    with pytest.raises(ValueError, match="NaN"):
        compare_aucs(positive, scores, [np.nan] * 5)
