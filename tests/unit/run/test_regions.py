"""Regions cover the plan once, give probabilities in plan order, and stop when asked."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.errors import StoppedError, UnsupportedSlideError
from wsi_pipeline.geometry import Mpp, Region, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.run import regions as module
from wsi_pipeline.run.regions import Region as Part
from wsi_pipeline.run.regions import Resources, classify_region, cut_regions
from wsi_pipeline.run.tile_probabilities import TileProbabilities
from wsi_pipeline.run.tile_values import TileValues
from wsi_pipeline.shift.sampling import SAMPLE_VALUES, sample_patch
from wsi_pipeline.slide import open_slide
from wsi_pipeline.testing import ArraySlide, FakePredictor, red_share, write_pyramid
from wsi_pipeline.tiles.plan import Plan

GRID = Grid(0, Size(320, 160), 1.0, 1.0, 32, 32, Mpp(0.5, 0.5))
#: Of a binary model.
NUMBER = TileValues()
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


def plan_of(tiles: int, controls: int = 0) -> Plan:
    cells = np.stack([np.arange(tiles), np.zeros(tiles, np.int64)], axis=1)
    empty = np.zeros(tiles, np.float32)
    glass = np.stack([np.arange(controls), np.ones(controls, np.int64)], axis=1)
    return Plan(GRID, cells, empty, np.zeros((5, 10), np.uint8), 0, cells[:0], glass)


@pytest.mark.parametrize("tiles", [0, 1, 7, 8, 9, 100])
@pytest.mark.parametrize("controls", [0, 3])
def test_regions_cover_the_plan_once(
    monkeypatch: pytest.MonkeyPatch, tiles: int, controls: int
) -> None:
    monkeypatch.setattr(module, "REGION_TILES", 8)
    plan = plan_of(tiles, controls)
    regions = cut_regions(plan, NUMBER)
    assert [region.index for region in regions] == list(range(len(regions)))
    parts = [region for region in regions if region.start is not None]
    assert [cell for part in parts for cell in part.cells.tolist()] == plan.cells.tolist()
    assert [part.start for part in parts] == list(range(0, tiles, 8))
    assert all(part.tiles == 8 for part in parts[:-1])
    others = [region for region in regions if region.start is None]
    assert [region.cells.tolist() for region in others] == (
        [plan.controls.tolist()] * bool(controls)
    )
    assert all((region.tiles, region.size(NUMBER)) == (0, controls) for region in others)


@pytest.mark.parametrize("tiles", [1, 9, 64, 65, 300])
def test_samples_are_taken_all_over_the_plan(monkeypatch: pytest.MonkeyPatch, tiles: int) -> None:
    monkeypatch.setattr(module, "REGION_TILES", 8)
    plan = plan_of(tiles, 2)
    place = {tuple(cell): index for index, cell in enumerate(plan.cells.tolist())}
    sampled = [
        place[tuple(cell)]
        for region in cut_regions(plan, NUMBER)
        for cell in region.sampled.tolist()
    ]
    assert len(sampled) == min(tiles, 64)
    assert len(set(sampled)) == len(sampled)
    assert sampled == sorted(sampled)
    assert max(np.diff(sampled), default=1) <= -(-tiles // 64) + 1


def test_answers_come_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REGION_TILES", 8)
    plan, rng = plan_of(100, 3), np.random.default_rng(1)
    regions = cut_regions(plan, NUMBER)
    values = {
        region.index: rng.random(region.size(NUMBER)).astype(np.float32) for region in regions
    }
    values[2][5] = values[len(regions) - 1][1] = np.nan
    forwards, backwards = (TileProbabilities(plan, NUMBER, ()) for _ in range(2))
    lost = [forwards.take(region, values[region.index]) for region in regions]
    for region in reversed(regions):
        backwards.take(region, values[region.index])
    assert sum(lost) == 1, "a control is no lost tile"
    assert np.array_equal(forwards.probabilities[:8], values[0][:8])
    assert np.array_equal(forwards.controls, values[len(regions) - 1], equal_nan=True)
    assert not np.isnan(forwards.samples).any()
    for name in ("probabilities", "controls", "samples"):
        one, other = getattr(forwards, name), getattr(backwards, name)
        assert one.tobytes() == other.tobytes(), name


def test_what_is_kept_is_taken_apart_again() -> None:
    slide = ArraySlide([tissue()], unreadable=[Region(0, 70, 5, 1, 1)])
    region = Part(0, CELLS[:20], CELLS[[0, 2, 19]], 0, 0)
    done = classify_region(
        slide, FakePredictor(patch_px=32), GRID, region.cells, sampled=region.sampled
    )
    assert len(done.values) == region.size(NUMBER) == 20 + 3 * SAMPLE_VALUES
    tiles, samples = region.split(done.values, NUMBER)
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


def test_every_sample_is_looked_at_in_one_region() -> None:
    plan = plan_of(600)
    rng = np.random.default_rng(5)
    asked = np.sort(rng.choice(600, 300, replace=False))
    part = replace(plan, cells=plan.cells[asked], tissue=plan.tissue[asked], sampled=plan.looked_at)
    for one in (plan, part):
        regions = cut_regions(one, NUMBER)
        together = np.concatenate([region.sampled for region in regions])
        assert np.array_equal(together, plan.looked_at)
        first = np.cumsum([0, *(len(region.sampled) for region in regions)])[:-1]
        assert [region.first_sample for region in regions] == first.tolist()
    for region in cut_regions(plan, NUMBER)[:-1]:
        own = {tuple(cell) for cell in region.cells.tolist()}
        assert {tuple(cell) for cell in region.sampled.tolist()} <= own


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


def test_a_slide_that_is_open_is_read_by_regions(tmp_path: Path) -> None:
    resources, slide = Resources(), ArraySlide([image()])
    path = tmp_path / "a.tiff"  # there is no such file: nobody opens it
    resources.hold(path, slide)
    assert resources.reader(path) is slide
    resources.forget(path)
    with pytest.raises(UnsupportedSlideError, match="no such file"):
        resources.reader(path)


def test_bytes_are_told_of_once(tmp_path: Path) -> None:
    resources, path = Resources(), tmp_path / "a.tiff"
    assert resources.newly_read(path) == 0
    write_pyramid(path, np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8))
    slide = open_slide(path)
    slide.read(Region(0, 0, 0, 50, 50))
    before = slide.bytes_read
    assert before
    resources.hold(path, slide)
    assert resources.newly_read(path) == 0  # finding tissue is not part of it
    slide.read(Region(0, 0, 0, 400, 300))
    assert resources.newly_read(path) == slide.bytes_read - before
    assert resources.newly_read(path) == 0
