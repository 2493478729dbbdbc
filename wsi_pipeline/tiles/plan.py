"""The plan: which tiles are classified, in which order, and why the others are not."""

import enum
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.tiles.kept_patches import KeptPatches
from wsi_pipeline.tiles.settling import Settling
from wsi_pipeline.tissue.closer_look import closer_look
from wsi_pipeline.tissue.overview import overview_level, read_overview, tile_tissue

#: Width of a strip of the plan in level px, at most: two tile rows of it stay decoded in caches.
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
            all of them, else with the estimate of the level that decided.
        coverage: :class:`Coverage` of every cell's own patch, uint8 ``(rows, columns)``;
            planned tiles are CLASSIFIED.
        settled: How many tiles' own px were read to decide, all or some.
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
    level, closer = overview_level(reader, grid), None
    if level is None:
        everywhere = np.ones((grid.size.height, grid.size.width))
        tissue, empty = everywhere * 0, everywhere * 0
        keep, unsettled = everywhere < 0, everywhere > 0
        whole = keep
    else:
        overview = read_overview(reader, level, grid.patch_0)
        tiles = tile_tissue(overview, grid)
        tissue, empty, whole = tiles.estimate, tiles.empty, tiles.whole
        if not exact:
            closer = closer_look(reader, grid, overview)
        keep = tiles.at_least >= min_tissue
        unsettled = ~keep & (tiles.at_most >= min_tissue)
        if exact:
            keep, unsettled = keep & False, keep | True
    if grid.kind == "wsinfer":
        keep, unsettled = keep & grid.with_centre, unsettled & grid.with_centre
    undecided = _in_order(grid, unsettled)
    columns, rows = undecided[:, 0], undecided[:, 1]
    settled = Settling(
        reader,
        grid,
        min_tissue,
        # An overview tells of empty cells as well.
        emptiness=level is None,
        exact=exact,
        closer=closer,
        kept=None if grid.margin else kept,
    ).settle(undecided, whole[rows, columns], threads, progress)
    tissue[rows, columns], keep[rows, columns] = settled.tissue, settled.keep
    if level is None:
        empty[rows, columns] = settled.empty
    coverage = np.where(empty > 0.5, Coverage.EMPTY, Coverage.GLASS).astype(np.uint8)
    unreadable = undecided[np.isnan(settled.tissue)]
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
        settled=settled.read,
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
    width = grid.size.width
    # Equally wide, or the last ones would be hardly a strip.
    strips = -(-width // max(1, int(STRIP_PX / grid.step.x)))
    strip = columns * strips // width
    order = np.lexsort((columns, rows, strip))
    return np.stack([columns[order], rows[order]], axis=1).astype(np.int64)


def _inside(grid: Grid) -> NDArray[np.bool_]:
    """Cells whose patches do not reach over the slide's edge, ``(rows, columns)``."""
    step, side, level = grid.step, grid.patch_side, grid.level_size
    columns = np.arange(grid.size.width) * step.x + side.x <= level.width
    rows = np.arange(grid.size.height) * step.y + side.y <= level.height
    return rows[:, None] & columns
