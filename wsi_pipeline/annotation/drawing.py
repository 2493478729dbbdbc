"""Outlines drawn as a mask TIFF, a pyramid that OpenSlide, ASAP and QuPath open over the slide."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from wsi_pipeline import durable
from wsi_pipeline.annotation.mask_file import STATEMENT
from wsi_pipeline.annotation.outline import OutlineTruth
from wsi_pipeline.annotation.scanline import Edges, accumulated, columns
from wsi_pipeline.annotation.truth import Truth
from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.slide.info import Level

TILE = 512
#: Levels are added until none is longer: a viewer shows the whole slide at once.
_COARSEST_SIDE = 2048
#: Above this many px a file may outgrow classic TIFF's 4 GiB.
_BIG_PX = 2_000_000_000
_UM_PER_CM = 10_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Canvas:
    """What is drawn on.

    Attributes:
        size: The slide's level 0, px.
        levels: Levels of the mask, the finest first, with level-0 px per px.
        mpp: µm per level-0 px; None: not known.
    """

    size: Size
    levels: tuple[Level, ...]
    mpp: Mpp | None = None


def canvas(size: Size, level: int, levels: Sequence[Level] = (), mpp: Mpp | None = None) -> Canvas:
    """The levels of a mask that begins at a level of a slide.

    Args:
        size: The slide's level 0, px.
        level: Level to begin with.
        levels: The slide's own; empty: level n is 2ⁿ times smaller, rounded down.
        mpp: µm per level-0 px.

    Raises:
        UsageError: there is no such level.
    """
    if levels:
        if not 0 <= level < len(levels):
            raise UsageError(f"the slide has levels 0 to {len(levels) - 1}, not {level}")
        drawn = list(levels[level:])
    else:
        if not 0 <= level < max(size.width, size.height).bit_length():
            raise UsageError(f"a slide of {size} px has no level {level}")
        drawn = [Level(_reduced(size, 2**level), float(2**level))]
    while max(drawn[-1].size.width, drawn[-1].size.height) > _COARSEST_SIDE:
        last = drawn[-1]
        drawn.append(Level(_reduced(last.size, 2), last.downsample * 2))
    return Canvas(size, tuple(drawn), mpp)


def write_mask(
    truth: Truth,
    path: Path,
    on: Canvas,
    *,
    value: int = 255,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write a mask: 8-bit grey, tiled, deflate, whole or not at all.

    Every level is drawn from the truth itself: a px is tumour if its centre is. The image
    description says what level 0 is, so that :func:`~wsi_pipeline.annotation.open_truth` lays the
    mask on the slide whichever level it begins at.

    Memory bound: one row of tiles, whatever the size.

    Args:
        truth: Where the tumour is.
        path: The file.
        on: Size and levels.
        value: Of tumour, 1–255; everything else is 0.
        overwrite: Whether a file there may be replaced.
        progress: Called as ``progress(done, total)`` in tiles.

    Returns:
        Tumour px of the finest level.

    Raises:
        UsageError: a file is in the way, or the value is none.
        AnnotationError: the truth is a mask that cannot be decoded.
    """
    if not 1 <= value <= 255:
        raise UsageError(f"--value must be 1-255, not {value}")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} already exists; pass --overwrite to replace it")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} to write {path.name} to")
    tally = _Tally(sum(_tiles(level.size) for level in on.levels), progress)
    with (
        durable.replacing(path, replace=overwrite) as new,
        tifffile.TiffWriter(new, bigtiff=on.levels[0].size.area > _BIG_PX) as tiff,
    ):
        for index, level in enumerate(on.levels):
            tiff.write(
                _encoded(truth, level, value, tally, count=index == 0),
                shape=(level.size.height, level.size.width),
                dtype=np.uint8,
                tile=(TILE, TILE),
                photometric="minisblack",
                compression="deflate",
                subfiletype=1 if index else 0,
                description=None if index else _description(on, value),
                software="wsi-pipeline",
                metadata=None,
                **_resolution(on.mpp, level.downsample),
            )
    return tally.tumour


