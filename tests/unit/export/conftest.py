"""Small results, written by the real writer from probabilities made up here."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.info import Level
from wsi_pipeline.stitch.cells import stitch_cells
from wsi_pipeline.stitch.record import Record
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.writer import write_store
from wsi_pipeline.testing.records import make_record
from wsi_pipeline.tiles.plan import Coverage, Plan

MakeResult = Callable[..., Result]

SIZE, MPP = Size(1000, 700), Mpp(0.5, 0.5)


def build_result(
    folder: Path,
    tiles: NDArray[np.float32] | None = None,
    *,
    coverage: NDArray[np.uint8] | None = None,
    size: Size = SIZE,
    downsamples: tuple[float, ...] = (1, 4),
    level: int = 0,
    patch: int = 100,
    stride: int = 100,
    scale: float = 1.0,
    mpp: Mpp = MPP,
    threshold: float = 0.5,
    name: str = "slide-7",
    synthetic: bool = False,
    extras: Mapping[str, NDArray[np.float32]] = {},
) -> Result:
    """A result of a made-up slide.

    Args:
        folder: Where; the store is ``NAME.zarr`` in it.
        tiles: Probability of every cell's own patch ``(rows, columns)``; NaN = unreadable.
            None: uniform noise.
        coverage: What the plan says of each cell; None: everything is classified.
        size: Of level 0.
        downsamples: One per level.
        level: The analysis level.
        patch: Its side in analysis px.
        stride: Side of a cell in analysis px.
        scale: Level px per analysis px.
        mpp: Of level 0.
        threshold: Of the result.
        name: Of the slide.
        synthetic: Whether the model was trained on synthetic tissue.
        extras: More numbers of every cell's own patch, ``(rows, columns)``.
    """
    levels = tuple(
        Level(Size(max(1, int(size.width / d)), max(1, int(size.height / d))), float(d))
        for d in downsamples
    )
    grid = Grid(
        level=level,
        level_size=levels[level].size,
        downsample=levels[level].downsample,
        scale=scale,
        patch=patch,
        stride=stride,
        mpp_0=mpp,
    )
    shape = (grid.size.height, grid.size.width)
    if tiles is None:
        tiles = np.random.default_rng(5).random(shape, np.float32)
    if coverage is None:
        coverage = np.full(shape, Coverage.CLASSIFIED, np.uint8)
    assert tiles.shape == coverage.shape == shape, f"the grid is {shape}"
    rows, columns = np.nonzero(coverage == Coverage.CLASSIFIED)
    plan = Plan(
        grid=grid,
        cells=np.stack([columns, rows], axis=1).astype(np.int64),
        tissue=np.linspace(0.3, 1, len(rows), dtype=np.float32),
        coverage=coverage,
        settled=0,
        unreadable=np.empty((0, 2), np.int64),
    )
    probabilities = tiles[rows, columns].astype(np.float32)
    cells = stitch_cells(plan, [(plan.cells, probabilities)])
    store = folder / f"{name}.zarr"
    write_store(
        store,
        name=name,
        plan=plan,
        probabilities=probabilities,
        extras={key: values[rows, columns] for key, values in extras.items()},
        cells=cells,
        threshold=threshold,
        levels=levels,
        attributes=_as_the_first_stores(
            make_record(grid, levels, cells, name=name, threshold=threshold, synthetic=synthetic)
        ),
    )
    return Result(store)


def _as_the_first_stores(record: Record) -> dict[str, Any]:
    """Before alarms had codes, and there were controls and colours."""
    attributes = record.to_json()
    del attributes["controls"], attributes["colours"]
    del attributes["slide"]["mpp_file"], attributes["model"]["mpp"]
    old = {"alarms": ["3 cells of tissue could not be read"], "warnings": ["odd"]}
    return attributes | old


@pytest.fixture
def make_result(tmp_path: Path) -> MakeResult:
    """:func:`build_result` in this test's folder."""

    def make(*arguments: Any, **named: Any) -> Result:
        return build_result(tmp_path, *arguments, **named)

    return make
