"""The evaluation mask of the challenge, worked by hand and against scikit-image."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

from wsi_pipeline.evaluation.lesions import Lesions, find_lesions, label_lesions
from wsi_pipeline.evaluation.settings import OFFICIAL_MPP, FrocRule
from wsi_pipeline.geometry import Mpp, PerAxis, Size
from wsi_pipeline.testing import BoxTruth

RULE = FrocRule()
OFFICIAL = Mpp(OFFICIAL_MPP, OFFICIAL_MPP)


def boxes(*given: tuple[int, int, int, int]) -> BoxTruth:
    return BoxTruth(given)


#: Reach of a lesion in px of level 5, as the challenge's script has it.
REACH = 75 / (0.243 * 32 * 2)


def official(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], list[int]]:
    """The challenge's `computeEvaluationMask` and `computeITCList`, word for word."""
    pixels = np.where(mask, 255, 0)
    distance = ndimage.distance_transform_edt(255 - pixels)
    binary = distance < 75 / (0.243 * 2**5 * 2)
    filled = ndimage.binary_fill_holes(binary)
    labels = measure.label(filled, connectivity=2)  # type: ignore[no-untyped-call]  # no types
    properties = measure.regionprops(labels)  # type: ignore[no-untyped-call]  # no types
    itc = [
        index + 1
        for index in range(int(labels.max()))
        if properties[index].axis_major_length < 275 / (0.243 * 2**5)
    ]
    return labels, itc


@given(
    mask=arrays(bool, (60, 70), elements=st.booleans(), fill=st.just(False)),
    block=st.tuples(st.integers(0, 59), st.integers(0, 69), st.integers(1, 50), st.integers(1, 50)),
)
def test_as_the_official_script(mask: NDArray[np.bool_], block: tuple[int, int, int, int]) -> None:
    y, x, height, width = block
    mask[y : y + height, x : x + width] = True
    expected, itc = official(mask)
    labels, axes = label_lesions(mask, REACH)
    assert (labels == expected).all()
    small = np.flatnonzero(axes < 275 / (0.243 * 32)) + 1
    assert small.tolist() == itc


