"""Tiles whose tissue the overview leaves open: a closer look, then their own px."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.geometry import Region
from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.tiles.kept_patches import KeptPatches
from wsi_pipeline.tiles.patches import read_patch
from wsi_pipeline.tissue.closer_look import CloserLook
from wsi_pipeline.tissue.rule import is_black, tissue_fraction


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of tiles.

    Attributes:
        tissue: Tissue fraction of each, float64 ``(n,)``: its own px', or the estimate of the level
            that decided; NaN = unreadable.
        keep: Whether it is enough, ``(n,)``.
        empty: Share of its cell that was not scanned or is black, float64 ``(n,)``; 0 where that
            was not asked; NaN = unreadable.
        read: How many tiles' own px were read.
    """

    tissue: NDArray[np.float64]
    keep: NDArray[np.bool_]
    empty: NDArray[np.float64]
    read: int


@dataclass(frozen=True, slots=True)
class Settling:
    """Decides tile by tile whether there is enough tissue.

    Attributes:
        reader: The slide.
        grid: The cells.
        min_tissue: Least tissue fraction (0-1) of a patch.
        emptiness: Whether empty shares are wanted.
        closer: Looks at a patch on a coarser level first; None: no level is of use.
        kept: Gets patches that were read and are tissue; None: nobody wants them.
    """

    reader: SlideReader
    grid: Grid
    min_tissue: float
    emptiness: bool
    closer: CloserLook | None
    kept: KeptPatches | None

    def settle(
        self,
        cells: NDArray[np.int64],
        whole: NDArray[np.bool_],
        threads: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> Settled:
        """Settle tiles.

        Args:
            cells: Column and row of each, ``(n, 2)``.
            whole: Of which a closer look may decide: :attr:`TileTissue.whole`, ``(n,)``.
            threads: Threads that read.
            progress: Called with tiles settled so far and in all.
        """
        count = len(cells)
        tissue, empty = np.full(count, np.nan), np.zeros(count)
        keep, own = np.zeros(count, np.bool_), np.zeros(count, np.bool_)

        def one(index: int) -> None:
            column, row = int(cells[index, 0]), int(cells[index, 1])
            closer = self._closer(column, row) if whole[index] else None
            if closer is None:
                own[index] = True
                tissue[index], empty[index] = self._own(column, row)
                keep[index] = tissue[index] >= self.min_tissue  # false for NaN
            else:
                tissue[index], keep[index] = closer

        # Backwards: what was decoded last is then what the first tiles are made of.
        with ThreadPoolExecutor(threads) as pool:
            for done, _ in enumerate(pool.map(one, reversed(range(count))), start=1):
                if progress is not None and (done % 64 == 0 or done == count):
                    progress(done, count)
        return Settled(tissue, keep, empty, int(np.count_nonzero(own)))

    def _closer(self, column: int, row: int) -> tuple[float, bool] | None:
        """Tissue of a patch and whether it is enough; None where a closer look does not tell."""
        try:
            seen = None if self.closer is None else self.closer(column, row)
        except DamagedSlideError:
            return None
        if seen is None or seen.at_least < self.min_tissue <= seen.at_most:
            return None
        return seen.estimate, seen.at_least >= self.min_tissue

    def _own(self, column: int, row: int) -> tuple[float, float]:
        """Tissue share of a patch from its own px, empty share of its cell; NaN = unreadable."""
        reader, grid = self.reader, self.grid
        try:
            patch = whole = read_patch(reader, grid, column, row)
            inside = _within_bounds(reader, grid, column, row)
            if not inside.all():
                patch = np.where(inside[..., None], patch, np.uint8(255))
            tissue = tissue_fraction(patch)
            if self.kept is not None and tissue >= self.min_tissue:
                self.kept.keep(column, row, whole)
            return tissue, _empty_share(reader, grid, column, row) if self.emptiness else 0.0
        except DamagedSlideError:
            return np.nan, np.nan


def _within_bounds(reader: SlideReader, grid: Grid, column: int, row: int) -> NDArray[np.bool_]:
    """Where a patch's px have their centre inside the scanned bounds, ``(patch, patch)``."""
    bounds = reader.info.bounds
    if bounds is None:
        return np.ones((grid.patch, grid.patch), bool)
    x, y = grid.corner(column, row)
    centres = np.arange(grid.patch) + 0.5
    side = grid.patch_side
    x_0 = (x + centres * (side.x / grid.patch)) * grid.downsample
    y_0 = (y + centres * (side.y / grid.patch)) * grid.downsample
    inside: NDArray[np.bool_] = ((bounds.y <= y_0) & (y_0 < bounds.bottom))[:, None] & (
        (bounds.x <= x_0) & (x_0 < bounds.right)
    )
    return inside


def _empty_share(reader: SlideReader, grid: Grid, column: int, row: int) -> float:
    """Share of a cell's px inside the slide that were not scanned, or are black."""
    x, y = (int(corner) for corner in grid.corner(column, row))
    width = min(max(1, round(grid.step.x)), grid.level_size.width - x)
    height = min(max(1, round(grid.step.y)), grid.level_size.height - y)
    rgb, scanned = reader.read_scanned(Region(grid.level, x, y, width, height))
    empty = ~scanned | is_black(rgb)
    bounds = reader.info.bounds
    if bounds is not None:
        x_0 = (x + np.arange(width) + 0.5) * grid.downsample
        y_0 = (y + np.arange(height) + 0.5) * grid.downsample
        empty |= ~((bounds.y <= y_0) & (y_0 < bounds.bottom))[:, None]
        empty |= ~((bounds.x <= x_0) & (x_0 < bounds.right))
    return float(empty.mean())
