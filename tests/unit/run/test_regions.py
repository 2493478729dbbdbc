"""Regions cover the plan once, give probabilities in plan order, and stop when asked."""

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.errors import StoppedError
from wsi_pipeline.geometry import Mpp, Region, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.run import regions as module
from wsi_pipeline.run.regions import classify_region, cut_regions
from wsi_pipeline.testing import ArraySlide, FakePredictor
from wsi_pipeline.tiles.plan import Plan

GRID = Grid(0, Size(320, 160), 1.0, 1.0, 32, 32, Mpp(0.5, 0.5))
CELLS = np.array([(column, row) for row in range(5) for column in range(10)])


def image() -> NDArray[np.uint8]:
    """Each cell's share of red px is its own."""
    px = np.zeros((160, 320, 3), np.uint8)
    px[..., 2] = 100
    for number, (column, row) in enumerate(CELLS):
        px[row * 32 : row * 32 + 1, column * 32 : column * 32 + 32][:, : number % 32, 0] = 200
    return px


def expected() -> NDArray[np.float32]:
    return np.array([(number % 32) / 1024 for number in range(50)], np.float32)


@pytest.mark.parametrize("tiles", [0, 1, 7, 8, 9, 100])
def test_regions_cover_the_plan_once(monkeypatch: pytest.MonkeyPatch, tiles: int) -> None:
    monkeypatch.setattr(module, "REGION_TILES", 8)
    cells = np.zeros((tiles, 2), np.int64)
    empty = np.zeros(tiles, np.float32)
    plan = Plan(GRID, cells, empty, np.zeros((5, 10), np.uint8), 0, cells[:0])
    parts = list(cut_regions(plan))
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(tiles))
    assert all(part.stop - part.start == 8 for part in parts[:-1])


def test_probabilities_are_in_plan_order() -> None:
    predictor = FakePredictor(patch_px=32, batch_size=8)
    done = classify_region(ArraySlide([image()]), predictor, GRID, CELLS, index=3)
    assert done.index == 3
    assert np.array_equal(done.probabilities, expected())
    assert predictor.batches == [8] * 6 + [2]
    assert done.runtime_kind == "fake/cpu/fp32"
    backwards = classify_region(ArraySlide([image()]), predictor, GRID, CELLS[::-1])
    assert np.array_equal(backwards.probabilities, expected()[::-1])


def test_unreadable_tiles_have_no_probability_and_do_no_harm() -> None:
    slide = ArraySlide([image()], unreadable=[Region(0, 40, 40, 1, 1), Region(0, 300, 150, 1, 1)])
    done = classify_region(slide, FakePredictor(patch_px=32), GRID, CELLS)
    lost = np.isnan(done.probabilities)
    assert CELLS[lost].tolist() == [[1, 1], [9, 4]]
    assert np.array_equal(done.probabilities[~lost], expected()[~lost])
    assert "(32, 32)" in done.unreadable


def test_it_stops_at_the_next_batch() -> None:
    predictor = FakePredictor(patch_px=32, batch_size=8)
    with pytest.raises(StoppedError):
        classify_region(
            ArraySlide([image()]),
            predictor,
            GRID,
            CELLS,
            stopped=lambda: len(predictor.batches) >= 2,
        )
    assert predictor.batches == [8, 8]


def test_a_failing_model_is_no_unreadable_slide() -> None:
    def fail(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        classify_region(ArraySlide([image()]), FakePredictor(fail, patch_px=32), GRID, CELLS)
