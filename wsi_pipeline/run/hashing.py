"""Hashing the mask while the model is at work: of a large slide it takes seconds at the end."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Self

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.grid import Grid
from wsi_pipeline.run.regions import Region
from wsi_pipeline.slide.info import Level
from wsi_pipeline.stitch.mask import LevelHash

#: Px of the level, and share of it, from which rows are hashed ahead; stitching takes time as well.
_LEAST_PX, _LEAST_SHARE = 2**25, 1 / 16


class MaskHashing:
    """Hashes rows of the mask's finest level once no tile of them waits. Use as a context manager.

    Args:
        grid: Of the tiles.
        level: Of the slide, that is analysed.
        regions: That have no answer yet.
        decide: Gives the label of each cell as far as tiles have answers, uint8
            ``(rows, columns)`` of :attr:`Grid.cells`; called from the caller's thread.
        around: Entered on the thread while it hashes.
    """

    def __init__(
        self,
        grid: Grid,
        level: Level,
        regions: Sequence[Region],
        decide: Callable[[], NDArray[np.uint8]],
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        cells, self._per_tile, self._decide = grid.cells, grid.cells_per_tile, decide
        self._edges = cells.row_edges(level.downsample, level.size.height)
        self._width = level.size.width
        self._least = max(_LEAST_PX, level.size.area * _LEAST_SHARE)
        self._hash = LevelHash(cells.column_edges(level.downsample, level.size.width), self._edges)
        self._first = {
            region.index: int(region.cells[:, 1].min())
            for region in regions
            if region.start is not None
        }
        self._around, self._given = around, 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hash-mask")
        self._pending: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Take no more; what was given is still hashed, unless an error ends all."""
        self._thread.shutdown(wait=False, cancel_futures=kind is not None)

    def answered(self, region: int) -> None:
        """A region has its answers: hash what is settled now, unless that is little.

        Where patches overlap, a tile reaches into rows below its own, never into those above.
        """
        self._first.pop(region, None)
        if not self._first:
            return  # the rest is hashed by whoever writes
        settled = min(min(self._first.values()) * self._per_tile, len(self._edges) - 1)
        px = int(self._edges[settled] - self._edges[self._given]) * self._width
        if settled > self._given and px >= self._least:
            rows = self._decide()[self._given : settled]
            self._pending.append(self._thread.submit(self._add, rows))
            self._given = settled

    def done(self) -> LevelHash:
        """What was hashed, once it is."""
        for one in self._pending:
            one.result()
        return self._hash

    def _add(self, rows: NDArray[np.uint8]) -> None:
        with self._around():
            self._hash.add(rows)
