"""Tissue from a coarse level: bounds on each tile's tissue fraction without reading the tile.

A coarse px is the mean of many fine ones, and the rule thresholds the fine ones. What the mean
luminance *g* of a coarse px allows for the share *f* of fine px at or below 0.8 is bounded:

* at most: the darkest px of a mixture that counts as tissue for least darkness has luminance
  0.8, the rest is this slide's glass *G*: f ≤ (G − g) / (G − 0.8);
* at least: the px that are tissue are at most as dark as nuclei, *D*, the rest is just paler than
  0.8: f ≥ (0.8 − g) / (0.8 − D).

Means of these bounds over a tile bound the tile's fraction. Tiles the bounds do not decide are
left to be settled from their own px.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.errors import SlideContentError
from wsi_pipeline.geometry import PerAxis, Region
from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.tissue.rule import (
    TISSUE_LUMINANCE,
    WHITE_LUMINANCE,
    is_black,
    luminance,
)

#: Overview px wanted along a patch's side; fewer bound too loosely, more cost time.
_PX_PER_PATCH = 9
#: The overview must be this much coarser than the analysis, else reading it saves nothing.
_MIN_RATIO = 2.0
#: Luminance of the darkest tissue taken as common: dense nuclei after averaging over a coarse px.
_DARKEST = 0.35
#: Rows of a coarse level read at a time, so that memory stays flat (level px).
_STRIP_ROWS = 1024
#: Median luminance of scanned px below which a slide was not lit through (fluorescence).
_DARK_FIELD = 0.15


@dataclass(frozen=True, slots=True)
class Overview:
    """Per overview px (row, column): bounds on the tissue share, its estimate, and emptiness.

    All arrays have shape ``(height, width)``, values 0-1; ``downsample`` is level-0 px per
    overview px along x and y; ``glass`` is the luminance of the slide's clear glass, 0-1.
    """

    downsample: PerAxis
    at_least: NDArray[np.float32]
    at_most: NDArray[np.float32]
    estimate: NDArray[np.float32]
    empty: NDArray[np.float32]
    glass: float


@dataclass(frozen=True, slots=True)
class TileTissue:
    """Tissue of each tile as the overview tells it, shape ``(rows, columns)``, values 0-1.

    ``empty`` is the share of the cell's part inside the slide that was not scanned or is black;
    ``whole`` says of which patches no px is, and none beside them, nor lies over the slide's edge.
    """

    at_least: NDArray[np.float64]
    at_most: NDArray[np.float64]
    estimate: NDArray[np.float64]
    empty: NDArray[np.float64]
    whole: NDArray[np.bool_]


def overview_level(reader: SlideReader, grid: Grid) -> int | None:
    """The level to decide tissue from; None where none is coarse enough to save anything."""
    px, patch = grid.px_0, grid.patch_0
    finest = max(px.x, px.y) * _MIN_RATIO
    coarsest = max(finest, min(patch.x, patch.y) / _PX_PER_PATCH)
    fitting = [
        index
        for index, level in enumerate(reader.info.levels)
        if finest <= level.downsample <= coarsest * 1.05
    ]
    return fitting[-1] if fitting else None


def read_overview(reader: SlideReader, level: int, patch_0: PerAxis) -> Overview:
    """Read a coarse level strip by strip and bound the tissue share of each of its px.

    Memory: about 20 bytes per overview px, of which there are at most some hundred per tile.

    Args:
        reader: The slide.
        level: The level to read; px are averaged in blocks where it is finer than needed.
        patch_0: Width and height of a patch in level-0 px.

    Raises:
        DamagedSlideError: the level cannot be read.
    """
    info = reader.info
    size, downsample = info.levels[level].size, info.levels[level].downsample
    across, down = (
        max(1, int(length / (_PX_PER_PATCH * downsample))) for length in (patch_0.x, patch_0.y)
    )
    thumbnail = _thumbnail(reader)
    glass = _glass_luminance(*thumbnail)
    # Where the level is the coarsest one it has just been read.
    is_read = level == len(info.levels) - 1 and thumbnail[0].shape[:2] == (size.height, size.width)
    strips: list[NDArray[np.float32]] = []
    rows = max(down, _STRIP_ROWS // down * down)
    for top in range(0, size.height, rows):
        height = min(rows, size.height - top)
        rgb, scanned = (
            (thumbnail[0][top : top + height], thumbnail[1][top : top + height])
            if is_read
            else reader.read_scanned(Region(level, 0, top, size.width, height))
        )
        strips.append(_block_means(_bounds(rgb, scanned, glass), across, down))
    at_least, at_most, estimate, empty = np.concatenate(strips, axis=1)
    # A px that is part padding, part slide has a mean of neither: leave its tiles to their own px.
    border = _near(empty) & (empty < 1)
    at_least[border] = 0
    at_most[border] = 1
    px_0 = PerAxis(downsample * across, downsample * down)
    bounds = info.bounds
    if bounds is not None:
        outside = np.ones(empty.shape, bool)
        outside[
            int(bounds.y / px_0.y) : int(np.ceil(bounds.bottom / px_0.y)),
            int(bounds.x / px_0.x) : int(np.ceil(bounds.right / px_0.x)),
        ] = False
        empty[outside] = 1
        at_least[outside] = at_most[outside] = estimate[outside] = 0
    return Overview(px_0, at_least, at_most, estimate, empty, glass)


def tile_tissue(overview: Overview, grid: Grid) -> TileTissue:
    """Area-weighted means of an overview over every patch (and cell, for emptiness) of a grid."""
    px = overview.downsample / grid.downsample  # level px per overview px
    step, side = grid.step / px, grid.patch_side / px
    left = np.arange(grid.size.width, dtype=np.float64) * step.x
    top = np.arange(grid.size.height, dtype=np.float64) * step.y
    width, height = grid.level_size.width / px.x, grid.level_size.height / px.y
    # What lies over the slide's edge is white, hence counts as not tissue.
    right, bottom = np.minimum(left + side.x, width), np.minimum(top + side.y, height)
    cell_right, cell_bottom = np.minimum(left + step.x, width), np.minimum(top + step.y, height)
    # An overview px that a patch cuts may have all its tissue inside the patch, or none of it.
    outer = (np.floor(left), np.ceil(right), np.floor(top), np.ceil(bottom))
    inner = (np.ceil(left), np.floor(right), np.ceil(top), np.floor(bottom))
    area = side.x * side.y
    cell_area = (cell_bottom - top)[:, None] * (cell_right - left)
    estimate = _fitted(overview.estimate, height, width, 0)
    inside = (bottom >= top + side.y)[:, None] & (right >= left + side.x)
    near = _fitted(_near(overview.empty).astype(np.float32), height, width, 1)
    empty = _fitted(overview.empty, height, width, 0)
    return TileTissue(
        at_least=_box_sums(_fitted(overview.at_least, height, width, 0), *inner) / area,
        at_most=_box_sums(_fitted(overview.at_most, height, width, 1), *outer) / area,
        estimate=_box_sums(estimate, left, right, top, bottom) / area,
        empty=_box_sums(empty, left, cell_right, top, cell_bottom) / np.maximum(cell_area, 1e-9),
        whole=inside & (_box_sums(near, *outer) == 0),
    )


def check_brightfield(reader: SlideReader) -> tuple[str, ...]:
    """Check on the coarsest level that light went through the slide; returns warnings.

    Raises:
        SlideContentError: the scanned px are mostly dark, as in fluorescence.
        DamagedSlideError: the coarsest level cannot be read.
    """
    rgb, scanned = _thumbnail(reader)
    seen = scanned & ~is_black(rgb)
    if not seen.any():
        return ("the whole slide is black or transparent: there is nothing to analyse",)
    # Black px belong to a dark field as well, but scanner padding must not make one.
    typical = float(np.median(luminance(rgb)[seen])) / WHITE_LUMINANCE
    if typical < _DARK_FIELD:
        raise SlideContentError(
            reader.info.path,
            f"looks like fluorescence or dark field (median luminance {typical:.2f} of 1); "
            "the model judges stained tissue on a bright background",
        )
    return ()


def _thumbnail(reader: SlideReader) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """At most about 4 million px that stand for the whole slide."""
    level = len(reader.info.levels) - 1
    size = reader.info.levels[level].size
    side = 2048
    if size.area <= side * side:
        return reader.read_scanned(Region(level, 0, 0, size.width, size.height))
    # No coarse level: 64 samples spread over the slide.
    spots, px = 8, 128
    places = [(i + 0.5) / spots for i in range(spots)]
    parts = [
        reader.read_scanned(Region(level, int(x * size.width), int(y * size.height), px, px))
        for y in places
        for x in places
    ]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _glass_luminance(rgb: NDArray[np.uint8], scanned: NDArray[np.bool_]) -> float:
    """Luminance (0-1) of the slide's clear glass: the median of what is clearly not tissue."""
    values = luminance(rgb)[scanned]
    bright = values[values > (TISSUE_LUMINANCE + 0.05) * WHITE_LUMINANCE]
    return float(np.median(bright)) / WHITE_LUMINANCE if bright.size else 0.95


