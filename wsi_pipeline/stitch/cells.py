"""From tile probabilities to the grid: averages, coverage and the decision per cell."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.classes import NO_CLASSES, NOT_ANALYSED, TUMOUR_OR_NORMAL, Classes
from wsi_pipeline.tiles.plan import Coverage, Plan

#: Labels of a binary mask, with `NOT_ANALYSED`.
NOT_TUMOUR, TUMOUR = 0, 1
#: Cells, because a decision takes several times the memory of its labels.
_DECIDED_AT_ONCE = 2**21


@dataclass(frozen=True, slots=True)
class Cells:
    """The outcome per grid cell.

    Attributes:
        probability: float32 ``(rows, columns)`` of a binary model, else ``(planes, rows,
            columns)``; NaN = not classified. Of an encoder, which has no classes, ``(rows,
            columns)``: the share of tissue.
        coverage: :class:`~wsi_pipeline.tiles.plan.Coverage`, uint8 ``(rows, columns)``.
        classes: What the model answers for.
    """

    probability: NDArray[np.float32]
    coverage: NDArray[np.uint8]
    classes: Classes = TUMOUR_OR_NORMAL

    @property
    def positive(self) -> NDArray[np.float32]:
        """Probability of the positive class, float32 ``(rows, columns)``; NaN = not classified."""
        if not self.classes.members:
            return np.full(self.coverage.shape, np.nan, np.float32)
        return self.classes.plane_of(self.classes.positive, self.probability)

    def decision(self, threshold: float) -> NDArray[np.uint8]:
        """The label of each cell, uint8 ``(rows, columns)``.

        :attr:`~wsi_pipeline.classes.Classes.labels` names them; 255 = not analysed.
        """
        labels = np.full(self.coverage.shape, NOT_ANALYSED, np.uint8)
        rows = max(1, _DECIDED_AT_ONCE // self.coverage.shape[1])
        for top in range(0, len(labels), rows):
            band = slice(top, top + rows)
            decided = self.classes.decide(self.probability[..., band, :], threshold)
            classified = is_answered(self.coverage[band])
            labels[band][classified] = decided[classified]
        return labels


def is_answered(coverage: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which cells somebody has looked at: the model, or its screen.

    Args:
        coverage: :class:`~wsi_pipeline.tiles.plan.Coverage`, any shape.
    """
    answered: NDArray[np.bool_] = (coverage == Coverage.CLASSIFIED) | (
        coverage == Coverage.SCREENED
    )
    return answered


#: Tiles and answers for them: columns and rows ``(n, 2)``, and float32 ``(n, *answer)``.
Answers = Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]]


def stitch_cells(plan: Plan, answers: Answers, classes: Classes = TUMOUR_OR_NORMAL) -> Cells:
    """Average over each cell the patches that cover its centre.

    Sums are taken in a fixed order in float64: no result depends on arrival order.

    Memory: 13 bytes for each number of the result and some copies of one part of the answers.

    Args:
        plan: The tiles.
        answers: Every tile and its answer once, in parts that are always the same. An answer is a
            number of a binary model, else ``(planes,)``; of maps with two more axes, rows and
            columns of cells from the tile's corner on; NaN = unreadable.
        classes: What the model answers for.
    """
    grid = plan.grid
    # The cells of a tile are a block; a patch reaches over the following blocks.
    side, reach = grid.cells_per_tile, grid.reach
    tiles_down, tiles_across = plan.coverage.shape
    total = np.zeros((tiles_down, side, tiles_across, side, *classes.shape))
    most = (-(-reach // side)) ** 2
    count = np.zeros((tiles_down, side, tiles_across, side), np.min_scalar_type(most))
    coverage = plan.coverage.copy()
    for every, given in answers:
        valid = ~np.isnan(given).any(axis=tuple(range(1, given.ndim)))
        lost = every[~valid]
        coverage[lost[:, 1], lost[:, 0]] = Coverage.UNREADABLE
        tiles, values = every[valid], _by_cell(given[valid], reach, classes)
        for down in range(0, reach, side):
            for right in range(0, reach, side):
                x, y = tiles[:, 0] + right // side, tiles[:, 1] + down // side
                inside = (x < tiles_across) & (y < tiles_down)
                part = values[inside, down : down + side, right : right + side]
                block = (y[inside], slice(part.shape[1]), x[inside], slice(part.shape[2]))
                # A block is reached by at most one patch per offset, so indexing adds rightly.
                total[block] += part
                count[block] += 1
    size = grid.cells.size
    total = total.reshape(tiles_down * side, tiles_across * side, *classes.shape)
    counts = count.reshape(total.shape[:2])[: size.height, : size.width]
    total = total[: size.height, : size.width]
    for axis in (0, 1):
        coverage = coverage.repeat(side, axis)
    coverage = coverage[: size.height, : size.width]
    # What quality control rejected stays so, even where the patch of a neighbour reaches into it.
    counts[(coverage == Coverage.REJECTED) | (coverage == Coverage.SCREENED)] = 0
    coverage[counts > 0] = Coverage.CLASSIFIED
    mean = np.full((*classes.shape, *counts.shape), np.nan, np.float32)
    shares = counts.reshape(*counts.shape, *(1 for _ in classes.shape))
    # Planes come first in the store, as OME-Zarr orders its axes.
    out = np.moveaxis(mean, 0, -1) if classes.shape else mean
    np.divide(total, shares, out=out, where=shares > 0, casting="same_kind")
    return Cells(mean, coverage, classes)


def with_screened(cells: Cells, bound: float) -> Cells:
    """Cells of a binary model with the probability of those that its screen alone has seen.

    Args:
        cells: Of the others.
        bound: Probability of the screened ones.
    """
    probability = cells.probability.copy()
    probability[cells.coverage == Coverage.SCREENED] = bound
    return Cells(probability, cells.coverage, cells.classes)


def stitch_tissue(plan: Plan, readable: NDArray[np.bool_]) -> Cells:
    """The cells of an encoder's tiles: their share of tissue, and no class.

    Args:
        plan: The tiles.
        readable: Which of them could be read, ``(n,)``.
    """
    share = np.where(readable, plan.tissue, np.nan).astype(np.float32)
    cells = stitch_cells(plan, [(plan.cells, share)])
    return Cells(cells.probability, cells.coverage, NO_CLASSES)


def _by_cell(answers: NDArray[np.float32], reach: int, classes: Classes) -> NDArray[np.float64]:
    """An answer for each cell of a patch, ``(n, reach, reach, *classes)``."""
    wide = answers.astype(np.float64)
    if wide.ndim > 1 + len(classes.shape):
        return np.moveaxis(wide, 1, -1) if classes.shape else wide
    alike = wide[:, None, None]
    return np.broadcast_to(alike, (len(wide), reach, reach, *wide.shape[1:]))
