"""A region's probabilities are in its order, and what cannot be read does no harm."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.errors import StoppedError
from wsi_pipeline.geometry import Mpp, Region, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.run.classification import classify_region
from wsi_pipeline.run.regions import Region as Part
from wsi_pipeline.run.tile_probabilities import TileProbabilities
from wsi_pipeline.run.tile_values import TileValues
from wsi_pipeline.shift.sampling import SAMPLE_VALUES, sample_patch
from wsi_pipeline.testing import ArraySlide, FakePredictor, red_share
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


def plan_of(tiles: int) -> Plan:
    cells = np.stack([np.arange(tiles), np.zeros(tiles, np.int64)], axis=1)
    empty = np.zeros(tiles, np.float32)
    return Plan(GRID, cells, empty, np.zeros((5, 10), np.uint8), 0, cells[:0])


def test_what_is_kept_is_taken_apart_again() -> None:
    slide = ArraySlide([tissue()], unreadable=[Region(0, 70, 5, 1, 1)])
    region = Part(0, CELLS[:20], CELLS[[0, 2, 19]], 0, 0)
    done = classify_region(
        slide, FakePredictor(patch_px=32), GRID, region.cells, sampled=region.sampled
    )
    assert len(done.values) == region.size(TileValues()) == 20 + 3 * SAMPLE_VALUES
    tiles, samples = region.split(done.values, TileValues())
    assert np.array_equal(tiles.probabilities, done.probabilities, equal_nan=True)
    assert np.array_equal(samples[0], sample_patch(tissue()[:32, :32], 0.5), equal_nan=True)
    last = sample_patch(tissue()[32:64, 288:320], None)
    assert np.array_equal(samples[2], last, equal_nan=True)
    assert np.isnan(samples[1]).all(), "tile 2 cannot be read"


def test_cells_beside_the_tiles_are_looked_at_all_the_same() -> None:
    slide = ArraySlide([tissue()], unreadable=[Region(0, 70, 5, 1, 1)])
    wanted = CELLS[[0, 2, 15, 3]]
    done = classify_region(
        slide, FakePredictor(patch_px=32, batch_size=2), GRID, CELLS[10:20], sampled=wanted
    )
    whole = classify_region(
        slide, FakePredictor(patch_px=32, batch_size=8), GRID, CELLS[:20], sampled=wanted
    )
    assert np.array_equal(done.samples, whole.samples, equal_nan=True)
    known = ~np.isnan(done.samples[:, 0])
    assert known.tolist() == [True, False, True, True], "tile 2 cannot be read"
    assert len(done.probabilities) == 10
    assert not done.unreadable, "it is none of the tiles"


@dataclass(frozen=True)
class OfFeatures:
    """The largest feature of a tile, and their sum."""

    names: tuple[str, ...] = ("largest", "sum")

    def compute(self, answers: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.stack([answers[:, 1:].max(axis=1), answers[:, 1:].sum(axis=1)], axis=1)


@pytest.mark.parametrize("features", [0, 2])
def test_extras_and_features_are_kept_beside_the_answers(features: int) -> None:
    def answer(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        share = red_share(patches)
        return np.stack([share, share + 1, -share], axis=1)

    kept = TileValues((), (OfFeatures(),), features)
    slide = ArraySlide([image()], unreadable=[Region(0, 70, 5, 1, 1)])
    predictor = FakePredictor(answer, patch_px=32, batch_size=8, features=2)
    region = Part(0, CELLS, CELLS[[0, 2]], 0, 0)
    done = classify_region(slide, predictor, GRID, CELLS, sampled=region.sampled, kept=kept)
    assert len(done.values) == region.size(kept) == 50 * (3 + features) + 2 * SAMPLE_VALUES
    plan = plan_of(50)
    answers = TileProbabilities(plan, kept, ())
    assert answers.take(region, done.values) == 1
    known = np.arange(50) != 2
    assert np.array_equal(answers.probabilities[known], expected()[known])
    assert np.array_equal(answers.extras["largest"][known], expected()[known] + 1)
    assert np.allclose(answers.extras["sum"][known], 1)
    tiles, samples = region.split(done.values, kept)
    assert np.array_equal(tiles.features[known], answer_of(expected()[known])[:, :features])
    assert len(samples) == 2
    for values in (answers.probabilities, *answers.extras.values()):
        assert np.isnan(values[2]), "tile 2 cannot be read"
    assert np.isnan(tiles.features[2]).all()


def answer_of(share: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack([share + 1, -share], axis=1)


def tissue() -> NDArray[np.uint8]:
    noise = np.random.default_rng(4).integers(-20, 20, (160, 320, 3))
    return (np.array([170, 90, 160]) + noise).astype(np.uint8)


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
