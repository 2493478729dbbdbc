"""What share of each cell of a grid a mask of another resolution covers."""

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import PerAxis
from wsi_pipeline.grid import Grid


def cell_shares(
    mask: NDArray[np.bool_], px_0: PerAxis, grid: Grid, cells: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Share of the area of cells, inside the slide, that is in a mask.

    Args:
        mask: ``(height, width)``.
        px_0: Level-0 px along x and y of a px of it.
        grid: The grid.
        cells: Columns and rows of the cells, ``(n, 2)``.

    Returns:
        0-1, ``(n,)``.
    """
    if not len(cells) or not mask.any():
        return np.zeros(len(cells), np.float32)
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1))
    np.cumsum(np.cumsum(mask, axis=0, dtype=np.float64), axis=1, out=sums[1:, 1:])
    left, right = _edges(cells[:, 0], grid.cell_0.x / px_0.x, mask.shape[1])
    top, bottom = _edges(cells[:, 1], grid.cell_0.y / px_0.y, mask.shape[0])
    inside = (_at(sums, bottom, right) - _at(sums, top, right) - _at(sums, bottom, left)) + _at(
        sums, top, left
    )
    area = np.maximum((right - left) * (bottom - top), 1e-9)
    shares: NDArray[np.float32] = np.clip(inside / area, 0, 1).astype(np.float32)
    return shares


def touched(
    shape: tuple[int, int], px_0: PerAxis, grid: Grid, cells: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which px of a mask the cells overlap.

    Args:
        shape: Of the mask.
        px_0: Level-0 px along x and y of a px of it.
        grid: The grid.
        cells: Columns and rows, ``(n, 2)``.
    """
    steps = np.zeros((shape[0] + 1, shape[1] + 1), np.int32)
    left, right = _edges(cells[:, 0], grid.cell_0.x / px_0.x, shape[1])
    top, bottom = _edges(cells[:, 1], grid.cell_0.y / px_0.y, shape[0])
    first, end = np.floor(left + 1e-6).astype(int), np.ceil(right - 1e-6).astype(int)
    upper, lower = np.floor(top + 1e-6).astype(int), np.ceil(bottom - 1e-6).astype(int)
    for rows, columns, sign in (
        (upper, first, 1), (upper, end, -1), (lower, first, -1), (lower, end, 1)
    ):  # fmt: skip
        np.add.at(steps, (rows, columns), sign)
    covered: NDArray[np.bool_] = steps.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] > 0
    return covered


def _edges(
    index: NDArray[np.int64], length: float, most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low = np.minimum(index * length, most)
    return low, np.minimum((index + 1) * length, most)


def _at(
    sums: NDArray[np.float64], row: NDArray[np.float64], column: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A summed-area table between its px."""
    top = np.minimum(row.astype(np.int64), sums.shape[0] - 2)
    left = np.minimum(column.astype(np.int64), sums.shape[1] - 2)
    down, right = row - top, column - left
    value: NDArray[np.float64] = (
        sums[top, left] * (1 - down) * (1 - right)
        + sums[top, left + 1] * (1 - down) * right
        + sums[top + 1, left] * down * (1 - right)
        + sums[top + 1, left + 1] * down * right
    )
    return value
