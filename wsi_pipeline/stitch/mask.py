"""Cells drawn as px of a level, block by block and row by row, without ever holding the level."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import Size

#: Few enough to stay in a core's cache, beside what the model has there.
_HASHED_AT_ONCE = 2**18


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

    def constant(self, x: int, y: int, width: int, height: int) -> int | None:
        """The one value of a block inside the level; None if it has several."""
        values = self.values[_cells(self.row_edges, y, height), _cells(self.column_edges, x, width)]
        first = values[0, 0]
        return int(first) if (values == first).all() else None

    def sha256(self, hashed: "Callable[[], LevelHash] | None" = None) -> str:
        """SHA-256 (hex) of the level's px in row order, computed row of cells by row of cells.

        Args:
            hashed: Gives what was hashed ahead of it; None: nothing was.
        """
        ahead = hashed() if hashed else LevelHash(self.column_edges, self.row_edges)
        return ahead.sha256(self.values)


class LevelHash:
    """Hashes a level from the top while the cells below are not known yet.

    What was hashed too early costs time alone: in the end it is compared with the level as drawn.

    Args:
        column_edges: Where columns begin and end in level px, ``(columns + 1,)``.
        row_edges: Where rows begin and end in level px, ``(rows + 1,)``.
    """

    def __init__(self, column_edges: NDArray[np.int64], row_edges: NDArray[np.int64]) -> None:
        self._widths, self._heights = np.diff(column_edges), np.diff(row_edges)
        self._rows: list[NDArray[np.uint8]] = []
        #: Before each row and behind the last one.
        self._states = [hashlib.sha256()]

    def add(self, values: NDArray[np.uint8]) -> None:
        """Hash the rows that follow those hashed before.

        Args:
            values: One per cell, uint8 ``(n, columns)``.
        """
        start = len(self._rows)
        for row, height in zip(values, self._heights[start : start + len(values)], strict=True):
            state = self._states[-1].copy()
            line = np.repeat(row, self._widths).tobytes()
            # A few long updates, not many short ones: each hands the interpreter over and back.
            lines = max(1, _HASHED_AT_ONCE // len(line))
            whole, rest = divmod(int(height), lines)
            block = line * lines if whole else b""
            for _ in range(whole):
                state.update(block)
            state.update(line * rest)
            self._rows.append(row)
            self._states.append(state)

    def sha256(self, values: NDArray[np.uint8]) -> str:
        """SHA-256 (hex) of the whole level in row order; rows that differ are hashed again.

        Args:
            values: One per cell, uint8 ``(rows, columns)``.
        """
        pairs = zip(self._rows, values, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: np.array_equal(*pair), pairs))
        del self._rows[same:], self._states[same + 1 :]
        self.add(values[same:])
        return self._states[-1].hexdigest()


def _cut(edges: NDArray[np.int64], start: int, length: int) -> tuple[slice, NDArray[np.int64]]:
    """The cells that meet ``[start, start + length)``, and how many px each has of it."""
    cells = _cells(edges, start, length)
    cut = np.clip(edges[cells.start : cells.stop + 1], start, start + length)
    return cells, cut[1:] - cut[:-1]


def _cells(edges: NDArray[np.int64], start: int, length: int) -> slice:
    """The cells that meet ``[start, start + length)``."""
    first = int(np.searchsorted(edges, start, side="right")) - 1
    return slice(first, int(np.searchsorted(edges, start + length, side="left")))
