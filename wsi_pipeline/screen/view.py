"""What the screen sees: a coarse picture on which every tile is a square of whole px.

A tile is :data:`TILE_PX` px wide, whatever its size on the slide, and every picture has
:data:`MARGIN_PX` px more on each side. So one pass over a block of tiles gives for each what a pass
over the tile alone gives.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import PerAxis
from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.tiles.patches import read_box

#: Px along a tile: of a patch of 299 px at 0.25 µm/px they are 2.3 µm wide, a third of a nucleus.
TILE_PX = 32
#: Px around a tile that the network sees beside it.
MARGIN_PX = 16
#: Tiles along a block that is looked at in one pass: larger ones have more glass, smaller ones more
#: margins.
BLOCK_TILES = 8
#: A level is used that is at least this much coarser than the analysis; else reading it would cost
#: as much as the model.
_LEAST_RATIO = 2.0
#: Rounding of downsamples that files state, as a factor.
_ROUNDING = 1.01


@dataclass(frozen=True, slots=True)
class Block:
    """Some neighbouring tiles.

    Attributes:
        column: Of its first tile.
        row: Of its first tile.
        tiles: Index in the plan of each tile of tissue it has, ``(k,)`` int64.
    """

    column: int
    row: int
    tiles: NDArray[np.int64]


def coarse_level(reader: SlideReader, grid: Grid) -> int | None:
    """The level that a picture is made of: the coarsest whose px are no larger than the picture's.

    Args:
        reader: The slide.
        grid: The analysis grid.

    Returns:
        None where none is much coarser than the analysis.
    """
    px = grid.patch_0 * (1 / TILE_PX)
    coarsest, finest = min(px.x, px.y) * _ROUNDING, max(grid.px_0.x, grid.px_0.y) * _LEAST_RATIO
    fitting = [
        index
        for index, level in enumerate(reader.info.levels)
        if finest <= level.downsample * _ROUNDING and level.downsample <= coarsest
    ]
    return fitting[-1] if fitting else None


def read_view(
    reader: SlideReader, grid: Grid, level: int, column: int, row: int, tiles: int = 1
) -> NDArray[np.uint8]:
    """The picture of a square of tiles, with its margins; white over the slide's edge.

    Args:
        reader: The slide.
        grid: Of tiles side by side.
        level: :func:`coarse_level`.
        column: Of the first tile.
        row: Of the first tile.
        tiles: Along a side.

    Returns:
        RGB, uint8 ``(side, side, 3)``, ``side`` = :func:`view_px`.

    Raises:
        DamagedSlideError: a part of the level cannot be decoded.
    """
    tile = grid.cell_0 * (1 / reader.info.levels[level].downsample)
    margin = tile * (MARGIN_PX / TILE_PX)
    side = PerAxis(tile.x * tiles + 2 * margin.x, tile.y * tiles + 2 * margin.y)
    x, y = column * tile.x - margin.x, row * tile.y - margin.y
    return read_box(reader, level, x, y, side, view_px(tiles))


def view_px(tiles: int) -> int:
    """Px along the picture of a square of tiles.

    Args:
        tiles: Along a side.
    """
    return TILE_PX * tiles + 2 * MARGIN_PX


def blocks(cells: NDArray[np.int64]) -> Iterator[Block]:
    """Blocks of :data:`BLOCK_TILES` along a side that hold all cells, row by row.

    Args:
        cells: Columns and rows, ``(n, 2)``.
    """
    of = cells // BLOCK_TILES
    order = np.lexsort((of[:, 0], of[:, 1]))
    changes = np.flatnonzero(np.any(np.diff(of[order], axis=0) != 0, axis=1)) + 1
    for tiles in np.split(order, changes):
        if len(tiles):
            column, row = (int(value) * BLOCK_TILES for value in of[tiles[0]])
            yield Block(column, row, tiles)
