"""Cells drawn as px of a level, block by block and row by row, without ever holding the level."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import Size


@dataclass(frozen=True, slots=True)
class DrawnLevel:
    """A grid drawn at the size of one pyramid level.

    Attributes:
        values: One per cell, uint8 ``(rows, columns)``.
        column_edges: Where columns begin and end in level px, ``(columns + 1,)``.
        row_edges: Where rows begin and end in level px, ``(rows + 1,)``.
    """

    values: NDArray[np.uint8]
    column_edges: NDArray[np.int64]
    row_edges: NDArray[np.int64]

    @property
    def size(self) -> Size:
        """Size in level px."""
        return Size(int(self.column_edges[-1]), int(self.row_edges[-1]))

    def block(self, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Px of a block inside the level, ``(height, width)``."""
        rows, heights = _cut(self.row_edges, y, height)
        columns, widths = _cut(self.column_edges, x, width)
        return np.repeat(np.repeat(self.values[rows, columns], widths, axis=1), heights, axis=0)

    def blocks(self, side: int) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
        """Left, top and px of blocks of at most ``side`` px that cover the level in row order."""
        size = self.size
        for y in range(0, size.height, side):
            for x in range(0, size.width, side):
                width, height = min(side, size.width - x), min(side, size.height - y)
                yield x, y, self.block(x, y, width, height)

    def sha256(self) -> str:
        """SHA-256 (hex) of the level's px in row order, computed row of cells by row of cells."""
        digest = hashlib.sha256()
        widths, heights = np.diff(self.column_edges), np.diff(self.row_edges)
        for row, height in zip(self.values, heights, strict=True):
            line = np.repeat(row, widths).tobytes()
            for _ in range(int(height)):
                digest.update(line)
        return digest.hexdigest()


def _cut(edges: NDArray[np.int64], start: int, length: int) -> tuple[slice, NDArray[np.int64]]:
    """The cells that meet ``[start, start + length)``, and how many px each has of it."""
    first = int(np.searchsorted(edges, start, side="right")) - 1
    last = int(np.searchsorted(edges, start + length, side="left"))
    cut = np.clip(edges[first : last + 1], start, start + length)
    return slice(first, last), cut[1:] - cut[:-1]
