"""Bootstrap draws and intervals."""

import math

import numpy as np

from wsi_pipeline.metrics.bootstrap import Estimate, Interval, draws, interval, percentiles, weights

STRATA = [0, 1, 1, 0, 1, 2]


def test_strata_keep_their_sizes() -> None:
    strata = np.array(STRATA)
    for drawn in draws(strata, resamples=50, seed=4):
        assert (strata[drawn] == strata).all()


def test_weights_are_the_draws_counted() -> None:
    drawn = draws(STRATA, resamples=30, seed=4)
    counted = weights(STRATA, resamples=30, seed=4)
    for one, counts in zip(drawn, counted, strict=True):
        assert np.bincount(one, minlength=6).tolist() == counts.tolist()


def test_a_seed_draws_the_same_again() -> None:
    assert (draws(STRATA, seed=7) == draws(STRATA, seed=7)).all()
    assert (draws(STRATA, seed=7) != draws(STRATA, seed=8)).any()


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(10, 2, 400)
    found = interval(lambda drawn: float(values[drawn].mean()), np.zeros(400), seed=2)
    assert found is not None
    half = 1.96 * values.std() / 20
    assert abs(found.low - (values.mean() - half)) < 0.03
    assert abs(found.high - (values.mean() + half)) < 0.03


def test_what_is_no_number_is_left_out() -> None:
    assert percentiles(np.array([1.0, np.nan, 1.0])) == Interval(1, 1)
    assert percentiles(np.array([np.nan])) is None
    assert interval(lambda _: math.nan, [0, 0], resamples=3) is None


def test_no_units_give_empty_draws() -> None:
    assert draws([], resamples=3).shape == (3, 0)
    assert weights([], resamples=3).shape == (3, 0)


def test_as_json() -> None:
    assert Estimate(0.5, Interval(0.25, 0.75)).to_json() == {
        "value": 0.5,
        "low": 0.25,
        "high": 0.75,
    }
    assert Estimate(math.nan, None).to_json() == {"value": None, "low": None, "high": None}
