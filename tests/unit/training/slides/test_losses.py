"""The losses by their definitions."""

import math

import pytest
import torch

from wsi_pipeline.slide_level.attention.networks import Seen
from wsi_pipeline.training.slides.losses import class_loss, cluster_loss, cox_loss, smooth_svm


def test_cox_is_the_negative_partial_likelihood() -> None:
    risks = torch.tensor([0.5, -1.0, 2.0, 0.0])
    times, events = torch.tensor([3.0, 1.0, 2.0, 3.0]), torch.tensor([True, True, False, True])
    hazards = risks.exp()
    everyone, last = hazards.sum(), hazards[0] + hazards[3]
    expected = -((-1.0 - everyone.log()) + (0.5 - last.log()) + (0.0 - last.log())) / 3
    assert float(cox_loss(risks, times, events)) == pytest.approx(float(expected), abs=1e-6)
    assert float(cox_loss(risks, times, torch.zeros(4, dtype=torch.bool))) == 0


def test_rare_classes_weigh_more() -> None:
    logits, labels = torch.tensor([[1.0, -1.0], [2.0, 0.0]]), torch.tensor([0, 1])
    one, other = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
    found = class_loss(logits, labels, torch.tensor([0.5, 3.0]))
    assert float(found) == pytest.approx((0.5 * one + 3 * other) / 2, abs=1e-6)


def test_smooth_svm_is_near_nothing_only_beyond_the_margin() -> None:
    scores = torch.tensor([[0.0, 12.0]])
    assert float(smooth_svm(scores, torch.tensor([1]))) == pytest.approx(0, abs=1e-4)
    assert float(smooth_svm(scores, torch.tensor([0]))) == pytest.approx(13, abs=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
def test_clusters_are_of_the_most_and_the_least_attended_tiles(classes: int) -> None:
    attention = torch.tensor([0.4, 0.01, 0.3, 0.02, 0.27])
    seen = Seen(torch.zeros(classes), attention, torch.zeros(5, 4))
    scores = torch.zeros(5, classes, 2)
    evidence, none = torch.tensor([0.0, 20.0]), torch.tensor([20.0, 0.0])
    scores[:, :] = none
    scores[[0, 2], 1] = evidence
    assert float(cluster_loss(scores, seen, 1, 2)) == pytest.approx(0, abs=1e-4)
    assert float(cluster_loss(scores, seen, 0, 2)) > 5