class _Tally:
    """What has been drawn so far."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.tumour = 0
        self._done, self._total, self._progress = 0, total, progress

    def tile(self) -> None:
        self._done += 1
        if self._progress and (self._done % 256 == 0 or self._done == self._total):
            self._progress(self._done, self._total)


def _encoded(
    truth: Truth, level: Level, value: int, tally: _Tally, *, count: bool
) -> Iterator[bytes]:
    """Compressed tiles in row order."""
    constant = {
        inside: _deflate(np.full((TILE, TILE), value * inside, np.uint8))
        for inside in (False, True)
    }
    for top in range(0, level.size.height, TILE):
        for tile in _band(truth, level, top):
            # Before the tile is given away: nobody comes back after the last one.
            tally.tile()
            if count:
                tally.tumour += TILE * TILE * tile if isinstance(tile, bool) else int(tile.sum())
            yield constant[tile] if isinstance(tile, bool) else _deflate(tile * np.uint8(value))


def _band(truth: Truth, level: Level, top: int) -> Iterator[NDArray[np.uint8] | bool]:
    """Tiles of one row, left to right: 0 and 1, or one of them for a whole tile."""
    if isinstance(truth, OutlineTruth):
        yield from _band_of_outlines(truth.edges, level, top)
        return
    down = level.downsample
    for left in range(0, level.size.width, TILE):
        tile = np.zeros((TILE, TILE), np.uint8)
        width, height = min(TILE, level.size.width - left), min(TILE, level.size.height - top)
        tile[:height, :width] = truth.window(left * down, top * down, width, height, down)
        yield tile if tile.any() else False


def _band_of_outlines(edges: Edges, level: Level, top: int) -> Iterator[NDArray[np.uint8] | bool]:
    """As :func:`_band`; each crossing of the row is looked at once, empty tiles not at all."""
    down = level.downsample
    rows = min(TILE, level.size.height - top)
    row, crossing = edges.crossings(top * down, rows, down)
    column = columns(crossing, 0.0, level.size.width, down)
    order = np.argsort(column, kind="stable")
    row, column = row[order], column[order]
    inside = np.zeros(TILE, np.uint8)  # whether each row enters the tile inside
    for left in range(0, level.size.width, TILE):
        here = slice(*np.searchsorted(column, [left, left + TILE]))
        if here.start == here.stop:
            first = bool(inside[0])
            whole = rows == TILE and left + TILE <= level.size.width
            if (inside[:rows] == first).all() and (whole or not first):
                yield first
                continue
        place = row[here] * TILE + column[here] - left
        turns = np.zeros((TILE, TILE), np.uint8)
        cells, times = np.unique(place, return_counts=True)
        turns.reshape(-1)[cells] = times % 2
        turns[:, 0] ^= inside
        filled = accumulated(turns).view(np.uint8)
        inside = filled[:, -1].copy()
        # Beyond the image: nothing, not a repetition.
        filled[rows:] = 0
        filled[:, level.size.width - left :] = 0
        yield filled


def _tiles(size: Size) -> int:
    return -(-size.width // TILE) * -(-size.height // TILE)


def _reduced(size: Size, factor: int) -> Size:
    return Size(max(1, size.width // factor), max(1, size.height // factor))


def _description(on: Canvas, value: int) -> str:
    facts = {
        "downsample": on.levels[0].downsample,
        "level_0": [on.size.width, on.size.height],
        "value": value,
    }
    return json.dumps({STATEMENT: facts})


def _resolution(mpp: Mpp | None, downsample: float) -> dict[str, Any]:
    if mpp is None:
        return {}
    across = (_UM_PER_CM / (mpp.x * downsample), _UM_PER_CM / (mpp.y * downsample))
    return {"resolution": across, "resolutionunit": "CENTIMETER"}


def _deflate(tile: NDArray[np.uint8]) -> bytes:
    return bytes(imagecodecs.deflate_encode(tile.tobytes(), level=6))
