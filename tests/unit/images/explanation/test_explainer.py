"""Maps are of what the network uses: a planted mark, and not the same with random weights."""

from typing import Any

import numpy as np
import pytest
import timm
import torch
from scipy.stats import spearmanr
from torch import nn

from wsi_pipeline.errors import PackageError
from wsi_pipeline.images.explanation.explainer import Explainer
from wsi_pipeline.images.explanation.gradcam import feature_layer
from wsi_pipeline.images.explanation.rollout import has_attention
from wsi_pipeline.model.description import ModelDescription
from wsi_pipeline.model.linear_probe import as_pixels, draw_weights
from wsi_pipeline.model.network import Classifier
from wsi_pipeline.testing.models import describe_model

SIDE, MARK = 48, 8


def describe(name: str = "baseline", side: int = SIDE, **more: Any) -> ModelDescription:
    architecture = {"name": name, "dropout": 0.0}
    if name == "baseline":
        architecture["pooling"] = "average"
    return describe_model(side, architecture=architecture, **more)


def marked(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise, every second image with a red mark: images, labels, and the mark's corner."""
    rng = np.random.default_rng(seed)
    images = rng.integers(90, 160, (count, SIDE, SIDE, 3)).astype(np.uint8)
    corners = rng.integers(0, SIDE - MARK, (count, 2))
    labels = np.arange(count) % 2
    for image, (x, y), label in zip(images, corners, labels, strict=True):
        if label:
            image[y : y + MARK, x : x + MARK] = (230, 40, 60)
    return images, labels, corners


@pytest.fixture(scope="module")
def trained() -> Classifier:
    """The small network, trained to find the mark."""
    classifier = Classifier(describe())
    draw_weights(classifier.network, 1)
    images, labels, _ = marked(32, seed=1)
    optimiser = torch.optim.Adam(classifier.parameters(), 0.01)
    pixels, target = as_pixels(images), torch.from_numpy(labels).float()
    for _ in range(40):
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(classifier.logits(pixels), target)
        loss.backward()  # type: ignore[no-untyped-call]  # torch types it not
        optimiser.step()
    assert float(loss.detach()) < 0.1
    return classifier.eval()


def test_the_map_is_on_the_mark_and_changes_with_the_weights(trained: Classifier) -> None:
    images, labels, corners = marked(40, seed=2)
    images, corners = images[labels == 1], corners[labels == 1]
    explain = Explainer(trained, describe())
    positive = np.ones(len(images), np.int64)
    maps = explain(images, positive)
    cell = SIDE / maps.shape[1]
    hits = 0
    for heat, (x, y) in zip(maps, corners, strict=True):
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        # Within a cell of the map, which is larger than the mark's border is sharp.
        inside = [
            low - cell <= (place + 0.5) * cell <= low + MARK + cell
            for place, low in ((column, x), (row, y))
        ]
        hits += all(inside)
    assert hits >= 0.9 * len(images)
    # The randomisation check (Adebayo et al. 2018): a map that stays says nothing of the model.
    other = Classifier(describe())
    draw_weights(other.network, 7)
    random = Explainer(other.eval(), describe())(images, positive)
    ranks = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(maps, random, strict=True)]
    assert np.abs(np.nan_to_num(ranks)).mean() < 0.4
    # What speaks for the mark does not speak for the other class.
    against = explain(images, np.zeros(len(images), np.int64))
    assert (maps * against).max() == 0


def test_of_pooled_features_and_a_linear_layer_it_is_their_weighted_sum(
    trained: Classifier,
) -> None:
    """Then Grad-CAM has a closed form, the class activation map of Zhou et al. (2016)."""
    images, _, _ = marked(4, seed=3)
    maps = Explainer(trained, describe())(images, np.ones(4, np.int64))
    network: Any = trained.network
    with torch.no_grad():
        features = network.features(trained.normalise(as_pixels(images)))
        weight = network.fc.weight[0][None, :, None, None]
        expected = (features * weight).sum(dim=1).relu() / features[0, 0].numel()
    np.testing.assert_allclose(maps, expected.numpy(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "side", "layer"),
    [
        ("test_resnet", 64, "global_pool.pool"),
        ("test_efficientnet", 64, "global_pool.pool"),
        ("test_convnext", 64, "head.global_pool.pool"),
        ("test_vit", 160, None),
        ("swin_tiny_patch4_window7_224", 224, None),  # its channels come last
    ],
)
def test_features_are_taken_where_they_last_have_places(
    name: str, side: int, layer: str | None
) -> None:
    small: dict[str, Any] = (
        {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 1)} if "swin" in name else {}
    )
    network = timm.create_model(name, pretrained=False, num_classes=3, **small).eval()
    found = feature_layer(network, side)
    assert has_attention(network) == ("vit" in name)
    if layer is None:
        assert found is None
    else:
        assert found is not None
        assert found.module is network.get_submodule(layer)
        assert found.before


