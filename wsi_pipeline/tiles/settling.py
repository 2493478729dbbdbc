"""Tiles whose tissue the overview leaves open: a closer look, then their own px.

A patch lies on some segments of the file, each of which is decoded as a whole. Its own px are read
segment by segment, the largest part first, until what is left cannot change the decision.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.geometry import PerAxis, Region
from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.tiles.kept_patches import KeptPatch, KeptPatches
from wsi_pipeline.tiles.patches import read_patch
from wsi_pipeline.tissue.closer_look import CloserLook, PatchTissue, TissueBounds
from wsi_pipeline.tissue.rule import is_black, tissue_fraction, tissue_mask

#: Parts of a patch, at most, that are read one by one: with more, segments are so small that to
#: read each by itself takes longer than it saves.
_MOST_PARTS = 9
#: What is known of a part of a patch that no level tells of.
_ANYTHING = TissueBounds(0.0, 1.0, 0.5)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of tiles.

    Attributes:
        tissue: Tissue fraction of each, float64 ``(n,)``: its own px', or where not all of them
            were needed, with the estimate of the level that decided; NaN = unreadable.
        keep: Whether it is enough, ``(n,)``.
        empty: Share of its cell that was not scanned or is black, float64 ``(n,)``; 0 where that
            was not asked; NaN = unreadable.
        read: How many tiles' own px were read, all or some.
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
        exact: Whether all px are wanted, whatever they can change.
        closer: Looks at a patch on a coarser level first; None: no level is of use.
        kept: Gets patches that were read and are tissue; None: nobody wants them.
    """

    reader: SlideReader
    grid: Grid
    min_tissue: float
    emptiness: bool
    exact: bool
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
            whole: Which may be decided without all their own px: :attr:`TileTissue.whole`,
                ``(n,)``.
            threads: Threads that read.
            progress: Called with tiles settled so far and in all.
        """
        count = len(cells)
        tissue, empty = np.full(count, np.nan), np.zeros(count)
        keep, own = np.zeros(count, np.bool_), np.zeros(count, np.bool_)

        def one(index: int) -> None:
            column, row = int(cells[index, 0]), int(cells[index, 1])
            seen = self._closer(column, row) if whole[index] else None
            bounds = None if seen is None else self._bounds(seen, column, row)
            if bounds is not None and not self._is_open(bounds.at_least, bounds.at_most):
                tissue[index], keep[index] = bounds.estimate, bounds.at_least >= self.min_tissue
                return
            own[index] = True
            try:
                parts = self._parts(column, row) if whole[index] else []
                if parts:
                    tissue[index], keep[index] = self._by_parts(column, row, parts, seen)
                else:
                    tissue[index], empty[index] = self._own(column, row)
                    keep[index] = tissue[index] >= self.min_tissue
            except DamagedSlideError:
                tissue[index] = empty[index] = np.nan

        # Backwards: what was decoded last is then what the first tiles are made of.
        with ThreadPoolExecutor(threads) as pool:
            for done, _ in enumerate(pool.map(one, reversed(range(count))), start=1):
                if progress is not None and (done % 64 == 0 or done == count):
                    progress(done, count)
        return Settled(tissue, keep, empty, int(np.count_nonzero(own)))

    def _is_open(self, at_least: float, at_most: float) -> bool:
        return at_least < self.min_tissue <= at_most

    def _closer(self, column: int, row: int) -> PatchTissue | None:
        """What a closer look tells of a patch; None where it tells nothing."""
        try:
            return None if self.closer is None else self.closer(column, row)
        except DamagedSlideError:
            return None

    def _bounds(self, seen: PatchTissue, column: int, row: int) -> TissueBounds:
        return seen.of(*self.grid.corner(column, row), self.grid.patch_side)

    def _parts(self, column: int, row: int) -> list[Region]:
        """The parts of a patch that are decoded one by one, the largest first.

        Empty where it is read as a whole: where its px are not the level's, where the file is not
        known to be in segments, or where the patch lies in one or in many of them.
        """
        grid, reader = self.grid, self.reader
        if self.exact or grid.kind != "cover" or grid.px != PerAxis(1.0, 1.0):
            return []
        segment = reader.segment_of(grid.level)
        if segment is None or not _within_bounds(reader, grid, column, row).all():
            return []
        x, y = (int(place) for place in grid.corner(column, row))
        parts = Region(grid.level, x, y, grid.patch, grid.patch).cut(segment)
        parts.sort(key=lambda part: part.area, reverse=True)
        return parts if 1 < len(parts) <= _MOST_PARTS else []

    def _by_parts(
        self, column: int, row: int, parts: list[Region], seen: PatchTissue | None
    ) -> tuple[float, bool]:
        """Tissue of a patch and whether it is enough, from as many parts as that takes."""
        grid = self.grid
        x, y = (int(place) for place in grid.corner(column, row))
        patch = KeptPatch(np.empty((grid.patch, grid.patch, 3), np.uint8), (x, y), tuple(parts))
        shares = [
            _ANYTHING if seen is None else seen.of(one.x, one.y, PerAxis(one.width, one.height))
            for one in parts
        ]
        found, area = 0, grid.patch**2
        # What is left, in px: at least, at most, and the estimate.
        left = np.array([(one.at_least, one.at_most, one.estimate) for one in shares])
        left *= [[part.area] for part in parts]
        for read, part in enumerate(parts, start=1):
            px = self.reader.read(part)
            patch.fill(part, px)
            found += int(np.count_nonzero(tissue_mask(px)))
            at_least, at_most, estimate = (found + left[read:].sum(axis=0)) / area
            if not self._is_open(at_least, at_most):
                break
        keep = bool(at_least >= self.min_tissue)
        if self.kept is not None and keep:
            self.kept.keep(column, row, replace(patch, missing=tuple(parts[read:])))
        return float(np.clip(estimate, at_least, at_most)), keep

    def _own(self, column: int, row: int) -> tuple[float, float]:
        """Tissue share of a patch from all its px, empty share of its cell.

        Raises:
            DamagedSlideError: they cannot be decoded.
        """
        reader, grid = self.reader, self.grid
        patch = whole = read_patch(reader, grid, column, row)
        inside = _within_bounds(reader, grid, column, row)
        if not inside.all():
            patch = np.where(inside[..., None], patch, np.uint8(255))
        tissue = tissue_fraction(patch)
        if self.kept is not None and tissue >= self.min_tissue:
            self.kept.keep(column, row, KeptPatch(whole))
        return tissue, _empty_share(reader, grid, column, row) if self.emptiness else 0.0


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
