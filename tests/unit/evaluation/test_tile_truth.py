"""Labels of tiles."""

import numpy as np
import pytest

from wsi_pipeline.errors import UsageError
from wsi_pipeline.evaluation.settings import TileRule
from wsi_pipeline.evaluation.tile_truth import label_tiles
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.testing import BoxTruth


def grid(patch: int = 100, scale: float = 1.0, downsample: float = 1.0) -> Grid:
    return Grid(0, Size(1000, 800), downsample, scale, patch, patch, Mpp(0.5, 0.5))


def labels(truth: BoxTruth, rule: str, used: Grid, *corners: tuple[int, int]) -> list[bool]:
    x, y = np.array(corners, np.int64).T
    return [bool(one) for one in label_tiles(truth, used, x, y, TileRule.parse(rule))]


def test_any_px_of_the_patch() -> None:
    truth = BoxTruth(((199, 99, 1, 1),))
    corners = (100, 0), (200, 0), (100, 100), (0, 0)
    assert labels(truth, "any", grid(), *corners) == [True, False, False, False]


@pytest.mark.parametrize(("x", "expected"), [(129, False), (130, True), (169, True), (170, False)])
def test_any_px_of_the_centre(x: int, *, expected: bool) -> None:
    """The central 40 px of a patch of 100 px from 100 on are those from 130 to 169."""
    truth = BoxTruth(((x, 150, 1, 1),))
    assert labels(truth, "central:40", grid(), (100, 100)) == [expected]


def test_a_small_patch_is_all_centre() -> None:
    truth = BoxTruth(((100, 100, 1, 1),))
    assert labels(truth, "central", grid(), (100, 100)) == [True]
    assert labels(truth, "central", grid(patch=300), (0, 0)) == [True]
    assert labels(truth, "central", grid(patch=301), (15, 15)) == [False]


@pytest.mark.parametrize(("width", "expected"), [(24, False), (25, True)])
def test_a_share_of_the_patch(width: int, *, expected: bool) -> None:
    truth = BoxTruth(((100, 0, width, 100),))
    assert labels(truth, "fraction:0.25", grid(), (100, 0)) == [expected]


def test_px_of_other_resolutions() -> None:
    """Patches of 100 px of a level of 2, two of which make one analysis px: 400 level-0 px."""
    used = grid(scale=2.0, downsample=2.0)
    truth = BoxTruth(((396, 0, 4, 4),))
    assert labels(truth, "any", used, (0, 0), (400, 0)) == [True, False]
    assert labels(truth, "central:98", used, (0, 0)) == [False]


def test_without_tumour_no_tile_is() -> None:
    assert labels(BoxTruth(()), "any", grid(), (0, 0)) == [False]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("any", "any px of the patch is tumour"),
        ("central", "any of the patch's central 128 × 128 px is tumour"),
        ("centre:64", "any of the patch's central 64 × 64 px is tumour"),
        ("fraction:.5", "at least 50 % of the patch's px are tumour"),
    ],
)
def test_rules_in_words(text: str, words: str) -> None:
    assert str(TileRule.parse(text)) == words


@pytest.mark.parametrize("text", ["", "all", "fraction", "fraction:0", "fraction:2", "central:0"])
def test_other_rules_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--tile-label"):
        TileRule.parse(text)
