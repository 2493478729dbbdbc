"""Cells of a result as compact bytes for a viewer, which chooses colours and threshold itself.

A tile is at most :data:`TILE` cells wide and high. Its bytes, once unpacked from gzip, are planes
of ``rows * columns`` cells each, row by row (format :data:`FORMAT`):

1. the probability, uint16, little-endian: 0 to :data:`STEPS` stand for 0 to 1, 65535 for a cell
   that was not classified;
2. the :class:`~wsi_pipeline.tiles.plan.Coverage`, uint8;
3. the share of tissue, uint8: 0 to :data:`~wsi_pipeline.export.tile_means.STEPS` stand for 0 to
   1, 255 for a cell of which it is not kept: one that no tile of the plan covers. It is the mean
   over the patches the cell's probability is made of; see :mod:`wsi_pipeline.export.tile_means`;
4. what quality control found, uint8: bits of :class:`~wsi_pipeline.quality.reasons.Reason`, 255
   for a cell that it did not look at;
5. and following: each of :func:`~wsi_pipeline.export.tile_means.tile_numbers`, uint16,
   little-endian, in its steps; 65535 for a cell of which it is not known.

A tile of labels, as :func:`encode_label_tile` makes it, has the label of each cell in place of the
probability, 65535 for a cell that was not classified.

In coarser levels a cell holds the largest probability of 2 × 2, coverage, bits and other numbers of
the first, and the mean share of tissue of all those below it; its label is that of its
probabilities.

A probability of the first plane is off by at most one step. A cell is at or above the result's
threshold if and only if its number is at or above :func:`threshold_step`: rounding moves no cell
over the threshold that drew the mask.
"""

import gzip
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.export.decision import chosen_class, means_attention
from wsi_pipeline.export.tile_means import coarser, number_cells, tile_numbers, tissue_cells
from wsi_pipeline.geometry import PerAxis
from wsi_pipeline.quality.reasons import NOT_LOOKED_AT
from wsi_pipeline.stitch.layout import ATTENTION, COVERAGE_LABEL, QUALITY_LABEL
from wsi_pipeline.stitch.result import Result

#: Raised when the same cells would come out as other bytes. 2: with the share of tissue. 3: with
#: what quality control found. 4: with other numbers of tiles.
FORMAT = 4
#: Side of a tile in cells: that of the store's chunks, so that each is read once.
TILE = 512
#: What stands for a probability of 1.
STEPS = 65534
NOT_CLASSIFIED = 65535
#: As good as the highest level on probabilities, at a fraction of its time.
_GZIP_LEVEL = 5


@dataclass(frozen=True, slots=True)
class CellLevel:
    """One level of a result's cells.

    Attributes:
        columns: Cells across.
        rows: Cells down.
        cell_0: Width and height of a cell in level-0 px.
    """

    columns: int
    rows: int
    cell_0: PerAxis

    @property
    def tiles(self) -> tuple[int, int]:
        """Columns and rows of tiles."""
        return -(-self.columns // TILE), -(-self.rows // TILE)


def cell_levels(result: Result) -> list[CellLevel]:
    """The levels, finest first; each cell of a coarser one holds the maximum of 2 × 2."""
    levels: list[CellLevel] = []
    for index in range(result.grid_levels):
        rows, columns = result.array(str(index)).shape[-2:]
        levels.append(CellLevel(columns, rows, result.cell_0 * 2**index))
    return levels


def threshold_step(threshold: float) -> int:
    """The least number of a cell at or above a result's own threshold."""
    return math.ceil(threshold * STEPS)


def encode_tile(
    result: Result, level: int, column: int, row: int, of: str | None = None
) -> bytes | None:
    """A tile, packed with gzip; equal results give equal bytes.

    Args:
        result: The result.
        level: Level of its cells; 0 is the grid itself.
        column: Of the tile.
        row: Of the tile.
        of: The class whose probability is in it; ``attention`` where the result has one: ranks in
            place of probabilities; None takes the positive class, or the attention of a result
            without classes.

    Returns:
        None where there is no such tile.

    Raises:
        UsageError: there is no such class.
        ResultError: the result is damaged.
    """
    if means_attention(result, of):
        ranks = _probability(result, level, column, row, f"{ATTENTION}/")
        if ranks is None:
            return None
        return _packed(result, level, column, row, _steps(ranks, result.threshold))
    name = chosen_class(result, of).name
    probability = _probability(result, level, column, row)
    if probability is None:
        return None
    steps = _steps(result.classes.plane_of(name, probability), result.threshold)
    return _packed(result, level, column, row, steps)


def encode_label_tile(result: Result, level: int, column: int, row: int) -> bytes | None:
    """As :func:`encode_tile`, with the label of each cell in place of a probability.

    Those of level 0 are the labels that the mask was drawn with.

    Raises:
        ResultError: the result is damaged.
    """
    probability = _probability(result, level, column, row)
    if probability is None:
        return None
    labels = result.classes.decide(probability, result.threshold).astype(np.uint16)
    unknown = np.isnan(result.classes.plane_of(result.classes.positive, probability))
    return _packed(result, level, column, row, np.where(unknown, np.uint16(NOT_CLASSIFIED), labels))


def _probability(
    result: Result, level: int, column: int, row: int, image: str = ""
) -> NDArray[np.float32] | None:
    """The numbers of an image in a tile, of all planes; None where there is no such tile."""
    if not 0 <= level < result.grid_levels:
        return None
    values = result.array(f"{image}{level}")
    top, left = row * TILE, column * TILE
    if not (0 <= top < values.shape[-2] and 0 <= left < values.shape[-1]):
        return None
    return np.asarray(values[..., top : top + TILE, left : left + TILE], np.float32)


def _packed(
    result: Result, level: int, column: int, row: int, numbers: NDArray[np.uint16]
) -> bytes:
    """The bytes of a tile: these numbers, coverage, share of tissue, quality, other numbers."""
    top, left = row * TILE, column * TILE
    window = slice(top, top + TILE), slice(left, left + TILE)
    coverage = np.asarray(result.array(f"{COVERAGE_LABEL}/{level}")[window], np.uint8)
    below = slice(top << level, top + TILE << level), slice(left << level, left + TILE << level)
    tissue = coarser(tissue_cells(result)[below], level)
    quality = np.full(coverage.shape, NOT_LOOKED_AT, np.uint8)
    if result.has_quality:
        quality = np.asarray(result.array(f"{QUALITY_LABEL}/{level}")[window], np.uint8)
    first = tuple(slice(part.start, part.stop, 1 << level) for part in below)
    others = [number_cells(result, one.name)[first] for one in tile_numbers(result)]
    wide = [plane.astype("<u2") for plane in (numbers, *others)]
    planes = (wide[0], coverage, tissue, quality, *wide[1:])
    return gzip.compress(b"".join(plane.tobytes() for plane in planes), _GZIP_LEVEL, mtime=0)


def _steps(probability: NDArray[np.float32], threshold: float) -> NDArray[np.uint16]:
    limit = threshold_step(threshold)
    steps = np.rint(np.nan_to_num(probability).astype(np.float64) * STEPS).astype(np.int64)
    tumour = probability >= np.float32(threshold)
    steps = np.where(tumour, np.maximum(steps, limit), np.minimum(steps, limit - 1))
    return np.where(np.isnan(probability), NOT_CLASSIFIED, steps).astype(np.uint16)
