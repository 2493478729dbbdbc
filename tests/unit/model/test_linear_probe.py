"""The head that is fitted to features: of one logit as ever, and of one per class."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, softmax
from torch import nn

from wsi_pipeline.model.linear_probe import fit_head, one_hot, set_head

Array = NDArray[np.float64]


def drawn(seed: int, classes: int, rows: int = 120) -> tuple[Array, NDArray[np.int64]]:
    """Features of overlapping classes, ``(rows, 6)``, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    centres = rng.normal(size=(classes, 6))
    return centres[labels] + rng.normal(size=(rows, 6)), labels


def binary_head(features: Array, labels: Array, ridge: float) -> tuple[Array, float]:
    """How the head of one logit was fitted before there were several."""
    mean, std = features.mean(axis=0), features.std(axis=0) + 1e-6
    scaled = (features - mean) / std
    sign = 2 * labels - 1

    def loss(parameters: Array) -> tuple[float, Array]:
        weight, bias = parameters[:-1], parameters[-1]
        margin = sign * (scaled @ weight + bias)
        slope = -sign * expit(-margin) * 1.0
        value = (1.0 * np.logaddexp(0, -margin)).sum() + 0.5 * ridge * weight @ weight
        gradient = np.append(scaled.T @ slope + ridge * weight, slope.sum())
        return float(value), gradient

    found = minimize(loss, np.zeros(scaled.shape[1] + 1), jac=True, method="L-BFGS-B").x
    weight = found[:-1] / std
    return weight, float(found[-1] - weight @ mean)


@pytest.mark.parametrize("ridge", [0.1, 1.0, 100.0])
def test_one_logit_is_fitted_to_the_same_bits_as_before(ridge: float) -> None:
    features, labels = drawn(1, 2)
    truth = labels.astype(np.float64)
    weight, bias = fit_head(features, truth, ridge)
    expected = binary_head(features, truth, ridge)
    np.testing.assert_array_equal(weight, expected[0])
    assert float(bias) == expected[1]


@given(st.integers(0, 2**31), st.sampled_from([0.3, 3.0]))
@settings(max_examples=8)
def test_two_classes_are_one_logit(seed: int, ridge: float) -> None:
    """Two opposite logits share the weight between them, so their penalty counts half."""
    features, labels = drawn(seed, 2)
    weight, bias = fit_head(features, labels.astype(np.float64), ridge)
    weights, biases = fit_head(features, one_hot(labels, 2), 2 * ridge)
    both = softmax(features @ weights + biases, axis=1)
    np.testing.assert_allclose(both[:, 1], expit(features @ weight + bias), atol=2e-3)


def test_several_classes_are_told_apart() -> None:
    features, labels = drawn(3, 4, rows=400)
    weights, biases = fit_head(features, one_hot(labels, 4), 1.0)
    assert weights.shape == (6, 4)
    assert biases.shape == (4,)
    probabilities = softmax(features @ weights + biases, axis=1)
    assert (probabilities.argmax(axis=1) == labels).mean() > 0.7
    # At the optimum the unpenalised biases make the mean probability the class's share.
    shares = np.bincount(labels, minlength=4) / len(labels)
    np.testing.assert_allclose(probabilities.mean(axis=0), shares, atol=2e-3)


def test_a_patch_of_weight_two_counts_twice() -> None:
    features, labels = drawn(4, 3)
    weight = np.where(labels == 2, 2.0, 1.0)
    twice = np.concatenate([np.arange(len(labels)), np.flatnonzero(labels == 2)])
    # Standardised alike, or the penalty would differ.
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    weighted = fit_head(features, one_hot(labels, 3), 1e-3, weight)
    repeated = fit_head(features[twice], one_hot(labels[twice], 3), 1e-3)
    one, other = (softmax(features @ w + b, axis=1) for w, b in (weighted, repeated))
    np.testing.assert_allclose(one, other, atol=5e-3)


@pytest.mark.parametrize("classes", [1, 4])
def test_a_head_answers_as_it_was_fitted(classes: int) -> None:
    class Trunkless(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, classes)

    features, labels = drawn(5, max(2, classes))
    targets = labels.astype(np.float64) if classes == 1 else one_hot(labels, classes)
    weight, bias = fit_head(features, targets, 1.0)
    network = Trunkless()
    # All that is used of a classifier is its network, and of that the last layer.
    set_head(SimpleNamespace(network=network), weight, bias)  # type: ignore[arg-type]  # as said
    with torch.inference_mode():
        logits = network.fc(torch.from_numpy(features).float()).numpy()
    expected = (features @ weight + bias).reshape(len(features), classes)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
