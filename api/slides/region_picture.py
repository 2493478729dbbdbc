"""Any part of a slide as a picture of any size, in place to a fraction of a px."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.slide import SlideReader

#: Side of the blocks a raster is read in where much is reduced to little, in its px.
BLOCK_PX = 2048
#: A level this much too coarse is enlarged rather than passed over for one four times as large.
_ENLARGEMENT = 1.02
#: Where more level px than this, along a side, would become one px, an overview is worth making.
_OVERVIEW_RATIO = 8
#: Longest side of an overview, in its px: at most 12 MB.
_OVERVIEW_PX = 2048
#: What is shown of a place that cannot be read, where a picture shows much besides.
HOLE_GREY = 128
_HOLE_PX = 256
#: A slide with more holes is no slide to be looked at; each costs opening it again.
_MOST_HOLES = 64


@dataclass(frozen=True, slots=True)
class Area:
    """Part of a slide, and the px it is shown in.

    Px (i, j) of the picture shows the box of level-0 px whose corner is
    (x + i·scale_x, y + j·scale_y) and whose sides are scale_x and scale_y.

    Attributes:
        x: Left edge in level-0 px.
        y: Top edge in level-0 px.
        scale_x: Level-0 px per picture px along x.
        scale_y: Level-0 px per picture px along y.
        size: Of the picture.
    """

    x: float
    y: float
    scale_x: float
    scale_y: float
    size: Size

    @classmethod
    def whole(cls, slide: Size, longest: int) -> "Area":
        """A whole slide, never enlarged.

        Args:
            slide: Its size in level-0 px.
            longest: Longest side of the picture in its px.
        """
        scale = max(1.0, max(slide.width, slide.height) / longest)
        size = Size(max(1, round(slide.width / scale)), max(1, round(slide.height / scale)))
        return cls(0, 0, slide.width / size.width, slide.height / size.height, size)

    @property
    def scale(self) -> float:
        """The smaller of both scales: what a raster must resolve."""
        return min(self.scale_x, self.scale_y)


@dataclass(frozen=True, slots=True)
class Raster:
    """The slide at one downsample.

    Attributes:
        size: In its own px.
        downsample: Level-0 px per px.
        read: Px of a box inside it: left, top, width, height in its px to ``(height, width, 3)``.
    """

    size: Size
    downsample: float
    read: Callable[[int, int, int, int], NDArray[np.uint8]]


def rasters_of(reader: SlideReader) -> tuple[Raster, ...]:
    """The levels of a slide, finest first."""

    def raster(index: int) -> Raster:
        level = reader.info.levels[index]
        return Raster(
            level.size,
            level.downsample,
            lambda x, y, width, height: reader.read(Region(index, x, y, width, height)),
        )

    return tuple(raster(index) for index in range(len(reader.info.levels)))


def wants_overview(rasters: Sequence[Raster], area: Area) -> bool:
    """Whether an overview would spare a picture reading much more than it shows."""
    return area.scale / rasters[-1].downsample >= _OVERVIEW_RATIO


def with_holes(raster: Raster) -> Raster:
    """The raster with cells of 256 px that cannot be decoded painted grey: no tissue, no glass.

    Raises:
        DamagedSlideError: on reading, where too many cells cannot be decoded to go on trying.
    """
    left = _MOST_HOLES

    def read(x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        nonlocal left
        try:
            return raster.read(x, y, width, height)
        except DamagedSlideError:
            if width <= _HOLE_PX and height <= _HOLE_PX:
                left -= 1
                if left < 0:
                    raise
                return np.full((height, width, 3), HOLE_GREY, np.uint8)
        pixels = np.empty((height, width, 3), np.uint8)
        for top in range(y, y + height, _HOLE_PX):
            rows = min(_HOLE_PX, y + height - top)
            for start in range(x, x + width, _HOLE_PX):
                columns = min(_HOLE_PX, x + width - start)
                inside = np.s_[top - y : top - y + rows, start - x : start - x + columns]
                pixels[inside] = read(start, top, columns, rows)
        return pixels

    return Raster(raster.size, raster.downsample, read)


def overview_of(coarsest: Raster) -> Raster:
    """A level the file lacks, in memory: the coarsest one reduced by a power of two.

    Reads all of the level once, in blocks. Memory bound: 12 MB, and a block while it is made.

    Raises:
        DamagedSlideError: too much of the level cannot be decoded.
    """
    longest = max(coarsest.size.width, coarsest.size.height)
    factor = _OVERVIEW_RATIO
    while longest / factor > _OVERVIEW_PX:
        factor *= 2
    size = Size(-(-coarsest.size.width // factor), -(-coarsest.size.height // factor))
    pixels = _reduced(with_holes(coarsest), 0, 0, size, factor)
    return Raster(
        size,
        coarsest.downsample * factor,
        lambda x, y, width, height: pixels[y : y + height, x : x + width],
    )


def read_area(rasters: Sequence[Raster], area: Area) -> NDArray[np.uint8]:
    """A picture of part of a slide, ``(height, width, 3)`` RGB.

    It comes from the coarsest raster that is fine enough. Where px of that raster, or whole blocks
    of them, are px of the picture they are taken as they are, or their mean. Elsewhere an
    antialiased triangle filter maps the exact, fractional box onto the picture. Beyond the
    slide's edge its last px are repeated.

    Memory bound: the picture a few times, and a block.

    Args:
        rasters: Of the slide, finest first.
        area: What to show.

    Raises:
        DamagedSlideError: a needed part of the file cannot be decoded.
    """
    fine = [raster for raster in rasters if raster.downsample <= area.scale * _ENLARGEMENT]
    raster = fine[-1] if fine else rasters[0]
    x, y = area.x / raster.downsample, area.y / raster.downsample
    ratio_x, ratio_y = area.scale_x / raster.downsample, area.scale_y / raster.downsample
    factor = max(1, math.floor(min(ratio_x, ratio_y) + 1e-9))
    if ratio_x == ratio_y == factor and x == int(x) and y == int(y):
        return _reduced(raster, int(x), int(y), area.size, factor)
    # Reduced by a whole factor while it is read, by what remains, less than two, afterwards.
    rest_x, rest_y = ratio_x / factor, ratio_y / factor
    width, height = area.size.width * rest_x, area.size.height * rest_y
    # The filter looks one picture px, or one reduced px, beyond the box on each side.
    margin = math.ceil(max(1.0, rest_x, rest_y))
    left, top = math.floor(x) - margin * factor, math.floor(y) - margin * factor
    inside_x, inside_y = (x - left) / factor, (y - top) / factor
    needed = Size(math.ceil(inside_x + width) + margin, math.ceil(inside_y + height) + margin)
    image = Image.fromarray(_reduced(raster, left, top, needed, factor))
    box = (inside_x, inside_y, inside_x + width, inside_y + height)
    shape = (area.size.width, area.size.height)
    return np.asarray(image.resize(shape, Image.Resampling.BILINEAR, box=box))


def _reduced(raster: Raster, left: int, top: int, size: Size, factor: int) -> NDArray[np.uint8]:
    """Means of blocks of ``factor`` × ``factor`` px, from a corner in raster px on.

    A block that reaches over the raster's edge is the mean of its px inside.
    """
    step = max(1, BLOCK_PX // factor)
    reduced = np.empty((size.height, size.width, 3), np.uint8)
    for y in range(0, size.height, step):
        height = min(step, size.height - y)
        for x in range(0, size.width, step):
            width = min(step, size.width - x)
            corner = (left + x * factor, top + y * factor)
            block = _read(raster, *corner, Size(width, height), factor)
            reduced[y : y + height, x : x + width] = block
    return reduced


def _read(raster: Raster, x: int, y: int, size: Size, factor: int) -> NDArray[np.uint8]:
    """One block of :func:`_reduced`; beyond the edges the last px again: white would be a frame."""
    whole = raster.size
    # Cut off at the edges, by whole blocks of px at the near ones so that the rest stays in place.
    skipped_x, skipped_y = max(0, -(x // factor)) * factor, max(0, -(y // factor)) * factor
    left, top = min(x + skipped_x, whole.width - 1), min(y + skipped_y, whole.height - 1)
    right = min(x + size.width * factor, whole.width)
    bottom = min(y + size.height * factor, whole.height)
    pixels = raster.read(left, top, max(1, right - left), max(1, bottom - top))
    if factor > 1:
        # Its last row and column are means of what there is.
        pixels = np.asarray(Image.fromarray(pixels).reduce(factor))
    if pixels.shape[:2] == (size.height, size.width):
        return pixels
    rows = np.arange(size.height) - skipped_y // factor
    columns = np.arange(size.width) - skipped_x // factor
    repeated = pixels[rows.clip(0, len(pixels) - 1)]
    return np.take(repeated, columns.clip(0, pixels.shape[1] - 1), axis=1)