def test_branches_that_lose_their_places_side_by_side_count_whole() -> None:
    """As the last blocks of Inception v3 do with small patches."""

    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3)
            self.left, self.right = nn.Conv2d(4, 4, 14), nn.Conv2d(4, 4, 14)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            stem = self.stem(pixels)
            return torch.cat([self.left(stem), self.right(stem)], 1)

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.branches = nn.Conv2d(3, 3, 1), Branches()

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.branches(self.first(pixels)).flatten(1)
            return out

    network = Whole().eval()
    found = feature_layer(network, 16)
    assert found is not None
    assert (found.module, found.before) == (network.branches, True)


def test_without_a_pooling_it_is_what_the_last_convolutions_give() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True))
            self.fc = nn.Linear(4 * 14 * 14, 2)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.fc(self.features(pixels).flatten(1))
            return out

    network = Flat().eval()
    found = feature_layer(network, 16)
    assert found is not None
    assert (found.module, found.before) == (network.features, False)


def test_a_vision_transformer_is_explained_by_its_attention() -> None:
    about = describe("test_vit", 160, task="multiclass", classes=["a", "b", "c"], positive="a")
    classifier = Classifier(about).eval()
    images = np.random.default_rng(0).integers(0, 255, (2, 160, 160, 3)).astype(np.uint8)
    with torch.inference_mode():
        before = classifier(as_pixels(images))
    explain = Explainer(classifier, about)
    assert "same for all classes" in explain.method
    maps = explain(images, np.zeros(2, np.int64))
    network: Any = classifier.network
    assert maps.shape == (2, *network.patch_embed.grid_size)
    # By hand: the product of half attention, half identity, one block after the other.
    with torch.inference_mode():
        np.testing.assert_allclose(classifier(as_pixels(images)), before, atol=1e-5)
        tokens = network.norm_pre(
            network._pos_embed(network.patch_embed(classifier.normalise(as_pixels(images))))
        )
        rolled = torch.eye(tokens.shape[1]).expand(2, -1, -1)
        for block in network.blocks:
            one = block.attn
            qkv = one.qkv(block.norm1(tokens)).reshape(2, -1, 3, one.num_heads, one.head_dim)
            query, key, _ = qkv.permute(2, 0, 3, 1, 4).unbind(0)
            query, key = one.q_norm(query), one.k_norm(key)
            attention = (query @ key.transpose(-2, -1) * one.scale).softmax(-1).mean(1)
            rolled = (attention + torch.eye(attention.shape[-1])) / 2 @ rolled
            tokens = block(tokens)
        prefix = network.num_prefix_tokens
        assert network.global_pool == "token"
        rows = rolled[:, 0, prefix:].numpy()
    np.testing.assert_allclose(maps.reshape(2, -1), rows, rtol=1e-4, atol=1e-7)


def test_what_cannot_be_explained_is_refused_in_one_line(trained: Classifier) -> None:
    few = describe("swin_tiny_patch4_window7_224", 224)
    with pytest.raises(PackageError, match="neither convolutions nor attention"):
        Explainer(Classifier(few).eval(), few)

    class Steps(nn.Module):
        """A head as a forest is: it only compares."""

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return (features[:, :1] > 0).float()

    about = describe()
    classifier = Classifier(about)
    classifier.network.fc = Steps()
    explain = Explainer(classifier.eval(), about)
    with pytest.raises(PackageError, match="no slope"):
        explain(marked(2, seed=1)[0], np.ones(2, np.int64))
