"""Reliability and expected calibration error."""

import math

import numpy as np
import pytest

from wsi_pipeline.metrics.calibration import expected_calibration_error, reliability


def test_by_hand() -> None:
    # Bins of 0-½ and ½-1: mean .2 against ½, mean .9 against 1.
    found = reliability([0, 1, 1, 1], [0.1, 0.3, 0.8, 1.0], bins=2)
    assert found.count.tolist() == [2, 2]
    assert found.probability.tolist() == pytest.approx([0.2, 0.9])
    assert found.frequency.tolist() == [0.5, 1]
    assert found.error == pytest.approx((2 * 0.3 + 2 * 0.1) / 4)


def test_an_empty_bin_counts_for_nothing() -> None:
    found = reliability([1, 1], [0.95, 0.97], bins=10)
    assert found.count.tolist() == [0] * 9 + [2]
    assert np.isnan(found.frequency[:9]).all()
    assert found.error == pytest.approx(0.04)


def test_honest_probabilities_are_calibrated() -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.random(200_000)
    labels = rng.random(200_000) < probabilities
    assert expected_calibration_error(labels, probabilities) < 0.01
    assert expected_calibration_error(labels, probabilities**2) > 0.1


def test_of_nothing_there_is_none() -> None:
    assert math.isnan(expected_calibration_error([], []))


def test_probabilities_are_checked() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        reliability([1], [1.2])
