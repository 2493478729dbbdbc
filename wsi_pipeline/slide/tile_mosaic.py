"""A region of a level put together from the tiles that touch it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.slide.reader import WHITE

Pixels = NDArray[np.uint8]


def read_mosaic(
    region: Region, size: Size, tile: Size, tile_at: Callable[[int], Pixels | None]
) -> Pixels:
    """RGB of shape ``(height, width, 3)``; white outside the level and for absent tiles.

    Args:
        region: Level px; may reach over any edge.
        size: Of the level, its px.
        tile: Size of a tile, level px; those of the last row and column reach over the edge.
        tile_at: Px of a tile by its index, row by row; None where it is absent.
    """
    out = np.full((region.height, region.width, 3), WHITE, np.uint8)
    columns = -(-size.width // tile.width)
    left, right = max(region.x, 0), min(region.right, size.width)
    top, bottom = max(region.y, 0), min(region.bottom, size.height)
    if left >= right or top >= bottom:
        return out
    for row in range(top // tile.height, (bottom - 1) // tile.height + 1):
        y_tile = row * tile.height
        y1, y2 = max(top, y_tile), min(bottom, y_tile + tile.height)
        for column in range(left // tile.width, (right - 1) // tile.width + 1):
            pixels = tile_at(row * columns + column)
            if pixels is None:
                continue
            x_tile = column * tile.width
            x1, x2 = max(left, x_tile), min(right, x_tile + tile.width)
            out[y1 - region.y : y2 - region.y, x1 - region.x : x2 - region.x] = pixels[
                y1 - y_tile : y2 - y_tile, x1 - x_tile : x2 - x_tile
            ]
    return out
