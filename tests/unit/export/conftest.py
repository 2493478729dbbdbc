"""Small results, written by the real writer from probabilities made up here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.info import Level
from wsi_pipeline.stitch.cells import TUMOUR, Cells, stitch_cells
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.writer import write_store
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
    cells = stitch_cells(plan, probabilities)
    store = folder / f"{name}.zarr"
    write_store(
        store,
        name=name,
        plan=plan,
        probabilities=probabilities,
        cells=cells,
        threshold=threshold,
        levels=levels,
        attributes=_attributes(name, grid, levels, cells, threshold, synthetic=synthetic),
    )
    return Result(store)


def _attributes(
    name: str,
    grid: Grid,
    levels: tuple[Level, ...],
    cells: Cells,
    threshold: float,
    *,
    synthetic: bool,
) -> dict[str, Any]:
    """What exports read of a result's attributes, as the run writes them."""
    known = cells.probability[~np.isnan(cells.probability)]
    columns = np.diff(grid.column_edges(grid.downsample, grid.level_size.width))
    rows = np.diff(grid.row_edges(grid.downsample, grid.level_size.height))
    px_mm2 = grid.downsample**2 * grid.mpp_0.x * grid.mpp_0.y / 1e6
    areas = np.outer(rows, columns) * px_mm2
    area = areas[cells.decision(threshold) == TUMOUR].sum()
    whole = areas[cells.coverage == Coverage.CLASSIFIED].sum()
    return {
        "slide": {
            "name": name,
            "sha256": "ab" * 32,
            "vendor": "generic-tiff",
            "width": levels[0].size.width,
            "height": levels[0].size.height,
            "mpp": {"x": grid.mpp_0.x, "y": grid.mpp_0.y},
            "mpp_source": "file",
            "levels": [
                {
                    "width": item.size.width,
                    "height": item.size.height,
                    "downsample": item.downsample,
                }
                for item in levels
            ],
            "level": grid.level,
        },
        "model": {
            "name": "lymph-node",
            "version": "1.2.0",
            "sha256": "cd" * 32,
            "synthetic": synthetic,
            "intended_use": "research",
        },
        "configuration": {},
        "fingerprint": "ef" * 32,
        "threshold": threshold,
        "grid": {
            "columns": grid.size.width,
            "rows": grid.size.height,
            "patch_px": grid.patch,
            "stride_px": grid.stride,
            "scale": grid.scale,
            "cell_px_0": grid.cell_0.x,
            "patch_px_0": grid.patch_0.x,
            "mpp": {"x": grid.mpp_0.x * grid.scale, "y": grid.mpp_0.y * grid.scale},
        },
        "counts": {
            item.name.lower(): int(np.count_nonzero(cells.coverage == item)) for item in Coverage
        },
        "tiles": int(known.size),
        "slide_score": float(known.max()) if known.size else None,
        "slide_score_rule": "largest cell probability",
        "tumour_area_mm2": round(float(area), 6),
        "tissue_area_mm2": round(float(whole), 6),
        "tumour_percent": round(100 * float(area / whole), 4) if whole else None,
        "runtime": {},
        "software": {},
        "tissue": {},
        "pixels": "tiff",
        "timings": {},
        "warnings": ["odd"],
        # As the first stores had it, before alarms had codes and there were controls.
        "alarms": ["3 cells of tissue could not be read"],
    }


@pytest.fixture
def make_result(tmp_path: Path) -> MakeResult:
    """:func:`build_result` in this test's folder."""

    def make(*arguments: Any, **named: Any) -> Result:
        return build_result(tmp_path, *arguments, **named)

    return make
