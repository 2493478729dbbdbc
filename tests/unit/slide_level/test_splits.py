"""Validation slides divided at random: the statement holds in as many divisions as it says."""

import numpy as np

from wsi_pipeline.slide_level.splits import random_splits


def test_the_share_is_kept_in_as_many_divisions_as_stated() -> None:
    kept = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        positive = rng.random(300) < 0.3
        probability = 1 / (1 + np.exp(5 - 3 * rng.normal(3 * positive, 1)))
        found = random_splits(probability, positive, 0.05, 0.1, seed=seed)
        assert (found.missed <= found.clear).all()
        assert found.clear.max() > 40
        kept.append(found.kept(0.05))
    assert np.mean(kept) >= 0.9


def test_too_few_slides_are_never_clear() -> None:
    positive = np.arange(40) >= 30
    found = random_splits(np.arange(40.0), positive, 0.05, 0.1)
    assert found.clear.sum() == 0
    assert found.kept(0.05) == 1
    assert (found.shares == 0).all()
