"""The times of a region: its sums are those of its spans."""

from concurrent.futures import Future

import numpy as np
import pytest

from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.run.classification import classify_region
from wsi_pipeline.run.region_clock import RegionClock
from wsi_pipeline.testing import ArraySlide, FakePredictor

GRID = Grid(0, Size(320, 160), 1.0, 1.0, 32, 32, Mpp(0.5, 0.5))
CELLS = np.array([(column, row) for row in range(5) for column in range(10)])


def test_the_sums_of_a_region_are_those_of_its_spans() -> None:
    slide = ArraySlide([np.full((160, 320, 3), 90, np.uint8)])
    predictor = FakePredictor(batch_size=8, patch_px=32)
    done = classify_region(slide, predictor, GRID, CELLS, clock=RegionClock(spans=True))
    by_stage = {
        stage: [span for span in done.spans if span.stage == stage]
        for stage in ("decode", "wait", "model")
    }
    batches = len(predictor.batches)
    assert batches == 7
    assert len(by_stage["decode"]) == len(by_stage["model"]) == batches
    assert len(by_stage["wait"]) == batches + 1, "to be taken, each; for the last answers, once"
    assert sum(span.cpu_seconds or 0 for span in by_stage["decode"]) == pytest.approx(
        done.read_seconds
    )
    assert sum(span.seconds for span in by_stage["wait"]) == pytest.approx(done.wait_seconds)
    assert len({span.thread for span in (*by_stage["decode"], *by_stage["wait"])}) == 1


def test_a_region_that_nobody_profiles_has_sums_alone() -> None:
    slide = ArraySlide([np.full((160, 320, 3), 90, np.uint8)])
    predictor = FakePredictor(batch_size=8, patch_px=32)
    done = classify_region(slide, predictor, GRID, CELLS)
    assert done.spans == ()
    assert done.read_seconds > 0
    answer = Future[int]()
    assert RegionClock().computing(answer) is answer


def test_what_the_model_raises_reaches_who_waits() -> None:
    answer = Future[int]()
    timed = RegionClock(spans=True).computing(answer)
    answer.set_exception(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        timed.result(5)
