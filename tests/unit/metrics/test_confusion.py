"""Confusion counts and their shares."""

import math

import numpy as np
import pytest

from wsi_pipeline.metrics.confusion import Confusion, majority_baseline


def test_shares_by_hand() -> None:
    counts = Confusion.of([1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0])
    assert counts == Confusion(tp=2, fp=1, tn=3, fn=1)
    assert counts.precision == counts.recall == counts.f1 == 2 / 3
    assert counts.specificity == 3 / 4
    assert counts.accuracy == 5 / 7
    assert counts + counts == Confusion(4, 2, 6, 2)
    assert counts.to_json() == {"tp": 2, "fp": 1, "tn": 3, "fn": 1}


def test_a_share_of_nothing_is_no_number() -> None:
    counts = Confusion.of([0, 0], [0, 0])
    assert math.isnan(counts.precision)
    assert math.isnan(counts.recall)
    assert math.isnan(counts.f1)
    assert counts.specificity == counts.accuracy == 1


def test_a_threshold_meets_the_score_it_was_stored_as() -> None:
    scores = np.array([0.1, 0.7], np.float32)  # float32(0.7) is below float64's 0.7
    assert Confusion.at([0, 1], scores, 0.7) == Confusion(1, 0, 1, 0)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1, 1, 0], Confusion(tp=2, fp=1, tn=0, fn=0)),
        ([1, 0, 0], Confusion(tp=0, fp=0, tn=2, fn=1)),
        ([1, 0], Confusion(tp=0, fp=0, tn=1, fn=1)),
    ],
)
def test_the_baseline_answers_with_the_more_frequent(
    labels: list[int], expected: Confusion
) -> None:
    assert majority_baseline(labels) == expected


def test_lengths_are_checked() -> None:
    with pytest.raises(ValueError, match="2 labels, but 1 decisions"):
        Confusion.of([0, 1], [1])
