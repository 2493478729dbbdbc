"""Tissue of single patches from a level between the overview and their own px.

Patches at the edge of tissue are what the overview leaves open: its px are half tissue, half glass.
On a finer level few px are. The bounds are those of :mod:`~wsi_pipeline.tissue.overview`; the
patch's own px are read where they do not decide either.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import PerAxis, Region
from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.tissue.overview import Overview, bounds_of
from wsi_pipeline.tissue.rule import BLACK_LUMINANCE, TISSUE_LUMINANCE, WHITE_LUMINANCE, luminance

#: How much coarser than the analysis its level is at least, so that reading it costs a fifteenth,
#: and how much finer than the overview.
_COARSER, _FINER = 3.9, 3.0


@dataclass(frozen=True, slots=True)
class TissueBounds:
    """Tissue of a box as a level tells it, 0-1: bounds and an estimate."""

    at_least: float
    at_most: float
    estimate: float


@dataclass(frozen=True, slots=True)
class PatchTissue:
    """Tissue of a patch as a level tells it, px by px.

    Attributes:
        at_least: Bound on the share of tissue of each px of the level, 0-1, ``(height, width)``.
        at_most: The other bound.
        tissue: Whether it is tissue itself.
        x: Column of the first px in the level.
        y: Row of it.
        px: Px of it per px of the analysed level.
    """

    at_least: NDArray[np.float32]
    at_most: NDArray[np.float32]
    tissue: NDArray[np.bool_]
    x: int
    y: int
    px: float

    def of(self, x: float, y: float, side: PerAxis) -> TissueBounds:
        """Tissue of a box inside the patch.

        Args:
            x: Its left edge in px of the analysed level.
            y: Its top edge.
            side: Its width and height.
        """
        left, top = x * self.px - self.x, y * self.px - self.y
        right, bottom = left + side.x * self.px, top + side.y * self.px
        # A px that the box cuts may have all its tissue inside the box, or none of it.
        inner = (
            slice(math.ceil(top), math.floor(bottom)),
            slice(math.ceil(left), math.floor(right)),
        )
        outer = (
            slice(math.floor(top), math.ceil(bottom)),
            slice(math.floor(left), math.ceil(right)),
        )
        area = (right - left) * (bottom - top)
        tissue = self.tissue[outer]
        return TissueBounds(
            float(self.at_least[inner].sum()) / area,
            min(1.0, float(self.at_most[outer].sum()) / area),
            float(np.count_nonzero(tissue)) / tissue.size,
        )


class CloserLook:
    """Looks at patches on a level. Safe to share between threads.

    Args:
        reader: The slide.
        grid: The patches.
        level: Of the slide.
        glass: Luminance of the slide's clear glass, 0-1.
    """

    def __init__(self, reader: SlideReader, grid: Grid, level: int, glass: float) -> None:
        self._reader, self._grid, self._level, self._glass = reader, grid, level, glass
        #: Px of it per px of the analysed level.
        self._px = grid.downsample / reader.info.levels[level].downsample

    def __call__(self, column: int, row: int) -> PatchTissue | None:
        """Tissue of a cell's patch, which lies wholly in the slide; None where it cannot tell.

        Raises:
            DamagedSlideError: the level cannot be decoded there.
        """
        left, top = (place * self._px for place in self._grid.corner(column, row))
        side = self._grid.patch_side * self._px
        x, y = math.floor(left), math.floor(top)
        right, bottom = math.ceil(left + side.x), math.ceil(top + side.y)
        grey = luminance(self._reader.read(Region(self._level, x, y, right - x, bottom - y)))
        if grey.min() <= BLACK_LUMINANCE:
            return None  # padding is no tissue, and what is mixed with it cannot be told
        grey /= WHITE_LUMINANCE
        at_least, at_most = bounds_of(grey, self._glass)
        return PatchTissue(at_least, at_most, grey <= TISSUE_LUMINANCE, x, y, self._px)


def closer_look(reader: SlideReader, grid: Grid, overview: Overview) -> CloserLook | None:
    """Choose the level for a closer look; None where none lies between.

    Args:
        reader: The slide.
        grid: The patches.
        overview: What was seen before.
    """
    finest = max(grid.px_0.x, grid.px_0.y) * _COARSER
    coarsest = min(overview.downsample.x, overview.downsample.y) / _FINER
    fitting = [
        index
        for index, level in enumerate(reader.info.levels)
        if finest <= level.downsample <= coarsest
    ]
    return CloserLook(reader, grid, fitting[-1], overview.glass) if fitting else None
