"""Mask TIFFs as random-access blocks: levels by downsample, sparse and padded ones included."""

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from wsi_pipeline.errors import AnnotationError
from wsi_pipeline.geometry import Size
from wsi_pipeline.slide.info import nominal_downsample
from wsi_pipeline.slide.tiff.file import open_tiff

#: Key of the JSON in the image description of masks that this program draws.
STATEMENT = "wsi_pipeline_mask"
#: Key of the names of the classes that a mask's values number, from 0 on.
CLASS_NAMES = "wsi_pipeline_classes"
#: Larger blocks are damage, or a mask in one piece that has no random access.
_MAX_BLOCK_PX = 2**26
#: Tile sides that writers pad levels to.
_PADDED_TO = (256, 512, 1024)
#: Compressed blocks up to this long are remembered with their one value.
_CONSTANT_BYTES = 4096


@dataclass
class MaskLevel:
    """One level; its blocks are tiles or strips.

    Attributes:
        size: In px of the level.
        downsample: Px of the mask's finest level per px.
        block: Size of a block in px of the level.
    """

    size: Size
    downsample: float
    block: Size
    _path: Path
    _page: tifffile.TiffPage
    # Most of a mask is empty: blocks of one value are decoded once, however often they are there.
    _constant: dict[bytes, int] = field(default_factory=dict)

    @property
    def columns(self) -> int:
        """Blocks side by side."""
        return -(-self.size.width // self.block.width)

    @property
    def rows(self) -> int:
        """Blocks on top of one another."""
        return -(-self.size.height // self.block.height)

    def read(self, descriptor: int, column: int, row: int) -> NDArray[np.integer[Any]] | int:
        """A block's px inside the level, ``(height, width)``, or the one value of all of them.

        Raises:
            AnnotationError: it cannot be decoded.
        """
        index = row * self.columns + column
        count = self._page.databytecounts[index]
        if count == 0:
            return 0  # a sparse file leaves out what is empty
        data = os.pread(descriptor, count, self._page.dataoffsets[index])
        if len(data) != count:
            raise AnnotationError(self._path, f"is truncated: block {index} is incomplete")
        known = self._constant.get(data) if count <= _CONSTANT_BYTES else None
        if known is not None:
            return known
        try:
            decoded = self._page.decode(data, index, jpegtables=self._page.jpegtables)[0]
            whole = np.asarray(decoded).reshape(-1, self.block.width)
        except Exception as error:  # every codec has errors of its own
            raise AnnotationError(
                self._path, f"block {index} cannot be decoded: {error}"
            ) from error
        pixels = whole[
            : self.size.height - row * self.block.height,
            : self.size.width - column * self.block.width,
        ]
        value = int(whole.flat[0])
        if not (whole != value).any():
            if count <= _CONSTANT_BYTES:
                self._constant[data] = value
            return value
        return pixels


@dataclass(frozen=True)
class MaskFile:
    """A mask's levels, finest first, and what it says of itself.

    Attributes:
        path: The file.
        levels: Their downsamples are relative to the first.
        statement: What this program wrote into it: downsample, size of level 0, tumour value.
        classes: Names of what its values number, from 0 on; empty where it names none.
    """

    path: Path
    levels: tuple[MaskLevel, ...]
    statement: dict[str, Any] | None
    classes: tuple[str, ...] = ()


def open_mask(path: Path) -> MaskFile:
    """Read the directory of a mask.

    Raises:
        AnnotationError: it is no TIFF, or no image of one whole number per px.
    """
    try:
        with open_tiff(path) as tiff:
            pages = [page.aspage() for page in tiff.pages]
            pages += [sub.aspage() for page in pages for sub in page.pages or ()]
            said = _said(pages[0])
    except OSError as error:
        raise AnnotationError(path, f"cannot be read: {error.strerror or error}") from error
    except Exception as error:  # tifffile meets damage with many kinds of error
        raise AnnotationError(path, f"is no TIFF, or a damaged one: {error}") from error
    first = max(pages, key=lambda page: int(page.imagewidth) * int(page.imagelength))
    reason = _unusable(first)
    if reason:
        raise AnnotationError(path, f"is no mask: {reason}")
    full = Size(first.imagewidth, first.imagelength)
    levels = {1.0: _level(path, first, 1.0)}
    for page in pages:
        size = Size(page.imagewidth, page.imagelength)
        factor = None if size == full or _unusable(page) else level_factor(full, size)
        if factor is not None:
            levels.setdefault(factor, _level(path, page, factor))
    statement, names = said.get(STATEMENT), said.get(CLASS_NAMES)
    return MaskFile(
        path,
        tuple(levels[factor] for factor in sorted(levels)),
        statement if isinstance(statement, dict) else None,
        tuple(map(str, names)) if isinstance(names, list) else (),
    )


def level_factor(full: Size, part: Size) -> float | None:
    """How many px of ``full`` make one of ``part``; None if it is no smaller image of the same.

    Sizes of levels are rounded, or padded to whole tiles; the factor that was meant is whole, and
    where a level is padded, a power of two.
    """
    across, down = full.width / part.width, full.height / part.height
    stated = (across + down) / 2
    nominal = nominal_downsample(stated, part, full) if stated >= 1 else 0.0
    if nominal >= 1 and abs(across / nominal - 1) * part.width <= 1.5 >= (
        abs(down / nominal - 1) * part.height
    ):
        return nominal
    power = 2.0 ** round(math.log2(max(stated, 1)))
    for factor in (power, 2 * power):
        wanted = [(full.width / factor, part.width), (full.height / factor, part.height)]
        if all(is_padded(length, stored) for length, stored in wanted):
            return factor
    return None


def is_padded(length: float, stored: int) -> bool:
    """Whether ``stored`` px are ``length`` px rounded, or filled up to a whole tile."""
    if abs(stored - length) <= 1:
        return True
    return any(stored == math.ceil(length / tile) * tile for tile in _PADDED_TO)


def _level(path: Path, page: tifffile.TiffPage, factor: float) -> MaskLevel:
    size = Size(page.imagewidth, page.imagelength)
    if page.is_tiled:
        block = Size(page.tilewidth, page.tilelength)
    else:
        block = Size(size.width, min(page.rowsperstrip, size.height))
    if block.area > _MAX_BLOCK_PX:
        raise AnnotationError(
            path, f"is stored in blocks of {block} px; write it in tiles (`wsi dataset rasterize`)"
        )
    return MaskLevel(size, factor, block, path, page)


def _unusable(page: tifffile.TiffPage) -> str:
    if page.samplesperpixel != 1:
        return f"its px have {page.samplesperpixel} samples, not one"
    if page.dtype is None or page.dtype.kind not in "bui":
        return f"its px are {page.dtype}, not whole numbers"
    return ""


def _said(page: tifffile.TiffPage) -> dict[str, Any]:
    """The JSON of the image description; nothing where it is none."""
    try:
        value = json.loads(page.description)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
