"""Share of tissue per cell, for viewers, from what a result keeps of its tiles.

A result keeps the tissue fraction of each tile the model looked at, a patch; patches are mostly
larger than cells and lie over one another. A cell's share is the mean over the patches that cover
its centre, as its probability is. Of cells no patch covers nothing is kept but their coverage.
"""

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.export.decision import tiles_of
from wsi_pipeline.stitch.result import Result

#: What stands for a share of 1.
STEPS = 254
UNKNOWN = 255
#: Results whose cells are kept in memory, one byte a cell.
_KEPT = 4


def tissue_cells(result: Result) -> NDArray[np.uint8]:
    """The share of every grid cell in steps of 1/254; 255 where it is not known.

    Computed once for the results used last. Nobody may write to it.

    Returns:
        uint8, ``(rows, columns)``.

    Raises:
        ResultError: the result is damaged.
    """
    return _cells(result.path, result.seal.digest)


def coarser(shares: NDArray[np.uint8], level: int) -> NDArray[np.uint8]:
    """Means of ``2**level`` × ``2**level`` cells, of those that are known.

    Args:
        shares: Cells of the grid as of :func:`tissue_cells`, or a part that begins at a multiple.
        level: How often to halve; 0 changes nothing.
    """
    side = 2**level
    if side == 1:
        return shares
    rows, columns = np.arange(0, shares.shape[0], side), np.arange(0, shares.shape[1], side)
    known = shares != UNKNOWN
    total, count = (
        np.add.reduceat(np.add.reduceat(values, rows, 0, np.int64), columns, 1)
        for values in (np.where(known, shares, 0), known)
    )
    return _means(total, count)


@functools.lru_cache(_KEPT)
def _cells(path: Path, digest: str) -> NDArray[np.uint8]:  # noqa: ARG001 - tells results apart
    result = Result(path)
    grid, tiles = tiles_of(result), result.tile_table()
    columns = np.rint(tiles["x"] / grid.cell_0.x).astype(np.int64)
    rows = np.rint(tiles["y"] / grid.cell_0.y).astype(np.int64)
    total = np.zeros((grid.size.height, grid.size.width), np.int32)
    count = np.zeros_like(total)
    total[rows, columns] = np.rint(tiles["tissue"].astype(np.float64) * STEPS)
    count[rows, columns] = 1
    # Of maps: all cells of a tile have its share.
    reach = -(-grid.reach // grid.cells_per_tile)
    for axis in (0, 1):
        total, count = _reached(total, reach, axis), _reached(count, reach, axis)
    cells, size = _means(total, count), grid.cells.size
    for axis in (0, 1):
        cells = cells.repeat(grid.cells_per_tile, axis)
    cells = cells[: size.height, : size.width]
    cells.flags.writeable = False
    return cells


def _reached(values: NDArray[np.int32], reach: int, axis: int) -> NDArray[np.int32]:
    """Sums over each cell and those before it, ``reach`` in all: the patches that cover it."""
    sums = np.moveaxis(np.cumsum(values, axis, np.int32), axis, 0)
    before = sums[:-reach].copy()
    sums[reach:] -= before
    return np.moveaxis(sums, 0, axis)


def _means(total: NDArray[np.integer], count: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Rounded to whole steps."""
    mean = (2 * total + count) // (2 * np.maximum(count, 1))
    return np.where(count > 0, mean, UNKNOWN).astype(np.uint8)
