"""One temperature for logits of one class and of several, the likeliest."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, log_softmax

from wsi_pipeline.training.temperature import fit_temperature


def drawn(classes: int, scale: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels that follow the softmax of logits, which are then made too sure."""
    rng = np.random.default_rng(1)
    true = rng.normal(0, 2, (20_000, classes))
    noise = rng.gumbel(size=true.shape)
    return (true + noise).argmax(axis=1), scale * true


def test_a_known_temperature_is_found() -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(0, 2, 40_000)
    labels = rng.random(len(true)) < expit(true)
    assert fit_temperature(labels, 3 * true) == pytest.approx(3, rel=0.05)
    assert fit_temperature(*drawn(4, 3)) == pytest.approx(3, rel=0.05)


def test_the_likelihood_is_largest_there() -> None:
    labels, logits = drawn(3, 2.5)
    best = fit_temperature(labels, logits)

    def loss(temperature: float) -> float:
        logarithms = log_softmax(logits / temperature, axis=1)
        return float(-logarithms[np.arange(len(labels)), labels].mean())

    assert loss(best) < min(loss(0.9 * best), loss(1.1 * best))


def test_one_logit_is_as_two_of_which_one_is_nothing() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 5, 500)
    labels = rng.random(500) < expit(logits / 2)
    two = np.stack([np.full(500, 1.5), logits + 1.5], axis=1)
    assert fit_temperature(labels, logits) == fit_temperature(labels.astype(np.int64), two)
