"""Regions cover the plan once, and what they yield is put in its order."""

from dataclasses import replace

import numpy as np
import pytest

from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.run import regions as module
from wsi_pipeline.run.regions import cut_regions
from wsi_pipeline.run.tile_probabilities import TileProbabilities
from wsi_pipeline.run.tile_values import TileValues
from wsi_pipeline.tiles.plan import Plan

GRID = Grid(0, Size(320, 160), 1.0, 1.0, 32, 32, Mpp(0.5, 0.5))
#: Of a binary model.
NUMBER = TileValues()


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
