"""The mask as a pyramidal TIFF that OpenSlide, QuPath and ASAP open over the slide."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from wsi_pipeline.errors import ResultError
from wsi_pipeline.export.decision import Decision, decide
from wsi_pipeline.export.destination import draft
from wsi_pipeline.export.options import MaskValues
from wsi_pipeline.geometry import Size
from wsi_pipeline.stitch.cells import TUMOUR
from wsi_pipeline.stitch.layout import MASK_CHUNK, MASK_FILL, MASK_SHARD
from wsi_pipeline.stitch.mask import DrawnLevel
from wsi_pipeline.stitch.result import Result

Block = NDArray[np.uint8]

TILE = 512
#: Levels are added until none is longer: a viewer shows the whole slide at once.
_COARSEST_SIDE = 2048
#: Above this many px a file may outgrow classic TIFF's 4 GiB.
_BIG_PX = 2_000_000_000
_UM_PER_CM = 10_000


@dataclass(frozen=True, slots=True)
class _MaskLevel:
    """One level: its size in its px, level-0 px per px, and how to get rows of its mask."""

    size: Size
    downsample: float
    rows: Callable[[int, int], Block]


def write_tiff(
    result: Result,
    path: Path,
    *,
    threshold: float | None = None,
    values: MaskValues = "255",
    of: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write the mask of a class: 8-bit grey, tiled, deflate, the levels of the stored mask.

    Level 0 is the slide's analysis level, with its resolution; coarser levels are added where the
    slide's own end before an overview. The stored mask is copied; for another threshold it is
    or of one class of several it is drawn from the cells.

    Memory bound: :data:`MASK_CHUNK` rows of the finest level, whatever its height.

    Args:
        result: The result.
        path: The file.
        threshold: Probability (0-1) at and above which a cell is tumour; None takes the result's.
        values: ``"255"``: 255 = the class, 0 = anything else, which any viewer shows. ``"class"``:
            0 = not of the class, 1 = of it, 255 = not analysed.
        of: The class; None takes the positive one.
        overwrite: Whether a file there may be replaced.

    Raises:
        UsageError: the threshold is no probability, or a file is in the way.
        ResultError: the result is damaged.
    """
    decision = decide(result, threshold, of)
    levels = _levels(result, decision)
    mpp = decision.mpp_0
    with (
        draft(path, overwrite=overwrite) as new,
        tifffile.TiffWriter(new, bigtiff=levels[0].size.area > _BIG_PX) as tiff,
    ):
        for index, level in enumerate(levels):
            tiff.write(
                _encoded(level, values),
                shape=(level.size.height, level.size.width),
                dtype=np.uint8,
                tile=(TILE, TILE),
                photometric="minisblack",
                compression="deflate",
                subfiletype=1 if index else 0,
                resolution=(
                    _UM_PER_CM / (mpp.x * level.downsample),
                    _UM_PER_CM / (mpp.y * level.downsample),
                ),
                resolutionunit="CENTIMETER",
                software="wsi-pipeline",
                metadata=None,
            )


def _levels(result: Result, decision: Decision) -> list[_MaskLevel]:
    """The stored levels, from the analysis level on, and drawn ones down to an overview."""
    slide = result.slide
    # The stored mask of several classes has other numbers, and another decision if one is asked.
    redraw = decision.threshold != result.threshold or result.classes.task != "binary"
    levels: list[_MaskLevel] = []
    for index, stated in enumerate(slide.levels[slide.level :]):
        size, downsample = stated.size, stated.downsample
        rows = _drawn(decision, size, downsample) if redraw else _stored(result, index, size)
        levels.append(_MaskLevel(size, downsample, rows))
    size, downsample = levels[-1].size, levels[-1].downsample
    while max(size.width, size.height) > _COARSEST_SIDE:
        size, downsample = Size(max(1, size.width // 2), max(1, size.height // 2)), downsample * 2
        levels.append(_MaskLevel(size, downsample, _drawn(decision, size, downsample)))
    return levels


def _stored(result: Result, index: int, size: Size) -> Callable[[int, int], Block]:
    array = result.mask(index)
    if array.shape != (size.height, size.width):
        raise ResultError(result.path, f"mask level {index} does not have the slide's {size} px")

    def rows(top: int, bottom: int) -> Block:
        band = np.empty((bottom - top, size.width), np.uint8)
        try:
            # A shard's width at a time: reading a whole band takes several times its memory.
            for left in range(0, size.width, MASK_SHARD):
                right = min(left + MASK_SHARD, size.width)
                band[:, left:right] = array[top:bottom, left:right]
        except Exception as error:  # codecs meet damage with many kinds of error
            cause = f"mask level {index} is damaged: {error}; see `wsi verify`"
            raise ResultError(result.path, cause) from error
        if any((part == MASK_FILL).any() for part in np.array_split(band, 8)):
            cause = f"mask level {index} is incomplete; see `wsi verify`"
            raise ResultError(result.path, cause)
        return band

    return rows


def _drawn(decision: Decision, size: Size, downsample: float) -> Callable[[int, int], Block]:
    grid = decision.grid
    drawn = DrawnLevel(
        decision.mask,
        grid.column_edges(downsample, size.width),
        grid.row_edges(downsample, size.height),
    )
    return lambda top, bottom: drawn.block(0, top, size.width, bottom - top)


def _encoded(level: _MaskLevel, values: MaskValues) -> Iterator[bytes]:
    """Compressed tiles in row order, from one band of rows in memory at a time."""
    constant: dict[int, bytes] = {}
    for top in range(0, level.size.height, MASK_CHUNK):
        bottom = min(top + MASK_CHUNK, level.size.height)
        yield from _encoded_band(level.rows(top, bottom), values, constant)


def _encoded_band(band: Block, values: MaskValues, constant: dict[int, bytes]) -> Iterator[bytes]:
    """A tile of one value is compressed once for all."""
    for y in range(0, band.shape[0], TILE):
        for x in range(0, band.shape[1], TILE):
            tile = band[y : y + TILE, x : x + TILE]
            value = int(tile[0, 0])
            if (tile != value).any():
                yield _deflate(_shown(tile, values))
                continue
            if value not in constant:
                constant[value] = _deflate(_shown(np.full_like(tile, value), values))
            yield constant[value]


def _shown(tile: Block, values: MaskValues) -> Block:
    if values == "class":
        return tile
    return np.where(tile == TUMOUR, np.uint8(255), np.uint8(0))


def _deflate(tile: Block) -> bytes:
    below, right = TILE - tile.shape[0], TILE - tile.shape[1]
    whole = np.pad(tile, ((0, below), (0, right)), mode="edge")
    return bytes(imagecodecs.deflate_encode(whole.tobytes(), level=6))
