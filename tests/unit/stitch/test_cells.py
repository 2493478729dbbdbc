"""A cell is the mean of the patches that hold its centre, and says so when there is none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_pipeline.classes import NOT_ANALYSED, TUMOUR_OR_NORMAL, Classes, ModelClass
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.stitch.cells import NOT_TUMOUR, TUMOUR, Cells, stitch_cells
from wsi_pipeline.tiles.plan import Coverage, Plan

KINDS = Classes("multiclass", tuple(ModelClass(name) for name in ("a", "b", "c")), "a")


def plan_of(chosen: NDArray[np.bool_], grid: Grid) -> Plan:
    rows, columns = np.nonzero(chosen)
    return Plan(
        grid=grid,
        cells=np.stack([columns, rows], axis=1).astype(np.int64),
        tissue=np.full(len(rows), 0.5, np.float32),
        coverage=np.where(chosen, Coverage.CLASSIFIED, Coverage.GLASS).astype(np.uint8),
        settled=0,
        unreadable=np.empty((0, 2), np.int64),
    )


@given(st.integers(0, 2**32 - 1), st.integers(4, 30), st.data())
def test_cells_are_the_means_of_the_patches_over_their_centres(
    seed: int, patch: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(max(1, patch // 4), patch))
    grid = Grid(0, Size(max(7, 7 * stride - 1), 6 * stride), 1.0, 1.0, patch, stride, Mpp(1, 1))
    rng = np.random.default_rng(seed)
    plan = plan_of(rng.random((6, 7)) < 0.6, grid)
    probabilities = rng.random(len(plan)).astype(np.float32)
    probabilities[rng.random(len(plan)) < 0.2] = np.nan
    cells = stitch_cells(plan, [(plan.cells, probabilities)])
    for row in range(6):
        for column in range(7):
            x, y = (column + 0.5) * stride, (row + 0.5) * stride
            over = [
                p
                for (i, j), p in zip(plan.cells.tolist(), probabilities.tolist(), strict=True)
                if i * stride <= x < i * stride + patch and j * stride <= y < j * stride + patch
            ]
            known = [p for p in over if not np.isnan(p)]
            actual, why = cells.probability[row, column], cells.coverage[row, column]
            if known:
                assert actual == np.float32(np.mean(known)) or abs(actual - np.mean(known)) < 1e-6
                assert why == Coverage.CLASSIFIED
            else:
                assert np.isnan(actual)
                lost = [row, column] in plan.cells[np.isnan(probabilities)][:, ::-1].tolist()
                assert why == (Coverage.UNREADABLE if lost else Coverage.GLASS)


@given(st.integers(0, 2**32 - 1))
def test_the_outcome_does_not_depend_on_the_order_of_the_plan(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = Grid(0, Size(70, 60), 1.0, 1.0, 25, 10, Mpp(1, 1))
    plan = plan_of(rng.random((6, 7)) < 0.7, grid)
    probabilities = rng.random(len(plan)).astype(np.float32)
    order = rng.permutation(len(plan))
    shuffled = Plan(grid, plan.cells[order], plan.tissue, plan.coverage, 0, plan.unreadable)
    one, other = (
        stitch_cells(plan, [(plan.cells, probabilities)]),
        stitch_cells(shuffled, [(shuffled.cells, probabilities[order])]),
    )
    assert one.probability.tobytes() == other.probability.tobytes()


def test_a_decision_knows_what_was_not_looked_at() -> None:
    probability = np.array([[0.5, 0.49, np.nan, np.nan, 1]], np.float32)
    coverage = np.array(
        [[Coverage.CLASSIFIED] * 2 + [Coverage.GLASS, Coverage.UNREADABLE, Coverage.CLASSIFIED]],
        np.uint8,
    )
    cells = Cells(probability, coverage)
    expected = [[TUMOUR, NOT_TUMOUR, NOT_ANALYSED, NOT_ANALYSED, TUMOUR]]
    assert cells.decision(0.5).tolist() == expected


def test_the_threshold_meets_its_own_float32() -> None:
    stored = np.full((1, 1), np.float32(0.7))
    cells = Cells(stored, np.full((1, 1), Coverage.CLASSIFIED, np.uint8))
    assert cells.decision(0.7)[0, 0] == TUMOUR


@pytest.mark.parametrize("classes", [TUMOUR_OR_NORMAL, KINDS], ids=["binary", "three classes"])
@given(seed=st.integers(0, 2**32 - 1), patch=st.integers(2, 7))
def test_maps_are_averaged_where_they_lie_over_one_another(
    classes: Classes, seed: int, patch: int
) -> None:
    # Cells of 1 px, tiles of 3, maps of 3 to 7; the last column and row are cut by the edge.
    patch = max(patch, 3)
    rng = np.random.default_rng(seed)
    grid = Grid(0, Size(17, 11), 1.0, 1.0, patch, 3, Mpp(1, 1), cell=1, margin=2)
    plan = plan_of(rng.random((4, 6)) < 0.6, grid)
    maps = rng.random((len(plan), *classes.shape, patch, patch)).astype(np.float32)
    lost = rng.random(len(plan)) < 0.2
    maps[lost] = np.nan
    half = len(plan) // 2
    parts = [(plan.cells[:half], maps[:half]), (plan.cells[half:], maps[half:])]
    cells = stitch_cells(plan, parts, classes)
    assert cells.probability.shape == (*classes.shape, 11, 17)
    for row in range(11):
        for column in range(17):
            over = [
                own[..., row - 3 * y, column - 3 * x]
                for (x, y), own, gone in zip(plan.cells, maps, lost, strict=True)
                if 0 <= row - 3 * y < patch and 0 <= column - 3 * x < patch and not gone
            ]
            actual, why = cells.probability[..., row, column], cells.coverage[row, column]
            if over:
                expected = np.mean(np.array(over, np.float64), axis=0)
                np.testing.assert_allclose(actual, expected, rtol=1e-6)
                assert why == Coverage.CLASSIFIED
            else:
                assert np.isnan(actual).all()
                gone = [
                    (x, y) for (x, y), one in zip(plan.cells.tolist(), lost, strict=True) if one
                ]
                unread = (column // 3, row // 3) in gone
                assert why == (Coverage.UNREADABLE if unread else Coverage.GLASS)
