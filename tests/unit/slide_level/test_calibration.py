"""Scores become probabilities, and patients drawn again say how sure those are."""

import numpy as np
import pytest

from wsi_pipeline.slide_level.calibration import (
    SlideCalibration,
    drawn_weights,
    fit_calibration,
    interval,
    softmax,
)


def draw(slides: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are twice what they should be and one too high for the second class."""
    rng = np.random.default_rng(seed)
    right = rng.normal(0, 1.5, (slides, classes))
    truth = np.array([rng.choice(classes, p=p) for p in softmax(right)])
    given = 2 * right
    given[:, 1] += 1
    return given, truth


@pytest.mark.parametrize("classes", [2, 4])
def test_slope_and_offsets_are_found(classes: int) -> None:
    scores, truth = draw(4000, classes, 1)
    found = fit_calibration(scores, truth, np.arange(len(truth)), draws=5)
    assert found.slope == pytest.approx(0.5, abs=0.05)
    expected = np.zeros(classes)
    expected[1] = -0.5
    assert found.offsets == pytest.approx(expected, abs=0.15)
    found_share = found.probabilities(scores).mean(axis=0)
    assert found_share == pytest.approx(np.bincount(truth) / len(truth), abs=0.01)


def test_classes_that_are_divided_perfectly_give_no_certainty() -> None:
    truth = np.repeat([0, 1], 10)
    scores = np.stack([np.zeros(20), np.where(truth == 1, 5.0, -5.0)], axis=1)
    found = fit_calibration(scores, truth, np.arange(20), draws=3)
    # Platt's targets: 11 of 12, and 1 of 12.
    assert found.probabilities(scores)[-1, 1] == pytest.approx(11 / 12, abs=0.01)


def test_scores_that_rank_wrongly_are_not_turned() -> None:
    scores, truth = draw(300, 2, 2)
    found = fit_calibration(-scores, truth, np.arange(300), draws=3)
    assert found.slope == 0
    assert np.ptp(found.probabilities(scores)[:, 1]) == 0


def test_an_interval_is_narrower_with_more_slides_and_holds_the_probability() -> None:
    widths = []
    for slides in (40, 640):
        scores, truth = draw(slides, 2, 3)
        found = fit_calibration(scores, truth, np.arange(slides), draws=60)
        one = scores[0]
        probability = float(found.probabilities(one[None])[0, 1])
        low, high = interval(probability, found.drawn_probabilities(one)[:, 1])
        assert 0 <= low <= probability <= high <= 1
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
    assert interval(0.4, np.zeros(0)) == (0.0, 1.0)


def test_patients_are_drawn_with_all_their_slides_and_no_class_is_lost() -> None:
    groups = np.array(["a", "a", "b", "c", "d", "d"])
    truth = np.array([0, 1, 0, 0, 1, 1])
    drawn = drawn_weights(groups, truth, draws=50, seed=4)
    assert drawn.shape == (50, 6)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, 4] == drawn[:, 5]).all()
    # The one patient of both classes is in each drawing, and so is the only one of the second.
    assert (drawn[:, 0] == 1).all()
    assert (drawn[:, 4] == 1).all()
    assert (drawn[:, 2] + drawn[:, 3] == 2).all()
    assert (drawn_weights(groups, truth, draws=50, seed=4) == drawn).all()


def test_numbers_that_are_no_calibration_are_refused() -> None:
    with pytest.raises(ValueError, match="slope and an offset"):
        SlideCalibration(1.0, np.zeros(2), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="finite"):
        SlideCalibration(1.0, np.array([0.0, np.nan]), np.zeros((3, 3)))
