"""Vahadane's factorisation reaches the minimum that a general solver finds."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import DictionaryLearning

from wsi_pipeline.stain.density import RUIFROK
from wsi_pipeline.stain.fit import macenko_directions
from wsi_pipeline.stain.sparse import sparse_amounts, sparse_stains

RNG = np.random.default_rng(0)
DENSITY = RNG.exponential((0.2, 0.2), (800, 2)) @ RUIFROK[:2] + RNG.normal(0, 0.005, (800, 3))


def cost(stains: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    amounts = sparse_amounts(values, stains)
    return float(((values - amounts @ stains) ** 2).sum() / 2 + 0.1 * amounts.sum())


def test_the_minimum_is_that_of_scikit_learn() -> None:
    values = DENSITY * np.log(10)
    learned = DictionaryLearning(
        2,
        alpha=0.1,
        fit_algorithm="cd",
        positive_dict=True,
        positive_code=True,
        max_iter=200,
        tol=1e-9,
        random_state=0,
    ).fit(values)
    theirs = learned.components_ / np.linalg.norm(learned.components_, axis=1, keepdims=True)
    ours = sparse_stains(DENSITY, macenko_directions(DENSITY))
    assert cost(ours, values) <= cost(theirs, values) * (1 + 1e-4)
    order = np.argsort(-theirs[:, 0])
    assert ours[np.argsort(-ours[:, 0])] == pytest.approx(theirs[order], abs=0.01)


def test_no_other_amounts_cost_less() -> None:
    values = RNG.uniform(-0.1, 1.5, (200, 3))
    stains = RUIFROK[:2]
    found = sparse_amounts(values, stains)

    def costs(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
        squares = np.square(values - amounts @ stains).sum(axis=1)
        return np.asarray(squares / 2 + 0.1 * amounts.sum(axis=1))

    assert found.min() >= 0
    for _ in range(50):
        other = np.maximum(found + RNG.normal(0, 0.02, found.shape), 0)
        assert (costs(other) >= costs(found) - 1e-9).all()
