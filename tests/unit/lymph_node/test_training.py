from collections.abc import Sequence

import numpy as np
import pytest
import torch

from wsi_pipeline.lymph_node import training
from wsi_pipeline.lymph_node.features import Features
from wsi_pipeline.lymph_node.network import Head, Trunk
from wsi_pipeline.lymph_node.training import score, train_head
from wsi_pipeline.metrics.ranking import roc_auc

COUNT = 96


def features(seed: int) -> Features:
    """A few features of one place are larger in every second item."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randn(COUNT, Trunk.features, 4, 4, generator=generator) * 2 + 1
    places[::2, :100, 1, 1] += 8
    surround = torch.randn(COUNT, Trunk.features, 1, 1, generator=generator) + 3
    return Features(places.half(), surround.half())


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_EPOCHS", 20)


def test_a_head_learns_what_one_place_shows() -> None:
    tumour = np.arange(COUNT) % 2 == 0
    head = train_head([features(1), features(2)], tumour, np.arange(COUNT))
    assert roc_auc(tumour, score(head, features(3))) > 0.8


def test_the_same_features_give_the_same_bits() -> None:
    tumour = np.arange(COUNT) % 2 == 0
    first, again = (train_head([features(1)], tumour, np.arange(COUNT)) for _ in range(2))
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_the_merged_head_answers_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    members: list[Head] = []
    merge = training._merged

    def merged(made: Sequence[Head]) -> Head:
        members.extend(made)
        return merge(made)

    monkeypatch.setattr(training, "_merged", merged)
    head = train_head([features(1)], np.arange(COUNT) % 2 == 0, np.arange(COUNT))
    apart = np.mean([score(member, features(4)) for member in members], axis=0)
    np.testing.assert_allclose(score(head, features(4)), apart, atol=1e-4)
