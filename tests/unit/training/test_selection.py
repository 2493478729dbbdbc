"""The best weights are those that find tumour; only then does the metric count."""

import numpy as np
import pytest

from wsi_pipeline.training.recipe_sections import Selection
from wsi_pipeline.training.selection import Figures, figures_of, rank


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
    labels = np.array([True, True, False, False])
    found = figures_of(labels, np.array([2.0, -1.0, -2.0, 1.0]))
    assert (found.auc, found.recall, found.specificity, found.accuracy) == (0.75, 0.5, 0.5, 0.5)
    expected = np.log1p(np.exp([-2.0, 1.0, -2.0, 1.0])).mean()
    assert found.loss == pytest.approx(expected)