def test_a_window_is_as_good_as_the_whole_slide() -> None:
    """Cut to the tumour's bounds, also at the slide's edge where holes are open."""
    rng = np.random.default_rng(4)
    for _ in range(20):
        mask = ndimage.binary_opening(rng.random((50, 40)) < 0.6, iterations=2)
        if not mask.any():
            continue

        class Whole:
            kind = "mask-255"
            bounds = tuple(
                32.0 * value
                for value in (
                    np.nonzero(mask.any(0))[0][0],
                    np.nonzero(mask.any(1))[0][0],
                    np.nonzero(mask.any(0))[0][-1] + 1,
                    np.nonzero(mask.any(1))[0][-1] + 1,
                )
            )

            def window(
                self, x: float, y: float, width: int, height: int, downsample: float | PerAxis
            ) -> NDArray[np.bool_]:
                assert downsample == PerAxis(32, 32)
                part = np.zeros((height, width), bool)
                left, top = int(x // 32), int(y // 32)
                inside = mask[top : top + height, left : left + width]  # noqa: B023 - used at once
                part[: inside.shape[0], : inside.shape[1]] = inside
                return part

        found = find_lesions(Whole(), RULE, OFFICIAL, Size(40 * 32, 50 * 32))  # type: ignore[arg-type]  # as much of a truth as is needed
        whole = np.zeros(mask.shape, np.int64)
        height, width = found.labels.shape
        whole[found.row : found.row + height, found.column : found.column + width] = found.labels
        expected, itc = official(mask)
        assert (whole == expected).all()
        assert (np.flatnonzero(found.itc) + 1).tolist() == itc


def at(lesions: Lesions, x: float, y: float) -> int:
    return int(lesions.at(np.array([x]), np.array([y]))[0])


def test_the_reach_is_37_5_micrometres() -> None:
    """At 0.243 µm a lesion reaches 4.82 px of level 5: 4 whole px and the diagonal (3, 3)."""
    lesions = find_lesions(boxes((3200, 3200, 64 * 32, 64 * 32)), RULE, OFFICIAL)
    right, middle = 3200 + 64 * 32, 4000
    assert at(lesions, right - 1, middle) == 1
    assert at(lesions, right + 3 * 32, middle) == 1
    assert at(lesions, right + 3 * 32 + 31.9, middle) == 1  # the fourth px
    assert at(lesions, right + 4 * 32, middle) == 0
    corner = 3200 - 1
    assert at(lesions, corner - 2 * 32, corner - 2 * 32) == 1  # √18 = 4.24 px
    assert at(lesions, corner - 3 * 32, corner - 3 * 32) == 0  # √32 = 5.66 px


@pytest.mark.parametrize(
    ("asked", "slide", "used"),
    [
        ("auto", 0.243, 0.243),
        ("auto", 0.226, 0.243),
        ("auto", 0.25, 0.243),
        ("auto", 0.27, 0.27),
        ("auto", 0.5, 0.5),
        ("auto", None, 0.243),
        ("slide", 0.226, 0.226),
        ("slide", None, 0.243),
        (0.243, 0.5, 0.243),
    ],
)
def test_the_scripts_constant_is_for_the_slides_it_was_made_for(
    asked: Literal["auto", "slide"] | float, slide: float | None, used: float
) -> None:
    assert FrocRule(mpp=asked).mpp_of(slide) == used


def test_the_reach_follows_the_resolution() -> None:
    """Twice the resolution, twice as many px of the slide."""
    truth = boxes((6400, 6400, 6400, 6400))
    coarse, fine = (find_lesions(truth, RULE, Mpp(mpp, mpp)) for mpp in (0.25, 0.125))
    left = 6400 - 1
    assert at(coarse, left - 3 * 32, 8000) == 1
    assert at(coarse, left - 4 * 32, 8000) == 0
    assert at(fine, left - 8 * 32, 8000) == 1
    assert at(fine, left - 9 * 32, 8000) == 0


@pytest.mark.parametrize(("gap", "count"), [(8, 1), (9, 2)])
def test_tumour_closer_than_75_micrometres_is_one_lesion(gap: int, count: int) -> None:
    """Both sides reach 4 px: 8 px between them are closed, over 9 a px is left."""
    side = 64 * 32
    truth = boxes((3200, 3200, side, side), (3200 + side + gap * 32, 3200, side, side))
    assert len(find_lesions(truth, RULE, OFFICIAL)) == count


def test_holes_are_filled() -> None:
    outer, wall = 3200, 320
    frame = boxes(
        (outer, outer, 3200, wall),
        (outer, outer + 3200 - wall, 3200, wall),
        (outer, outer, wall, 3200),
        (outer + 3200 - wall, outer, wall, 3200),
    )
    lesions = find_lesions(frame, RULE, OFFICIAL)
    assert len(lesions) == 1
    assert at(lesions, outer + 1600, outer + 1600) == 1


def test_isolated_tumour_cells_are_short() -> None:
    """A thin bar and its reach, L px long, has a major axis of about 4·L/√12 = 1.155·L."""
    bar = 32
    short = find_lesions(boxes((3200, 3200, 18 * bar, bar)), RULE, OFFICIAL)
    long = find_lesions(boxes((3200, 3200, 26 * bar, bar)), RULE, OFFICIAL)
    assert short.itc.tolist() == [True]
    assert long.itc.tolist() == [False]
    assert short.extent_um[0] < 200 <= long.extent_um[0]


def test_points_are_floored() -> None:
    lesions = find_lesions(boxes((3200, 3200, 3200, 3200)), FrocRule(gap_um=1e-6), OFFICIAL)
    assert at(lesions, 3200, 3200) == 1
    assert at(lesions, 3199.99, 3200) == 0
    assert at(lesions, 6399.99, 6399.99) == 1
    assert at(lesions, 6400, 6399.99) == 0
    assert at(lesions, -50_000, 90_000) == 0


def test_no_tumour_no_lesion() -> None:
    lesions = find_lesions(boxes(), RULE, OFFICIAL)
    assert len(lesions) == 0
    assert at(lesions, 0, 0) == 0
