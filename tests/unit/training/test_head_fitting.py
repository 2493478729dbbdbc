"""What scikit-learn and UMAP fitted is what the torch module answers, alone and in a batch."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from wsi_pipeline.model import heads
from wsi_pipeline.model.heads import nearest, neighbourhood
from wsi_pipeline.training import head_fitting
from wsi_pipeline.training.head_fitting import Fitted, fit_head
from wsi_pipeline.training.head_recipe import HeadRecipe

FEATURES = 80


def drawn(classes: int, count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Features around a middle for each class, on scales of their own."""
    middles = np.random.default_rng(0).normal(0, 1.2, (classes, FEATURES))
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    scales = np.geomspace(0.1, 10, FEATURES)
    return (middles[labels] + rng.normal(0, 2, (count, FEATURES))) * scales + 5, labels


def fitted(classes: int, **settings: Any) -> Fitted:
    features, labels = drawn(classes, 120, 1)
    recipe = HeadRecipe(**{"trees": 20, **settings})
    return fit_head(recipe, features, labels, classes, balanced=True, seed=3)


def answers(one: Fitted, features: NDArray[np.float64]) -> NDArray[np.float64]:
    with torch.inference_mode():
        logits: NDArray[np.float64] = one.module(torch.from_numpy(features).float()).numpy()
    return logits


def reduced(one: Fitted, features: NDArray[np.float64]) -> NDArray[np.float64]:
    with torch.inference_mode():
        values = one.module.reduction(torch.from_numpy(features).float())
    return np.asarray(values.double().numpy())


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("kind", ["svm", "logistic", "neighbours", "forest"])
@pytest.mark.parametrize("reduce", ["none", "pca"])
def test_torch_answers_as_scikit_learn(kind: str, reduce: str, classes: int) -> None:
    one = fitted(classes, kind=kind, reduce=reduce, components=10)
    features, labels = drawn(classes, 50, 2)
    logits = answers(one, features)
    values = reduced(one, features)
    if kind == "svm":
        decision = one.estimator.decision_function(values)
        ours = logits[:, 1] - logits[:, 0] if classes == 2 else logits
        assert np.allclose(ours, decision, atol=2e-3)
    else:
        # Neighbours and leaves without a class have the least share, not none.
        shares = one.estimator.predict_proba(values)
        assert np.allclose(softmax(logits, axis=1), shares, atol=6e-3)
    assert (logits.argmax(axis=1) == labels).mean() > 0.6
    alone = np.concatenate([answers(one, features[i : i + 1]) for i in range(len(features))])
    assert np.allclose(alone, logits, atol=1e-4)


def test_umap_places_an_image_where_its_own_transform_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Where the training images are does not matter here; to compile UMAP takes long.
    monkeypatch.setattr(head_fitting, "_umap", lambda points, _, count, __: points[:, :count])
    one = fitted(3, kind="logistic", reduce="umap", components=2)
    features, labels = drawn(3, 30, 2)
    logits, places = answers(one, features), reduced(one, features)
    assert (logits.argmax(axis=1) == labels).mean() > 0.6
    # What an image is answered is the same alone, to the last digits.
    assert np.allclose(answers(one, features[:1]), logits[:1], atol=1e-5)
    reduction = one.module.reduction
    inputs = (torch.from_numpy(features).float() - reduction.mean) * reduction.scale
    distance, index = nearest(inputs @ reduction.axes, reduction.points, 15)
    width = neighbourhood(distance).double().numpy()
    # What `smooth_knn_dist` of umap-learn 0.5 solves where it is told of no local connectivity.
    total = np.exp(-distance.numpy()[:, 1:] / width).sum(axis=1)
    assert np.allclose(total, np.log2(15), atol=1e-3)
    weight = np.exp(-distance.numpy() / width)
    weight /= weight.sum(axis=1, keepdims=True)
    expected = (reduction.places.numpy()[index.numpy()] * weight[:, :, None]).sum(axis=1)
    assert np.allclose(places, expected, atol=1e-2)


def test_distances_of_many_images_are_not_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All training images to all: 10,000 of 50 numbers would be 20 GB."""
    monkeypatch.setattr(head_fitting, "_umap", lambda points, _, count, __: points[:, :count])
    asked: list[int] = []
    plain = heads.squared_distances

    def counted(values: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        asked.append(len(values))
        return plain(values, points)

    monkeypatch.setattr(heads, "squared_distances", counted)
    features, labels = drawn(3, 300, 1)
    recipe = HeadRecipe(kind="logistic", reduce="umap", components=2)
    one = fit_head(recipe, features, labels, 3, balanced=True, seed=3)
    assert sum(asked) == 300
    assert max(asked) <= 64
    parts = heads.in_parts(one.module, torch.from_numpy(features).float()).numpy()
    assert np.allclose(parts, answers(one, features), atol=1e-4)


def test_a_feature_that_never_changes_says_nothing() -> None:
    features, labels = drawn(2, 60, 1)
    features[:, 3] = 7.0
    recipe = HeadRecipe(kind="logistic")
    one = fit_head(recipe, features, labels, 2, balanced=False, seed=1)
    changed = features.copy()
    changed[:, 3] = 1e6
    assert np.allclose(answers(one, features), answers(one, changed))
