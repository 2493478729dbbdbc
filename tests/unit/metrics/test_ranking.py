"""Ranking figures against definitions written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.metrics.ranking import (
    average_precision,
    precision_recall_curve,
    roc_auc,
    roc_curve,
)

#: Few different scores, so that ties are the rule.
ITEMS = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=30)


def slow_auc(labels: list[bool], scores: list[float]) -> float:
    """Every pair of a positive and a negative: won 1, tied ½."""
    won = [
        1.0 if one > other else 0.5 if one == other else 0.0
        for label, one in zip(labels, scores, strict=True)
        if label
        for against, other in zip(labels, scores, strict=True)
        if not against
    ]
    return sum(won) / len(won) if won else float("nan")


@given(ITEMS)
def test_auc_is_the_share_of_pairs_won(items: list[tuple[bool, int]]) -> None:
    labels, scores = [item[0] for item in items], [item[1] / 7 for item in items]
    assert roc_auc(labels, scores) == pytest.approx(slow_auc(labels, scores), nan_ok=True)


@given(ITEMS)
def test_auc_is_the_area_below_the_curve(items: list[tuple[bool, int]]) -> None:
    labels, scores = [item[0] for item in items], [item[1] / 7 for item in items]
    curve = roc_curve(labels, scores)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert float(area) == pytest.approx(roc_auc(labels, scores), nan_ok=True)


@given(ITEMS)
def test_average_precision_is_its_sum(items: list[tuple[bool, int]]) -> None:
    labels, scores = [item[0] for item in items], [item[1] for item in items]
    positives = sum(labels)
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        called = [label for label, score in items if score >= threshold]
        recall = sum(called) / positives if positives else float("nan")
        total += (recall - before) * sum(called) / len(called)
        before = recall
    assert average_precision(labels, scores) == pytest.approx(total, nan_ok=True)


def test_worked_by_hand() -> None:
    # Positives .9 and .5, negatives .5 and .1: pairs 1, 1, ½, 1.
    assert roc_auc([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1]) == 3.5 / 4
    curve = roc_curve([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1])
    assert curve.thresholds.tolist() == [np.inf, 0.9, 0.5, 0.1]
    assert curve.true_positive_rate.tolist() == [0, 0.5, 1, 1]
    assert curve.false_positive_rate.tolist() == [0, 0, 0.5, 1]
    points = precision_recall_curve([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1])
    assert points.precision.tolist() == pytest.approx([1, 2 / 3, 0.5])
    assert points.recall.tolist() == [0.5, 1, 1]


def test_a_missing_class_has_no_auc() -> None:
    assert np.isnan(roc_auc([1, 1], [0.2, 0.3]))
    assert np.isnan(roc_auc([0], [0.2]))
    assert np.isnan(average_precision([0, 0], [0.2, 0.3]))
    assert np.isnan(average_precision([], []))


def test_scores_are_checked() -> None:
    with pytest.raises(ValueError, match="2 labels, but 1 scores"):
        roc_auc([0, 1], [0.5])
    with pytest.raises(ValueError, match="NaN"):
        roc_auc([0, 1], [0.5, float("nan")])
