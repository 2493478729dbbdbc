"""The plan: which tiles are classified, in which order, and why the others are not."""

import enum
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.tiles.patches import read_patch
from wsi_pipeline.tissue.overview import overview_level, read_overview, tile_tissue
from wsi_pipeline.tissue.rule import is_black, tissue_fraction

#: Width of a strip of the plan in level px: two tile rows of it stay decoded in every cache.
STRIP_PX = 8192


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
    """

    grid: Grid
    cells: NDArray[np.int64]
    tissue: NDArray[np.float32]
    coverage: NDArray[np.uint8]
    settled: int
    unreadable: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def reads_saved(self) -> int:
        """Full-resolution reads the overview made unnecessary for deciding tissue."""
        return self.grid.size.area - self.settled

    @property
    def sha256(self) -> str:
        """Identifies grid and order: regions of equal plans are interchangeable."""
        digest = hashlib.sha256(repr(self.grid).encode())
        digest.update(np.ascontiguousarray(self.cells).tobytes())
        return digest.hexdigest()


def make_plan(
    reader: SlideReader,
    grid: Grid,
    *,
    min_tissue: float,
    exact: bool,
    threads: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """Decide for every cell whether its patch holds enough tissue.

    Args:
        reader: The slide.
        grid: The cells.
        min_tissue: Least tissue fraction (0-1) of a patch to be classified.
        exact: Read every patch instead of deciding from a coarse level.
        threads: Threads that read patches.
        progress: Called with patches read so far and in all.

    Raises:
        DamagedSlideError: the coarse level cannot be read.
    """
    level = overview_level(reader, grid)
    if level is None:
        everywhere = np.ones((grid.size.height, grid.size.width))
        tissue, empty = everywhere * 0, everywhere * 0
        keep, unsettled = everywhere < 0, everywhere > 0
    else:
        tiles = tile_tissue(read_overview(reader, level, grid.patch_side * grid.downsample), grid)
        tissue, empty = tiles.estimate, tiles.empty
        keep = tiles.at_least >= min_tissue
        unsettled = ~keep & (tiles.at_most >= min_tissue)
        if exact:
            keep, unsettled = keep & False, keep | True
    settle = _in_order(grid, unsettled)
    own = _own_shares(reader, grid, settle, threads, progress)
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
    return Plan(
        grid=grid,
        cells=cells,
        tissue=tissue[cells[:, 1], cells[:, 0]].astype(np.float32),
        coverage=coverage,
        settled=len(settle),
        unreadable=unreadable,
    )


def _in_order(grid: Grid, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Column and row of the chosen cells, strip by strip, each strip row by row.

    Runs of this order are compact, so that a compressed tile shared by neighbouring patches is
    still decoded when the next of them asks for it, however wide the slide.
    """
    rows, columns = np.nonzero(chosen)
    strip = columns // max(1, int(STRIP_PX / grid.step))
    order = np.lexsort((columns, rows, strip))
    return np.stack([columns[order], rows[order]], axis=1).astype(np.int64)


def _own_shares(
    reader: SlideReader,
    grid: Grid,
    cells: NDArray[np.int64],
    threads: int,
    progress: Callable[[int, int], None] | None,
) -> NDArray[np.float64]:
    """Tissue and black shares of patches from their own px, ``(n, 2)``; NaN where unreadable."""
    shares = np.full((len(cells), 2), np.nan)

    def settle(index: int) -> None:
        try:
            patch = read_patch(reader, grid, int(cells[index, 0]), int(cells[index, 1]))
        except DamagedSlideError:
            return
        shares[index] = tissue_fraction(patch), is_black(patch).mean()

    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(settle, range(len(cells))), start=1):
            if progress is not None and (done % 64 == 0 or done == len(cells)):
                progress(done, len(cells))
    return shares
