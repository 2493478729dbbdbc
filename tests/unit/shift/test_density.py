"""Distances of features from their classes' means."""

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.shift.density import Density, fit_density


def drawn(
    count: int, seed: int, moved: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Two classes of 60 features, of which 10 vary much; all of them moved."""
    rng = np.random.default_rng(seed)
    scales = np.where(np.arange(60) < 10, 3.0, 0.3)
    labels = np.arange(count) % 2
    values = rng.normal(0, scales, (count, 60)) + labels[:, None] * 4.0 + moved
    return values.astype(np.float32), labels


@pytest.fixture(scope="module")
def density() -> Density:
    return fit_density(*drawn(400, 1))


def test_distances_are_those_of_the_covariance_where_it_has_that_form(density: Density) -> None:
    held_out, labels = drawn(200, 2)
    scales = np.where(np.arange(60) < 10, 3.0, 0.3)
    exact = np.sqrt(np.square((held_out - labels[:, None] * 4.0) / scales).mean(axis=1))
    found = density.distances(held_out)
    assert found.dtype == np.float32
    assert np.abs(np.log(found / exact)).mean() < 0.12
    assert abs(float(np.median(found)) - 1) < 0.1


def test_the_nearest_class_counts(density: Density) -> None:
    middle = np.full((1, 60), 2.0, np.float32)
    means = np.stack([np.zeros(60), np.full(60, 4.0)]).astype(np.float32)
    assert (density.distances(means) < 0.3).all()
    assert density.distances(middle)[0] > 3


def test_farther_is_farther(density: Density) -> None:
    medians = [
        float(np.median(density.distances(drawn(100, 3, moved)[0]))) for moved in (0, 0.3, 1, 3)
    ]
    assert medians == sorted(medians)
    assert medians[-1] > 3 * medians[0]


def test_the_nearest_example_of_a_training_patch_is_itself(density: Density) -> None:
    training, _ = drawn(400, 1)
    assert len(density.prototypes) == 256
    found = density.nearest(training)
    assert np.count_nonzero(found < 0.05) == 256
    assert float(np.median(density.nearest(drawn(100, 4)[0]))) > 0.1


def test_unreadable_tiles_have_no_distance(density: Density) -> None:
    values, _ = drawn(3, 5)
    values[1] = np.nan
    with np.errstate(invalid="ignore"):
        for found in (density.distances(values), density.nearest(values)):
            assert np.isnan(found).tolist() == [False, True, False]


def test_few_patches_and_constant_features_are_no_harm() -> None:
    values, labels = drawn(8, 6)
    values[:, 40:] = 1.0
    found = fit_density(values, labels).distances(drawn(20, 7)[0])
    assert np.isfinite(found).all()
    same = fit_density(np.ones((8, 5), np.float32), np.zeros(8, np.int64))
    assert same.distances(np.ones((1, 5), np.float32)) == pytest.approx(0)


def test_a_tile_does_not_depend_on_its_batch(density: Density) -> None:
    values, _ = drawn(64, 8)
    alone = np.concatenate([density.distances(one[None]) for one in values])
    assert np.allclose(density.distances(values), alone, rtol=1e-5)


def test_both_distances_together_are_those_of_each(density: Density) -> None:
    values, _ = drawn(50, 9)
    distances, nearest = density.distances_and_nearest(values)
    assert np.array_equal(distances, density.distances(values))
    assert np.array_equal(nearest, density.nearest(values))
