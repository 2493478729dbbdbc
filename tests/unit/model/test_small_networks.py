"""The two small networks have the layers their names tell."""

import pytest
import torch
from torch import nn

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.architecture import Architecture
from wsi_pipeline.model.network import build_network


@pytest.mark.parametrize(
    ("name", "convolutions", "dense"),
    [("cnn-2x2c1d", [64] * 4, [128, 3]), ("cnn-2x2x1x1c1d", [64] * 4 + [96] * 4, [256, 3])],
)
def test_layers(name: str, convolutions: list[int], dense: list[int]) -> None:
    network = build_network(Architecture(name=name, dropout=0.25), 3, 96)
    layers = list(network.modules())
    assert [one.out_channels for one in layers if isinstance(one, nn.Conv2d)] == convolutions
    assert [one.out_features for one in layers if isinstance(one, nn.Linear)] == dense
    assert network(torch.zeros(2, 3, 96, 96)).shape == (2, 3)


def test_too_few_px() -> None:
    with pytest.raises(PackageError, match="32 px are too few"):
        build_network(Architecture(name="cnn-2x2x1x1c1d"), 2, 32)
