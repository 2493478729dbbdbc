"""Numbers of tiles per cell, for viewers: the share of tissue, and what else a result keeps.

A result keeps numbers of each tile the model looked at, a patch; patches are mostly larger than
cells and lie over one another. A cell's number is the mean over the patches that cover its centre,
as its probability is. Of cells no patch covers nothing is kept but their coverage.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.export.decision import tiles_of
from wsi_pipeline.stitch.layout import TILES
from wsi_pipeline.stitch.result import Result

#: What stands for a share of tissue of 1.
STEPS = 254
UNKNOWN = 255
#: What stands for the largest of other numbers, and for one that is not known.
NUMBER_STEPS = 65534
NUMBER_UNKNOWN = 65535
#: Numbers and results whose cells are kept in memory, one or two bytes a cell.
_KEPT = 4

#: Numbers kept of tiles beside probability and tissue, none of which is negative.
NumberName = Literal["distance", "nearest", "spread"]
_Whole = TypeVar("_Whole", np.int32, np.int64)


@dataclass(frozen=True, slots=True)
class TileNumber:
    """One number of every tile of a result.

    Attributes:
        name: ``distance`` from the training data, from the ``nearest`` training tile, ``spread``
            of the answers for eight orientations.
        step: What a step of the cells stands for.
        held_out: The same of tiles held out when the model was trained: of ``distance`` 99 % of
            them are below, of ``nearest`` it is their median; None of others, and unknown.
    """

    name: NumberName
    step: float
    held_out: float | None


def tissue_cells(result: Result) -> NDArray[np.uint8]:
    """The share of tissue of every grid cell in steps of 1/254; 255 where it is not known.

    Computed once for the results used last. Nobody may write to it.

    Returns:
        uint8, ``(rows, columns)``.

    Raises:
        ResultError: the result is damaged.
    """
    return _tissue(result.path, result.seal.digest)


def tile_numbers(result: Result) -> list[TileNumber]:
    """Which numbers a result keeps of its tiles.

    Raises:
        ResultError: the result is damaged.
    """
    shift = result.record.shift
    held_out = {
        "distance": None if shift is None else shift.far,
        "nearest": None if shift is None else shift.usual_nearest,
    }
    kept: tuple[NumberName, ...] = get_args(NumberName)
    return [
        TileNumber(name, _step(_values(result, name)), held_out.get(name))
        for name in kept
        if f"{TILES}/{name}" in result.seal.arrays
    ]


def number_cells(result: Result, name: NumberName) -> NDArray[np.uint16]:
    """A number of every grid cell in steps of :attr:`TileNumber.step`; 65535 = not known.

    Computed once for those used last. Nobody may write to it.

    Returns:
        uint16, ``(rows, columns)``.

    Raises:
        ResultError: the result is damaged.
    """
    return _number(result.path, result.seal.digest, name)


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
    return np.where(count > 0, _means(total, count), UNKNOWN).astype(np.uint8)


@functools.lru_cache(_KEPT)
def _tissue(path: Path, digest: str) -> NDArray[np.uint8]:  # noqa: ARG001 - tells results apart
    result = Result(path)
    share = result.tile_table()["tissue"].astype(np.float64)
    steps = np.rint(share * STEPS).astype(np.int32)
    cells = _over_cells(result, steps, np.ones(len(steps), np.bool_), UNKNOWN).astype(np.uint8)
    cells.flags.writeable = False
    return cells


@functools.lru_cache(_KEPT)
def _number(
    path: Path,
    digest: str,  # noqa: ARG001 - tells results apart
    name: str,
) -> NDArray[np.uint16]:
    result = Result(path)
    values = _values(result, name)
    known = ~np.isnan(values)
    # The sum of all patches over a cell may be beyond 32 bits.
    steps = np.rint(np.where(known, values, 0) / _step(values)).astype(np.int64)
    cells = _over_cells(result, steps, known, NUMBER_UNKNOWN).astype(np.uint16)
    cells.flags.writeable = False
    return cells


def _values(result: Result, name: str) -> NDArray[np.float64]:
    """In plan order; NaN = unreadable, also where it is infinite."""
    values = np.asarray(result.array(f"{TILES}/{name}")[...], np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _step(values: NDArray[np.float64]) -> float:
    """So that the largest has all steps."""
    largest = float(np.nanmax(values, initial=0))
    return (largest or 1.0) / NUMBER_STEPS


def _over_cells(
    result: Result, steps: NDArray[_Whole], known: NDArray[np.bool_], unknown: int
) -> NDArray[np.int64]:
    """Means over the patches of each cell, of whole steps of the tiles that are known."""
    grid, tiles = tiles_of(result), result.tile_table()
    columns = np.rint(tiles["x"] / grid.cell_0.x).astype(np.int64)[known]
    rows = np.rint(tiles["y"] / grid.cell_0.y).astype(np.int64)[known]
    total = np.zeros((grid.size.height, grid.size.width), steps.dtype)
    count = np.zeros(total.shape, np.int32)
    total[rows, columns] = steps[known]
    count[rows, columns] = 1
    # Of maps: all cells of a tile have its number.
    reach = -(-grid.reach // grid.cells_per_tile)
    for axis in (0, 1):
        total, count = _reached(total, reach, axis), _reached(count, reach, axis)
    cells, size = np.where(count > 0, _means(total, count), unknown), grid.cells.size
    for axis in (0, 1):
        cells = cells.repeat(grid.cells_per_tile, axis)
    return cells[: size.height, : size.width]


def _reached(values: NDArray[_Whole], reach: int, axis: int) -> NDArray[_Whole]:
    """Sums over each cell and those before it, ``reach`` in all: the patches that cover it."""
    sums: NDArray[_Whole] = np.moveaxis(np.cumsum(values, axis, values.dtype), axis, 0)
    before = sums[:-reach].copy()
    sums[reach:] -= before
    return np.moveaxis(sums, 0, axis)


def _means(total: NDArray[np.integer], count: NDArray[np.integer]) -> NDArray[np.int64]:
    """Rounded to whole steps; anything where nothing is counted."""
    mean: NDArray[np.int64] = (2 * total + count) // (2 * np.maximum(count, 1))
    return mean
