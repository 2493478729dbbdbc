"""FROC by the official rule: every gotcha by hand, and against a slow, literal implementation."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_pipeline.evaluation.detections import Detections, no_detections
from wsi_pipeline.evaluation.froc import FrocCurve, Hits, froc_curve, hits
from wsi_pipeline.evaluation.lesions import Lesions, no_lesions
from wsi_pipeline.evaluation.settings import OPERATING_POINTS
from wsi_pipeline.geometry import PerAxis

Found = tuple[float, float, float]
"""Probability, x, y."""


def detections(*found: Found) -> Detections:
    table = np.array(found, float).reshape(-1, 3)
    return Detections(table[:, 0], table[:, 1], table[:, 2])


def three_lesions() -> Lesions:
    """Squares of 2 × 2 px of 32: lesion 1 at px (1, 1), 2 at (5, 1), and cells, 3, at (1, 5)."""
    labels = np.zeros((8, 8), np.int32)
    labels[1:3, 1:3], labels[1:3, 5:7], labels[5:7, 1:3] = 1, 2, 3
    return Lesions(labels, 0, 0, PerAxis(32.0, 32.0), np.zeros(3), np.array([False, False, True]))


def curve_of(*slides: Hits) -> FrocCurve:
    curve = froc_curve(slides)
    assert curve is not None
    return curve


def points(curve: FrocCurve) -> list[tuple[float, float]]:
    return list(zip(curve.false_positives.tolist(), curve.sensitivity.tolist(), strict=True))


def test_a_hit_a_miss_and_a_false_positive() -> None:
    met = hits(detections((0.9, 40, 40), (0.6, 130, 130)), three_lesions())
    assert met.false_positives.tolist() == [0.6]
    assert met.lesions.tolist() == [0.9, 0, 0]
    assert met.counted == 2


def test_repeat_hits_are_no_false_positives() -> None:
    met = hits(detections((0.3, 33, 33), (0.8, 90, 90), (0.5, 40, 80)), three_lesions())
    assert met.false_positives.size == 0
    assert met.lesions.tolist() == [0.8, 0, 0]


def test_isolated_tumour_cells_are_neither_found_nor_wrong() -> None:
    met = hits(detections((0.99, 40, 170)), three_lesions())
    assert met.false_positives.size == 0
    assert met.lesions.tolist() == [0, 0, 0]
    assert met.counted == 2


def test_on_normal_slides_every_detection_is_false() -> None:
    met = hits(detections((0.9, 40, 40), (0.7, 5, 5)), no_lesions())
    assert met.false_positives.tolist() == [0.9, 0.7]
    assert met.counted == 0


def test_x_is_the_column() -> None:
    met = hits(detections((0.9, 200, 40)), three_lesions())
    assert met.lesions.tolist() == [0, 0.9, 0]


def test_slides_without_detections_count() -> None:
    """One false positive on four slides is a quarter per slide."""
    busy = hits(detections((0.9, 40, 40), (0.8, 240, 240)), three_lesions())
    silent = hits(no_detections(), no_lesions())
    assert points(curve_of(busy, silent, silent, silent)) == [(0, 0), (0, 0.5), (0.25, 0.5)]
    assert points(curve_of(busy)) == [(0, 0), (0, 0.5), (1, 0.5)]


def test_a_lesion_nobody_found_makes_zero_the_lowest_threshold() -> None:
    """Scores 0.9, 0.8 and 0 of the missed: 0 is dropped, both real ones stay."""
    met = hits(detections((0.9, 40, 40), (0.8, 240, 240)), three_lesions())
    assert curve_of(met).thresholds.tolist() == [np.inf, 0.9, 0.8]


def test_without_a_miss_the_lowest_real_threshold_is_dropped() -> None:
    """So in the challenge's script: scores 0.9 and 0.7, all lesions found, 0.7 is dropped."""
    both = Hits(np.array([0.7]), np.array([0.9, 0.8]), np.zeros(2, bool))
    assert points(curve_of(both)) == [(0, 0), (0, 0.5), (0, 1)]
    lowest = Hits(np.array([0.8]), np.array([0.9, 0.7]), np.zeros(2, bool))
    assert points(curve_of(lowest)) == [(0, 0), (0, 0.5), (1, 0.5)]


def test_isolated_tumour_cells_too_make_zero_the_lowest() -> None:
    met = Hits(np.array([0.7]), np.array([0.9, 0.0]), np.array([False, True]))
    assert points(curve_of(met)) == [(0, 0), (0, 1), (1, 1)]


def test_ties_fall_together() -> None:
    """A hit and a false positive of one score come in at one threshold, at and above."""
    met = Hits(np.array([0.9, 0.9, 0.5]), np.array([0.9, 0.0]), np.zeros(2, bool))
    assert points(curve_of(met)) == [(0, 0), (2, 0.5), (3, 0.5)]


def test_no_lesion_to_be_found_no_curve() -> None:
    assert froc_curve([Hits(np.array([0.5]), np.empty(0), np.empty(0, bool))]) is None
    assert froc_curve([Hits(np.empty(0), np.zeros(1), np.array([True]))]) is None
    assert froc_curve([]) is None


def test_no_detection_at_all() -> None:
    curve = curve_of(Hits(np.empty(0), np.zeros(3), np.zeros(3, bool)))
    assert points(curve) == [(0, 0)]
    assert curve.score() == 0


