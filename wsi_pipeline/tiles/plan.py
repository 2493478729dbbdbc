"""The plan: which tiles are classified, in which order, and why the others are not."""

import enum
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.geometry import Region
from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.tiles.kept_patches import KeptPatches
from wsi_pipeline.tiles.patches import read_patch
from wsi_pipeline.tissue.overview import overview_level, read_overview, tile_tissue
from wsi_pipeline.tissue.rule import is_black, tissue_fraction

#: Width of a strip of the plan in level px: two tile rows of it stay decoded in every cache.
STRIP_PX = 8192
#: Glass tiles classified as a control.
CONTROLS = 8
#: Tiles that are looked at closely, spread evenly over the plan.
SAMPLED_TILES = 64
#: Share of tissue, and of px not scanned, up to which a patch is clean glass.
_CLEAN = 0.01


class Coverage(enum.IntEnum):
    """Why a cell has or lacks a probability; the values of ``labels/coverage``."""

    #: Not scanned: transparent, black scanner padding, or outside the scanned bounds.
    EMPTY = 0
    #: Looked at: its probability is the model's.
    CLASSIFIED = 1
    #: Glass, or too little tissue for the tissue rule.
    GLASS = 2
    #: Tissue whose px could not be decoded.
    UNREADABLE = 3
    #: Left out on purpose by a quality rule.
    REJECTED = 4
    #: Looked at by the model's screen alone: surely below the threshold.
    SCREENED = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """The ordered tiles of one analysis.

    Attributes:
        grid: The grid the tiles are cells of.
        cells: Column and row of each tile to classify, in order, shape ``(n, 2)`` int64.
        tissue: Tissue fraction of each, float32 ``(n,)``: its own px' where it was settled from
            them, else the overview's estimate.
        coverage: :class:`Coverage` of every cell's own patch, uint8 ``(rows, columns)``;
            planned tiles are CLASSIFIED.
        settled: How many tiles' own px were read to decide.
        unreadable: Cells whose px were needed to decide and could not be decoded, ``(m, 2)``.
        controls: Clean glass the model is asked about as a control, ``(k, 2)``: at most
            :data:`CONTROLS`, spread over the slide. They are no tiles and count nowhere.
        sampled: Cells that are looked at closely, tiles or not, ``(s, 2)``; None: see
            :attr:`looked_at`.
    """

    grid: Grid
    cells: NDArray[np.int64]
    tissue: NDArray[np.float32]
    coverage: NDArray[np.uint8]
    settled: int
    unreadable: NDArray[np.int64]
    controls: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))
    sampled: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def looked_at(self) -> NDArray[np.int64]:
        """Cells that stand for all tissue where colours are measured, ``(s, 2)``, in order."""
        if self.sampled is not None:
            return self.sampled
        return self.cells[spread(len(self), SAMPLED_TILES)]

    @property
    def reads_saved(self) -> int:
        """Full-resolution reads the overview made unnecessary for deciding tissue."""
        return self.grid.size.area - self.settled

    def without(self, gone: NDArray[np.bool_], why: Coverage) -> "Plan":
        """The plan without some of its tiles.

        Args:
            gone: Of each tile, whether it goes, ``(n,)``.
            why: What their cells become.
        """
        if not gone.any():
            return self
        coverage = self.coverage.copy()
        coverage[self.cells[gone, 1], self.cells[gone, 0]] = why
        return replace(self, cells=self.cells[~gone], tissue=self.tissue[~gone], coverage=coverage)

    @property
    def sha256(self) -> str:
        """Identifies grid, order and controls: regions of equal plans are interchangeable."""
        digest = hashlib.sha256(repr(self.grid).encode())
        digest.update(np.ascontiguousarray(self.cells).tobytes())
        digest.update(np.ascontiguousarray(self.controls).tobytes())
        return digest.hexdigest()


