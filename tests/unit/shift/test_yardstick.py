"""p-values of slides and images: valid, monotone, and at one with their limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_pipeline.shift.yardstick import Yardstick


@pytest.mark.parametrize("units", [3, 6, 12, 40, 400])
def test_own_units_seldom_reach_the_level(units: int) -> None:
    """Distances as Mahalanobis' are: roots of chi-squared numbers."""
    rng = np.random.default_rng(units)
    for freedom in (1, 6, 40):
        drawn = np.sqrt(rng.chisquare(freedom, (2000, units + 1)))
        values = [Yardstick(row[1:]).p_value(float(row[0]), 0.02) for row in drawn]
        found = np.array(values, np.float64)
        for level in (0.02, 0.05, 0.2):
            assert (found <= level).mean() <= 1.25 * level + 0.01, (freedom, level)
        assert (found <= 0.5).mean() > 0.4, "and no more careful than need be"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 1e6), min_size=3, max_size=120),
    st.floats(0, 1e7),
    st.floats(0, 1e7),
    st.sampled_from([0.005, 0.02, 0.2]),
)
def test_farther_is_rarer_and_the_limit_is_where_it_is_rare(
    held_out: list[float], one: float, other: float, level: float
) -> None:
    yardstick = Yardstick(np.array(held_out))
    near, far = sorted((one, other))
    first, second = yardstick.p_value(near, level), yardstick.p_value(far, level)
    assert first is not None
    assert second is not None
    assert 0 <= second <= first <= 1
    limit = yardstick.limit(level)
    assert limit is not None
    beyond = yardstick.p_value(limit * 1.01 + 1e-6, level)
    assert beyond is not None
    assert beyond <= level * 1.001
    if limit > 1e-6:
        before = yardstick.p_value(limit * 0.99, level)
        assert before is not None
        assert before >= level * 0.9


@pytest.mark.parametrize("units", [0, 1, 2])
def test_too_few_units_say_nothing(units: int) -> None:
    yardstick = Yardstick(np.ones(units))
    assert yardstick.p_value(1e9, 0.02) is None
    assert yardstick.limit(0.02) is None


def test_nothing_measured_says_nothing() -> None:
    assert Yardstick(np.ones(5)).p_value(float("nan"), 0.02) is None


def test_a_far_slide_is_told_by_a_few() -> None:
    few = Yardstick(np.array([1.0, 1.2, 0.9, 1.1, 1.05]))
    value = few.p_value(6.0, 0.005)
    assert value is not None
    assert value < 0.005
