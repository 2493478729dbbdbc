"""Dice, IoU and tumour never looked at, against whole arrays."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laboratory_support import build_result

from wsi_pipeline.evaluation import overlap as module
from wsi_pipeline.evaluation.overlap import measure_overlap
from wsi_pipeline.export.decision import Decision, decide
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.quality.reasons import NOT_LOOKED_AT, Reason
from wsi_pipeline.stitch.cells import Cells
from wsi_pipeline.testing import BoxTruth
from wsi_pipeline.tiles.plan import Coverage


def test_by_hand(tmp_path: Path) -> None:
    """Two cells of 100 × 100 px called tumour; tumour is one and a half of them and half a third
    that is glass."""
    values = np.array([[0.9, 0.9, 0.9]], np.float32)
    coverage = np.array([[1, 1, Coverage.GLASS]], np.uint8)
    size = Size(300, 100)
    result = build_result(tmp_path, values, name="s", coverage=coverage, size=size)
    found = measure_overlap(decide(result), BoxTruth(((50, 0, 200, 100),)))
    assert (found.tumour, found.mask, found.both) == (20_000, 20_000, 15_000)
    assert found.dice == 0.75
    assert found.iou == 15 / 25
    assert found.unseen == {
        "empty": 0,
        "glass": 5000,
        "unreadable": 0,
        "rejected": 0,
        "screened": 0,
    }
    assert found.unseen_share == 0.25
    assert found.px_mm2 == 0.25e-6


def test_tumour_under_marks_is_told_by_reason(tmp_path: Path) -> None:
    """A cell with pen and fold, one with pen, one not looked at; each a third of the tumour."""
    values = np.array([[0.9, 0.1, 0.9]], np.float32)
    result = build_result(tmp_path, values, name="s", size=Size(300, 100))
    marks = np.array([[Reason.PEN | Reason.FOLD, Reason.PEN, NOT_LOOKED_AT]], np.uint8)
    decision = replace(decide(result), quality=marks)
    found = measure_overlap(decision, BoxTruth(((0, 0, 300, 50),)))
    told = {reason: px for reason, px in found.marked.items() if px}
    assert told == {"any": 10_000, "pen": 10_000, "fold": 5_000}
    assert measure_overlap(decide(result), BoxTruth(((0, 0, 300, 50),))).marked == {}


def test_without_truth_all_of_the_mask_is_false(tmp_path: Path) -> None:
    values = np.array([[0.9, 0.1]], np.float32)
    result = build_result(tmp_path, values, name="s", size=Size(200, 100))
    for truth in (None, BoxTruth(())):
        found = measure_overlap(decide(result), truth)
        assert (found.tumour, found.mask, found.both) == (0, 10_000, 0)
        assert found.dice == 0


def test_of_nothing_there_is_no_dice(tmp_path: Path) -> None:
    result = build_result(tmp_path, np.zeros((1, 1), np.float32), name="s", size=Size(90, 70))
    found = measure_overlap(decide(result), None)
    assert np.isnan(found.dice)
    assert np.isnan(found.iou)
    assert np.isnan(found.unseen_share)


@given(
    seed=st.integers(0, 999),
    downsample=st.sampled_from([1.0, 2.0, 4.0]),
    scale=st.sampled_from([1.0, 1.3, 0.7]),
)
def test_as_with_whole_arrays(seed: int, downsample: float, scale: float) -> None:
    """Blocks of 64 px, cells of uneven px, boxes that reach over the edge."""
    rng = np.random.default_rng(seed)
    size = Size(int(rng.integers(60, 300)), int(rng.integers(60, 300)))
    grid = Grid(0, size, downsample, scale, 20, 20, Mpp(0.5, 0.5))
    shape = (grid.size.height, grid.size.width)
    coverage = rng.integers(0, 5, shape).astype(np.uint8)
    values = np.where(coverage == Coverage.CLASSIFIED, rng.random(shape), np.nan)
    cells = Cells(values.astype(np.float32), coverage)
    whole_0 = Size(int(size.width * downsample), int(size.height * downsample))
    decision = Decision(cells.probability, coverage, cells.decision(0.5), 0.5, grid, whole_0)
    boxes = tuple(
        tuple(float(v) for v in rng.integers(0, 400, 4)) for _ in range(int(rng.integers(0, 4)))
    )
    truth = BoxTruth(boxes)  # type: ignore[arg-type]  # four of them each
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", 64)
        found = measure_overlap(decision, truth)
    # Each px asks for its own cell, the way results are stored.
    x = np.searchsorted(grid.column_edges(downsample, size.width), np.arange(size.width), "right")
    y = np.searchsorted(grid.row_edges(downsample, size.height), np.arange(size.height), "right")
    mask = decision.mask[np.ix_(y - 1, x - 1)] == 1
    why = coverage[np.ix_(y - 1, x - 1)]
    tumour = truth.window(0, 0, size.width, size.height, downsample)
    assert found.mask == mask.sum()
    assert found.tumour == tumour.sum()
    assert found.both == (mask & tumour).sum()
    for item in Coverage:
        if item != Coverage.CLASSIFIED:
            assert found.unseen[item.name.lower()] == (tumour & (why == item)).sum()


def test_the_mask_is_the_stored_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    values = rng.random((4, 5)).astype(np.float32)
    result = build_result(tmp_path, values, name="s", size=Size(470, 333))
    truth = BoxTruth(((130, 40, 222, 180),))
    found = measure_overlap(decide(result), truth)
    stored = np.asarray(result.mask(0)[...]) == 1
    tumour = truth.window(0, 0, 470, 333, 1)
    assert (found.mask, found.both) == (stored.sum(), (stored & tumour).sum())
