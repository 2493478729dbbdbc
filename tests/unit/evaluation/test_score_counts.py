"""Figures of redrawn cohorts from tallies, against redrawing them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.evaluation import score_counts as module
from wsi_pipeline.evaluation.score_counts import count_scores
from wsi_pipeline.metrics.bootstrap import draws, weights
from wsi_pipeline.metrics.ranking import average_precision, roc_auc

ITEM = st.tuples(st.booleans(), st.integers(0, 5))
SLIDES = st.lists(st.lists(ITEM, max_size=6), min_size=1, max_size=6)


@given(SLIDES, st.integers(0, 99))
def test_as_redrawing_the_slides(slides: list[list[tuple[bool, int]]], seed: int) -> None:
    labels = [[item[0] for item in slide] for slide in slides]
    scores = [[item[1] / 5 for item in slide] for slide in slides]
    strata = np.zeros(len(slides))
    counts = count_scores(labels, scores)
    drawn = weights(strata, resamples=8, seed=seed)
    aucs, precisions = counts.aucs(drawn), counts.average_precisions(drawn)
    for index, chosen in enumerate(draws(strata, resamples=8, seed=seed)):
        label = [one for slide in chosen for one in labels[slide]]
        score = [one for slide in chosen for one in scores[slide]]
        assert aucs[index] == pytest.approx(roc_auc(label, score), nan_ok=True)
        expected = average_precision(label, score)
        assert precisions[index] == pytest.approx(expected, nan_ok=True)


def test_many_scores_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS", 200)
    rng = np.random.default_rng(2)
    labels = [rng.random(3000) < 0.2 for _ in range(5)]
    scores = [rng.random(3000) * 0.6 + 0.3 * label for label in labels]
    counts = count_scores(labels, scores)
    assert counts.positive.shape[1] <= 200
    assert counts.positive.sum() == sum(label.sum() for label in labels)
    assert counts.negative.sum() == sum((~label).sum() for label in labels)
    once = np.ones((1, 5))
    whole = np.concatenate(labels), np.concatenate(scores)
    assert counts.aucs(once)[0] == pytest.approx(roc_auc(*whole), abs=0.002)
    assert counts.average_precisions(once)[0] == pytest.approx(average_precision(*whole), abs=0.01)


def test_rates_along_the_curve() -> None:
    counts = count_scores([[1, 0], [1, 0]], [[0.9, 0.1], [0.4, 0.6]])
    rates = counts.roc_rates(np.ones((1, 2)), np.array([0, 0.25, 0.5, 1]))
    assert rates[0].tolist() == [0.5, 0.5, 1, 1]
    found = counts.precisions(np.ones((1, 2)), np.array([0.5, 1]))
    assert found[0].tolist() == pytest.approx([1, 2 / 3])
    only = counts.roc_rates(np.array([[2.0, 0]]), np.array([0, 1.0]))
    assert only[0].tolist() == [1, 1]