def bounds_of(
    grey: NDArray[np.float32], glass: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bounds on the share of tissue in coarse px: at least, at most.

    Args:
        grey: Their mean luminance, 0-1.
        glass: That of the slide's clear glass.
    """
    at_least = np.clip((TISSUE_LUMINANCE - grey) / (TISSUE_LUMINANCE - _DARKEST), 0, 1)
    return at_least, np.clip((glass - grey) / (glass - TISSUE_LUMINANCE), 0, 1)


def _near(empty: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Overview px that are empty in part, and those beside them."""
    if not empty.any():  # of most slides
        return np.zeros(empty.shape, np.bool_)
    near: NDArray[np.bool_] = ndimage.binary_dilation(empty > 0, np.ones((3, 3)))
    return near


def _bounds(
    rgb: NDArray[np.uint8], scanned: NDArray[np.bool_], glass: float
) -> NDArray[np.float32]:
    """Stack of at_least, at_most, estimate and empty, shape ``(4, height, width)``."""
    grey = luminance(rgb)
    grey /= WHITE_LUMINANCE
    empty = ~scanned | is_black(rgb)
    out = np.empty((4, *grey.shape), np.float32)
    out[0], out[1] = bounds_of(grey, glass)
    out[2] = grey <= TISSUE_LUMINANCE
    out[:3, empty] = 0
    out[3] = empty
    return out


def _block_means(stack: NDArray[np.float32], across: int, down: int) -> NDArray[np.float32]:
    """Means of blocks of px, ``across`` wide and ``down`` high."""
    if across == down == 1:
        return stack
    _, height, width = stack.shape
    pad = ((0, 0), (0, -height % down), (0, -width % across))
    padded = np.pad(stack, pad, mode="edge")
    # Row by row and column by column: NumPy's reductions over short axes take ten times as long.
    lines = functools.reduce(np.add, (padded[:, row::down] for row in range(down)))
    sums = functools.reduce(np.add, (lines[:, :, column::across] for column in range(across)))
    return sums / np.float32(across * down)


def _fitted(
    values: NDArray[np.float32], height: float, width: float, rim: float
) -> NDArray[np.float32]:
    """Cut or extended to the whole px that just cover the slide; a level may lack the last one."""
    rows, columns = math.ceil(height - 1e-9), math.ceil(width - 1e-9)
    cut = values[:rows, :columns]
    missing = ((0, rows - cut.shape[0]), (0, columns - cut.shape[1]))
    return np.pad(cut, missing, constant_values=rim)


def _box_sums(
    values: NDArray[np.float32],
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    top: NDArray[np.float64],
    bottom: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Integrals of ``values`` over boxes with these edges, ``(len(top), len(left))``."""
    integral = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    np.cumsum(np.cumsum(values, axis=0, dtype=np.float64), axis=1, out=integral[1:, 1:])
    rows = (_interpolated(integral, np.maximum(bottom, top)) - _interpolated(integral, top)).T
    boxes: NDArray[np.float64] = (
        _interpolated(rows, np.maximum(right, left)) - _interpolated(rows, left)
    ).T
    return boxes


def _interpolated(rows: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of a table at fractional positions, clamped to its ends."""
    clamped = np.clip(at, 0, rows.shape[0] - 1)
    low = np.minimum(clamped.astype(np.int64), rows.shape[0] - 2)
    part = (clamped - low)[:, None]
    out: NDArray[np.float64] = rows[low] * (1 - part) + rows[low + 1] * part
    return out
