"""The best weights are those that find tumour; only then does the metric count."""

from dataclasses import asdict

import numpy as np
import pytest

from wsi_pipeline.errors import UsageError
from wsi_pipeline.training.recipe_sections import Selection
from wsi_pipeline.training.selection import (
    ClassFigures,
    Figures,
    figures_from,
    figures_of,
    rank,
)


def figures(auc: float, recall: float, loss: float = 0.5) -> Figures:
    return Figures(auc, auc, recall, 0.9, 0.9, loss)


RULE = Selection(metric="auc", recall_floor=0.9)


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        (figures(0.99, 0.89), figures(0.80, 0.90)),  # the floor comes first
        (figures(0.95, 0.99), figures(0.96, 0.90)),  # above it the metric
        (figures(0.99, 0.50), figures(0.80, 0.60)),  # below it recall
        (figures(0.95, 0.95, 0.4), figures(0.95, 0.92, 0.3)),  # ties by the loss
        (figures(0.95, 0.95, float("nan")), figures(0.95, 0.95, 9.0)),
    ],
)
def test_order(worse: Figures, better: Figures) -> None:
    assert rank(worse, RULE) < rank(better, RULE)


def test_the_metric_can_be_another() -> None:
    low, high = figures(0.9, 0.95, 0.2), figures(0.95, 0.95, 0.3)
    assert rank(low, Selection(metric="loss")) > rank(high, Selection(metric="loss"))
    assert rank(low, RULE) < rank(high, RULE)


def test_figures_by_hand() -> None:
    labels = np.array([1, 1, 0, 0])
    found = figures_of(labels, np.array([2.0, -1.0, -2.0, 1.0]))
    assert isinstance(found, Figures)
    assert (found.auc, found.recall, found.specificity, found.accuracy) == (0.75, 0.5, 0.5, 0.5)
    expected = np.log1p(np.exp([-2.0, 1.0, -2.0, 1.0])).mean()
    assert found.loss == pytest.approx(expected)


def test_of_several_classes_the_metric_is_their_mean() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    logits = np.eye(3)[[0, 1, 1, 1, 2, 0]] * 4.0
    found = figures_of(labels, logits)
    assert isinstance(found, ClassFigures)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.recall == pytest.approx(4 / 6)
    one = [2 * 0.5 * 0.5, 2 * (2 / 3) / (1 + 2 / 3), 2 * 0.5 / 1.5]
    assert found.f1 == pytest.approx(np.mean(one))
    better = ClassFigures(0.5, 0.5, 0.5, found.f1 + 0.1, 0.1, 9.0)
    assert rank(better, Selection(metric="f1")) > rank(found, Selection(metric="f1"))
    assert rank(better, Selection(metric="loss")) < rank(found, Selection(metric="loss"))
    assert figures_from(asdict(found)) == found


def test_one_logit_has_no_mean_of_classes() -> None:
    with pytest.raises(UsageError, match=r"selection\.metric f1 is for images"):
        rank(figures(0.9, 0.9), Selection(metric="f1"))
