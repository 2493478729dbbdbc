"""Reading the px of one patch as the model sees them; the same code for training and inference."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.geometry import PerAxis, Region
from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.reader import SlideReader


def read_patch(reader: SlideReader, grid: Grid, column: int, row: int) -> NDArray[np.uint8]:
    """The patch of a cell, ``(patch, patch, 3)`` RGB at the analysis resolution.

    Where the grid resamples (to another resolution, or to square px), an antialiased triangle
    filter maps the exact, fractional box of level px onto the patch. Over the slide's edge it is
    white. A grid of WSInfer's has its own reading: bicubic, and black there.

    Raises:
        DamagedSlideError: a needed part of the file cannot be decoded.
    """
    return read_at(reader, grid, *grid.corner(column, row))


def read_input(reader: SlideReader, grid: Grid, column: int, row: int) -> NDArray[np.uint8]:
    """What the model is given for a tile: its patch and the margin around it.

    Side :attr:`~wsi_pipeline.grid.Grid.read_px`; else as :func:`read_patch`.

    Raises:
        DamagedSlideError: a needed part of the file cannot be decoded.
    """
    return _read(reader, grid, *grid.read_corner(column, row), grid.read_side, grid.read_px)


def read_at(reader: SlideReader, grid: Grid, x: float, y: float) -> NDArray[np.uint8]:
    """The patch whose top-left corner is anywhere, in level px; else as :func:`read_patch`.

    Where the grid does not resample, the corner is a whole px.
    """
    return _read(reader, grid, x, y, grid.patch_side, grid.patch)


def _read(
    reader: SlideReader, grid: Grid, x: float, y: float, side: PerAxis, px: int
) -> NDArray[np.uint8]:
    if grid.kind == "wsinfer":
        return _read_as_wsinfer(reader, grid, round(x), round(y))
    if grid.px == PerAxis(1.0, 1.0):
        return reader.read(Region(grid.level, int(x), int(y), px, px))
    return read_box(reader, grid.level, x, y, side, px)


def read_box(
    reader: SlideReader, level: int, x: float, y: float, side: PerAxis, patch: int
) -> NDArray[np.uint8]:
    """A box of level px, at any position and of any size, resampled to ``patch`` × ``patch`` px.

    Args:
        reader: The slide.
        level: Pyramid level that is read.
        x: Left edge in level px.
        y: Top edge in level px.
        side: Width and height in level px.
        patch: Side of the returned patch.
    """
    # The filter looks one output px, or one input px, beyond the box on each side.
    across, down = (math.ceil(max(1.0, length / patch)) for length in (side.x, side.y))
    left, top = math.floor(x) - across, math.floor(y) - down
    right, bottom = math.ceil(x + side.x) + across, math.ceil(y + side.y) + down
    pixels = reader.read(Region(level, left, top, right - left, bottom - top))
    box = (x - left, y - top, x - left + side.x, y - top + side.y)
    image = Image.fromarray(pixels).resize((patch, patch), Image.Resampling.BILINEAR, box=box)
    return np.asarray(image)


def _read_as_wsinfer(reader: SlideReader, grid: Grid, x: int, y: int) -> NDArray[np.uint8]:
    """As ``wsinfer.modellib.data`` 0.6.1 does with OpenSlide, whose transparent px are black."""
    width, height = round(grid.patch_side.x), round(grid.patch_side.y)
    pixels, scanned = reader.read_scanned(Region(grid.level, x, y, width, height))
    black = np.where(scanned[..., None], pixels, np.uint8(0))
    # Pillow's default filter, which that program leaves.
    resized = Image.fromarray(black).resize((grid.patch, grid.patch), Image.Resampling.BICUBIC)
    return np.asarray(resized)