def test_the_six_operating_points_by_hand() -> None:
    """From (0, 0) by (1, ½) to (4, 1): linear, first at least, last at most."""
    curve = FrocCurve(np.array([0.0, 1, 4]), np.array([0, 0.5, 1]), np.array([np.inf, 0.9, 0.5]))
    assert [curve.at(rate) for rate in OPERATING_POINTS] == pytest.approx(
        [0.125, 0.25, 0.5, 0.5 + 0.5 / 3, 1, 1]
    )
    first = [curve.at(rate, "first-at-least") for rate in OPERATING_POINTS]
    assert first == [0.5, 0.5, 0.5, 1, 1, 1]
    last = [curve.at(rate, "last-at-most") for rate in OPERATING_POINTS]
    assert last == [0, 0, 0.5, 0.5, 1, 1]
    assert curve.score("last-at-most") == pytest.approx(3 / 6)


def test_several_points_at_one_rate() -> None:
    """Lesions found without more false positives: linear and last take the highest of them."""
    rates, sensitivity = np.array([0.0, 0, 0.25, 0.25, 0.25]), np.array([0, 0.2, 0.2, 0.4, 0.6])
    curve = FrocCurve(rates, sensitivity, np.linspace(1, 0.5, 5))
    assert curve.at(0.25) == curve.at(0.25, "last-at-most") == 0.6
    assert curve.at(0.25, "first-at-least") == 0.2
    assert curve.at(8) == curve.at(8, "first-at-least") == 0.6


# A slow, literal implementation of the published script, for random cases.

Mask = NDArray[np.int64]


def literal_hits(
    found: Sequence[Found], tumour: bool, mask: Mask, isolated: Sequence[int], level: int = 5
) -> tuple[list[float], list[float], int]:
    """`compute_FP_TP_Probs`, in Python's own numbers."""
    count = int(mask.max())
    false, true = [], [0.0] * count
    for probability, x, y in found:
        if not tumour:
            false.append(probability)
            continue
        hit = int(mask[int(y / 2**level), int(x / 2**level)])
        if hit == 0:
            false.append(probability)
        elif hit not in isolated and probability > true[hit - 1]:
            true[hit - 1] = probability
    return false, true, count - len(isolated)


def literal_curve(
    slides: Sequence[tuple[list[float], list[float], int]],
) -> tuple[list[float], list[float]]:
    """`computeFROC`: false positives per slide and sensitivity, in its order."""
    false = [one for slide in slides for one in slide[0]]
    true = [one for slide in slides for one in slide[1]]
    total_false, total_true = [], []
    for threshold in sorted(set(false + true))[1:]:
        total_false.append(sum(1 for one in false if one >= threshold))
        total_true.append(sum(1 for one in true if one >= threshold))
    total_false.append(0)
    total_true.append(0)
    lesions = sum(slide[2] for slide in slides)
    return [one / len(slides) for one in total_false], [one / lesions for one in total_true]


def literal_linear(rates: list[float], sensitivity: list[float], wanted: float) -> float:
    """Between the last point at most and the next one; beyond the last, the last."""
    ascending = list(zip(rates, sensitivity, strict=True))[::-1]
    last = max(index for index, (rate, _) in enumerate(ascending) if rate <= wanted)
    if last == len(ascending) - 1:
        return ascending[last][1]
    (x0, y0), (x1, y1) = ascending[last], ascending[last + 1]
    return y0 + (y1 - y0) * (wanted - x0) / (x1 - x0)


PLACE = st.integers(0, 255)
#: Few probabilities, so that many are equal.
DETECTIONS = st.lists(
    st.tuples(st.sampled_from([0.1, 0.25, 0.5, 0.5, 0.75, 0.9, 1.0]), PLACE, PLACE), max_size=12
)
SLIDES = st.lists(st.tuples(st.booleans(), DETECTIONS, st.integers(0, 2**3 - 1)), min_size=1)


@given(SLIDES)
def test_as_the_literal_implementation(
    slides: list[tuple[bool, list[tuple[float, int, int]], int]],
) -> None:
    """Slides of three lesions, any of which may be isolated tumour cells, and normal ones."""
    literal, fast = [], []
    for tumour, found, bits in slides:
        isolated = [index + 1 for index in range(3) if bits >> index & 1] if tumour else []
        truth = three_lesions() if tumour else no_lesions()
        mask = truth.labels.astype(np.int64) if tumour else np.zeros((8, 8), np.int64)
        if tumour:
            itc = np.isin(np.arange(1, 4), isolated)
            truth = Lesions(truth.labels, 0, 0, PerAxis(32.0, 32.0), np.zeros(3), itc)
        literal.append(literal_hits(found, tumour, mask, isolated))
        fast.append(hits(detections(*found), truth))
    curve = froc_curve(fast)
    if not sum(one[2] for one in literal):
        assert curve is None
        return
    assert curve is not None
    rates, sensitivity = literal_curve(literal)
    assert curve.false_positives[::-1].tolist() == pytest.approx(rates)
    assert curve.sensitivity[::-1].tolist() == pytest.approx(sensitivity)
    for rate in OPERATING_POINTS:
        assert curve.at(rate) == pytest.approx(literal_linear(rates, sensitivity, rate))
        pairs = list(zip(rates, sensitivity, strict=True))[::-1]
        above = [one for at, one in pairs if at >= rate]
        assert curve.at(rate, "first-at-least") == pytest.approx(
            above[0] if above else pairs[-1][1]
        )
        below = [one for at, one in pairs if at <= rate]
        assert curve.at(rate, "last-at-most") == pytest.approx(below[-1])
