"""Filling polygons exactly: where the outlines cross the lines through px centres.

A px is inside if its centre is: an odd number of crossings lie to its left (Foley et al.,
*Computer Graphics*, 3.6). No px is decided by another rule, so windows of any place, size and
scale agree.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from wsi_pipeline.annotation.shapes import Area
from wsi_pipeline.geometry import PerAxis


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges of all rings that are not level, by their upper ends.

    Attributes:
        upper: Least y, level-0 px, ``(n,)``, ascending.
        lower: Greatest y.
        x: x at the least y.
        slope: Change of x for each px of y.
    """

    upper: NDArray[np.float64]
    lower: NDArray[np.float64]
    x: NDArray[np.float64]
    slope: NDArray[np.float64]

    @classmethod
    def of(cls, area: Area) -> "Edges":
        """The edges of valid polygons."""
        rings = shapely.get_rings(shapely.get_parts(area))
        points, ring = shapely.get_coordinates(rings, return_index=True)
        same = ring[1:] == ring[:-1]
        one, other = points[:-1][same], points[1:][same]
        down = one[:, 1] < other[:, 1]
        top, end = np.where(down[:, None], one, other), np.where(down[:, None], other, one)
        sloped = top[:, 1] < end[:, 1]
        top, end = top[sloped], end[sloped]
        order = np.argsort(top[:, 1], kind="stable")
        top, end = top[order], end[order]
        height = end[:, 1] - top[:, 1]
        return cls(top[:, 1], end[:, 1], top[:, 0], (end[:, 0] - top[:, 0]) / height)

    def crossings(
        self, y: float, rows: int, downsample: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Where the edges cross the lines through the centres of rows of px.

        Args:
            y: Top of the first row, level-0 px.
            rows: How many there are.
            downsample: Level-0 px per row.

        Returns:
            Row and x (level-0 px) of each crossing, in no order. An edge holds its upper end and
            not its lower one, so that a line through a corner crosses once.
        """
        last = int(np.searchsorted(self.upper, y + rows * downsample))
        near = np.flatnonzero(self.lower[:last] > y)
        upper, lower = self.upper[near], self.lower[near]
        first_row = np.ceil((upper - y) / downsample - 0.5).clip(0, rows).astype(np.int64)
        end_row = np.ceil((lower - y) / downsample - 0.5).clip(0, rows).astype(np.int64)
        count = end_row - first_row
        edge = np.repeat(near, count)
        before = np.repeat(np.cumsum(count) - count, count)
        row = np.arange(len(edge)) - before + np.repeat(first_row, count)
        centre = y + (row + 0.5) * downsample
        return row, self.x[edge] + (centre - self.upper[edge]) * self.slope[edge]


def columns(
    crossing: NDArray[np.float64], x: float, width: int, downsample: float
) -> NDArray[np.int64]:
    """First column whose centre is not left of a crossing; ``width`` where none is.

    Args:
        crossing: Level-0 px.
        x: Left edge of the first column, level-0 px.
        width: How many columns there are.
        downsample: Level-0 px per column.
    """
    exact = np.ceil((crossing - x) / downsample - 0.5)
    return exact.clip(0, width).astype(np.int64)


def fill(
    edges: Edges, x: float, y: float, width: int, height: int, px_0: PerAxis
) -> NDArray[np.bool_]:
    """Which px of a window are inside, ``(height, width)``; arguments as ``Truth.window``'s."""
    row, crossing = edges.crossings(y, height, px_0.y)
    column = columns(crossing, x, width, px_0.x)
    turns = np.zeros((height, width), np.uint8)
    seen = column < width
    place, times = np.unique(row[seen] * width + column[seen], return_counts=True)
    turns.reshape(-1)[place] = times % 2
    return accumulated(turns)


def accumulated(turns: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Inside and outside from where it changes: 1 at the first px of each run, 0 elsewhere."""
    inside: NDArray[np.uint8] = np.bitwise_xor.accumulate(turns, axis=1)
    return inside.view(np.bool_)
