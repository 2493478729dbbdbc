"""Plans and small results made up for stitching."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.classes import TUMOUR_OR_NORMAL, Classes
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.info import Level
from wsi_pipeline.stitch import layout
from wsi_pipeline.stitch.cells import stitch_cells
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.writer import write_store
from wsi_pipeline.testing.records import make_record
from wsi_pipeline.tiles.plan import Coverage, Plan

MakeStore = Callable[..., Result]


def make_plan_of(chosen: NDArray[np.bool_], grid: Grid) -> Plan:
    """A plan that classifies the chosen cells ``(rows, columns)``; the others are glass."""
    rows, columns = np.nonzero(chosen)
    return Plan(
        grid=grid,
        cells=np.stack([columns, rows], axis=1).astype(np.int64),
        tissue=np.full(len(rows), 0.5, np.float32),
        coverage=np.where(chosen, Coverage.CLASSIFIED, Coverage.GLASS).astype(np.uint8),
        settled=0,
        unreadable=np.empty((0, 2), np.int64),
    )


@pytest.fixture
def make_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeStore:
    """Writes a store of several chunks and shards, as a slide far larger would have."""
    monkeypatch.setattr(layout, "GRID_CHUNK", 16)
    monkeypatch.setattr(layout, "MASK_CHUNK", 64)
    monkeypatch.setattr(layout, "MASK_SHARD", 256)

    def make(
        name: str = "a.zarr", classes: Classes = TUMOUR_OR_NORMAL, **attributes: Any
    ) -> Result:
        levels = (Level(Size(611, 403), 1.0), Level(Size(152, 100), 4.0))
        grid = Grid(0, levels[0].size, 1.0, 1.0, 30, 15, Mpp(0.5, 0.25))
        rng = np.random.default_rng(3)
        plan = make_plan_of(rng.random((grid.size.height, grid.size.width)) < 0.7, grid)
        probabilities = rng.random((len(plan), *classes.shape)).astype(np.float32)
        probabilities[:5] = np.nan
        cells = stitch_cells(plan, [(plan.cells, probabilities)], classes)
        write_store(
            tmp_path / name,
            name="a",
            plan=plan,
            probabilities=probabilities,
            cells=cells,
            threshold=0.5,
            levels=levels,
            attributes=make_record(grid, levels, cells, name="a").to_json() | attributes,
        )
        return Result(tmp_path / name)

    return make