def make_plan(
    reader: SlideReader,
    grid: Grid,
    *,
    min_tissue: float,
    exact: bool,
    threads: int = 2,
    progress: Callable[[int, int], None] | None = None,
    kept: KeptPatches | None = None,
) -> Plan:
    """Decide for every cell whether its patch holds enough tissue.

    Args:
        reader: The slide.
        grid: The cells.
        min_tissue: Least tissue fraction (0-1) of a patch to be classified.
        exact: Read every patch instead of deciding from a coarse level.
        threads: Threads that read patches.
        progress: Called with patches read so far and in all.
        kept: Gets patches that were read and are tissue, where the model sees no more of a tile.

    Raises:
        DamagedSlideError: the coarse level cannot be read.
    """
    level = overview_level(reader, grid)
    if level is None:
        everywhere = np.ones((grid.size.height, grid.size.width))
        tissue, empty = everywhere * 0, everywhere * 0
        keep, unsettled = everywhere < 0, everywhere > 0
    else:
        tiles = tile_tissue(read_overview(reader, level, grid.patch_0), grid)
        tissue, empty = tiles.estimate, tiles.empty
        keep = tiles.at_least >= min_tissue
        unsettled = ~keep & (tiles.at_most >= min_tissue)
        if exact:
            keep, unsettled = keep & False, keep | True
    if grid.kind == "wsinfer":
        keep, unsettled = keep & grid.with_centre, unsettled & grid.with_centre
    settle = _in_order(grid, unsettled)
    enough = None if kept is None or grid.margin else min_tissue
    own = _own_shares(
        reader, grid, settle, threads, progress, emptiness=level is None, kept=kept, enough=enough
    )
    columns, rows = settle[:, 0], settle[:, 1]
    tissue[rows, columns] = own[:, 0]
    keep[rows, columns] = own[:, 0] >= min_tissue  # NaN, for unreadable, compares false
    if level is None:
        empty[rows, columns] = own[:, 1]
    coverage = np.where(empty > 0.5, Coverage.EMPTY, Coverage.GLASS).astype(np.uint8)
    unreadable = settle[np.isnan(own[:, 0])]
    coverage[unreadable[:, 1], unreadable[:, 0]] = Coverage.UNREADABLE
    coverage[keep] = Coverage.CLASSIFIED
    cells = _in_order(grid, keep)
    glass = (coverage == Coverage.GLASS) & (tissue <= _CLEAN) & (empty <= _CLEAN)
    clean = _in_order(grid, glass & _inside(grid))
    return Plan(
        grid=grid,
        cells=cells,
        tissue=tissue[cells[:, 1], cells[:, 0]].astype(np.float32),
        coverage=coverage,
        settled=len(settle),
        unreadable=unreadable,
        # Where nothing is classified there is nothing to vouch for.
        controls=clean[spread(len(clean), CONTROLS if len(cells) else 0)],
    )


def spread(total: int, count: int) -> NDArray[np.int64]:
    """Which of ``total`` things to take if ``count`` of them, evenly apart, are wanted."""
    taken = min(total, count)
    return (2 * np.arange(taken, dtype=np.int64) + 1) * total // max(1, 2 * taken)


def _in_order(grid: Grid, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Column and row of the chosen cells, strip by strip, each strip row by row.

    Runs of this order are compact, so that a compressed tile shared by neighbouring patches is
    still decoded when the next of them asks for it, however wide the slide.
    """
    rows, columns = np.nonzero(chosen)
    strip = columns // max(1, int(STRIP_PX / grid.step.x))
    order = np.lexsort((columns, rows, strip))
    return np.stack([columns[order], rows[order]], axis=1).astype(np.int64)


def _inside(grid: Grid) -> NDArray[np.bool_]:
    """Cells whose patches do not reach over the slide's edge, ``(rows, columns)``."""
    step, side, level = grid.step, grid.patch_side, grid.level_size
    columns = np.arange(grid.size.width) * step.x + side.x <= level.width
    rows = np.arange(grid.size.height) * step.y + side.y <= level.height
    return rows[:, None] & columns


def _own_shares(
    reader: SlideReader,
    grid: Grid,
    cells: NDArray[np.int64],
    threads: int,
    progress: Callable[[int, int], None] | None,
    *,
    emptiness: bool,
    kept: KeptPatches | None,
    enough: float | None,
) -> NDArray[np.float64]:
    """Tissue share of patches from their own px and, if wanted, empty share of their cells.

    Shape ``(n, 2)``; NaN where unreadable. Patches of at least ``enough`` tissue are kept.
    """
    shares = np.full((len(cells), 2), np.nan)

    def settle(index: int) -> None:
        column, row = int(cells[index, 0]), int(cells[index, 1])
        try:
            patch = whole = read_patch(reader, grid, column, row)
            inside = _within_bounds(reader, grid, column, row)
            if not inside.all():
                patch = np.where(inside[..., None], patch, np.uint8(255))
            shares[index] = tissue_fraction(patch), 0
            if kept is not None and enough is not None and shares[index, 0] >= enough:
                kept.keep(column, row, whole)
            if emptiness:
                shares[index, 1] = _empty_share(reader, grid, column, row)
        except DamagedSlideError:
            shares[index] = np.nan

    # Backwards: what was decoded last is then what the first tiles are made of.
    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(settle, reversed(range(len(cells)))), start=1):
            if progress is not None and (done % 64 == 0 or done == len(cells)):
                progress(done, len(cells))
    return shares


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
