"""What numpy computes is what torch computes; attention is a share, and order means nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_pipeline.model.slide_level_section import TILE_NETWORKS, TileNetwork
from wsi_pipeline.slide_level.attention import forward as module
from wsi_pipeline.slide_level.attention.design import HeadDesign
from wsi_pipeline.slide_level.attention.forward import Weights, forward
from wsi_pipeline.slide_level.attention.head_file import shapes
from wsi_pipeline.slide_level.attention.networks import new_network

Array = NDArray[np.float32]


def design_of(kind: TileNetwork, outputs: int = 3) -> HeadDesign:
    return HeadDesign(kind=kind, features=20, outputs=outputs, hidden=32, attention=8, heads=4)


def network_of(design: HeadDesign) -> tuple[torch.nn.Module, Weights]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = new_network(design).eval()
        if design.kind == "transmil":
            torch.nn.init.normal_(network.token)  # type: ignore[arg-type]  # a tensor
    state = network.state_dict()
    return network, {name: state[name].numpy() for name in shapes(design)}


def bag(tiles: int) -> Array:
    return np.random.default_rng(tiles).normal(0, 2, (tiles, 20)).astype(np.float32)


@pytest.mark.parametrize("kind", TILE_NETWORKS)
@settings(max_examples=12)
@given(tiles=st.integers(1, 120), outputs=st.integers(1, 4))
def test_numpy_computes_what_torch_does(kind: TileNetwork, tiles: int, outputs: int) -> None:
    design = design_of(kind, outputs)
    network, weights = network_of(design)
    assert {name: weights[name].shape for name in weights} == shapes(design)
    with torch.inference_mode():
        expected, _ = network([torch.from_numpy(bag(tiles)), torch.from_numpy(bag(3))])
    logits, attention = forward(design, weights, bag(tiles))
    assert logits.dtype == attention.dtype == np.float32
    assert np.abs(logits - expected.logits.numpy()).max() <= 1e-5
    assert np.abs(attention - expected.attention.numpy()).max() <= 1e-5
    assert attention.min() >= 0
    assert attention.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in TILE_NETWORKS if kind != "transmil"])
def test_the_order_of_the_tiles_means_nothing(kind: TileNetwork) -> None:
    design, tiles = design_of(kind), bag(50)
    _, weights = network_of(design)
    order = np.random.default_rng(3).permutation(50)
    logits, attention = forward(design, weights, tiles)
    turned, moved = forward(design, weights, tiles[order])
    assert np.abs(logits - turned).max() <= 1e-5
    assert np.abs(attention[order] - moved).max() <= 1e-6


def test_self_attention_of_very_many_tiles_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of neighbours become one token; those that are alike anyway give the same answer."""
    design = design_of("transmil")
    _, weights = network_of(design)
    tiles = bag(40)
    logits, attention = forward(design, weights, tiles)
    monkeypatch.setattr(module, "MOST_TOKENS", 40)
    again, spread = forward(design, weights, tiles.repeat(3, axis=0))
    assert np.abs(logits - again).max() <= 1e-5
    assert np.abs(spread - attention.repeat(3) / 3).max() <= 1e-6
    assert spread.sum() == pytest.approx(1, abs=1e-5)


def test_heads_have_to_divide_the_width() -> None:
    with pytest.raises(ValueError, match="do not divide"):
        HeadDesign(kind="transmil", features=4, outputs=2, hidden=20, heads=8)
