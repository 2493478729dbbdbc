"""One tiled TIFF directory as random-access tiles: each compressed tile is read by itself."""

import copy
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError, UnsupportedSlideError
from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.slide.jpeg_header import Encoding, JpegHeader, jpeg_size, read_jpeg_header
from wsi_pipeline.slide.tile_cache import TileCache
from wsi_pipeline.slide.tile_mosaic import read_mosaic

_JPEG = 7
_RGB, _YCBCR = 2, 6
#: No scanner writes larger tiles; a header that claims more is an attack or damage.
_MAX_TILE_PX = 4096 * 4096


@dataclass(frozen=True, slots=True)
class _Layout:
    size: Size
    tile: Size
    offsets: tuple[int, ...]
    counts: tuple[int, ...]


class TiffLevel:
    """Tiles of one TIFF directory, decoded at most once while they stay in ``cache``.

    Args:
        path: The file, for messages.
        page: The directory, as tifffile parsed it.
        descriptor: Open file descriptor, shared between levels; read with ``pread`` only.
        cache: Shared between the levels of a slide, or of several.

    Raises:
        UnsupportedSlideError: not tiled, not 8-bit RGB, or in a compression nobody here decodes.
    """

    def __init__(
        self, path: Path, page: tifffile.TiffPage, descriptor: int, cache: TileCache
    ) -> None:
        self._path = path
        self._page = page
        self._descriptor = descriptor
        self._cache = cache
        self._lock = threading.Lock()
        # The cache may outlive this level: an id() would be given to another one some day.
        self._identity = object()
        self._bytes_read = 0
        reason = _unreadable_reason(page)
        if reason:
            raise UnsupportedSlideError(path, reason)
        tile = Size(page.tilewidth, page.tilelength)
        size = Size(page.imagewidth, page.imagelength)
        self._layout = _Layout(size, tile, page.dataoffsets, page.databytecounts)
        self._is_jpeg = page.compression == _JPEG
        self._encoding: Encoding = "YCBCR" if page.photometric == _YCBCR else "RGB"
        self._tables = page.jpegtables

    @property
    def size(self) -> Size:
        """Size of the level in its own px."""
        return self._layout.size

    @property
    def tile(self) -> Size:
        """Size of a tile in level px."""
        return self._layout.tile

    @property
    def is_jpeg(self) -> bool:
        """Whether the tiles are baseline JPEG."""
        return self._is_jpeg

    @property
    def encoding(self) -> Encoding:
        """What the tiles' components are taken for: what the directory says, unless corrected."""
        return self._encoding

    @property
    def bytes_read(self) -> int:
        """Compressed bytes fetched so far."""
        return self._bytes_read

    def header(self) -> JpegHeader | None:
        """Header of the first tile that is there; None where it is no JPEG."""
        first = next((i for i, count in enumerate(self._layout.counts) if count), None)
        return None if first is None or not self._is_jpeg else read_jpeg_header(self._fetch(first))

    def components(self, tiles: int) -> list[NDArray[np.uint8]]:
        """Components of JPEG tiles spread over the level as they are stored, not converted.

        Args:
            tiles: At most so many.

        Returns:
            Of each ``(height, width, 3)``; damaged tiles are left out.
        """
        there = [index for index, count in enumerate(self._layout.counts) if count]
        chosen = there[:: max(1, -(-len(there) // tiles))]
        raw = self.read_as("RGB")
        out: list[NDArray[np.uint8]] = []
        for index in chosen:
            try:
                out.append(raw._decode(index))  # noqa: SLF001 - of the same class
            except DamagedSlideError:
                continue
        return out

    def read_as(self, encoding: Encoding) -> "TiffLevel":
        """The same level with its tiles' components taken for something else."""
        other = copy.copy(self)
        other._encoding = encoding  # noqa: SLF001 - of the same class
        other._identity = object()  # noqa: SLF001 - as above: decoded tiles are other ones
        return other

    def read(self, region: Region) -> NDArray[np.uint8]:
        """RGB of shape ``(height, width, 3)``; white outside the level and for absent tiles."""
        return read_mosaic(region, self._layout.size, self._layout.tile, self._tile)

    def _tile(self, index: int) -> NDArray[np.uint8] | None:
        if self._layout.counts[index] == 0:
            return None
        return self._cache.get((self._identity, index), lambda: self._decode(index))

    def _decode(self, index: int) -> NDArray[np.uint8]:
        data = self._fetch(index)
        try:
            pixels = self._jpeg(data) if self._is_jpeg else self._other(data, index)
        except Exception as error:  # every codec has errors of its own
            raise DamagedSlideError(self._path, f"cannot decode tile {index}: {error}") from error
        return pixels

    def _fetch(self, index: int) -> bytes:
        offset, count = self._layout.offsets[index], self._layout.counts[index]
        data = os.pread(self._descriptor, count, offset)
        with self._lock:
            self._bytes_read += len(data)
        if len(data) != count:
            raise DamagedSlideError(self._path, f"tile {index} ends after the end of the file")
        return data

    def _jpeg(self, data: bytes) -> NDArray[np.uint8]:
        expected = (self._layout.tile.width, self._layout.tile.height)
        # Before decoding: a tile that claims 65,535 px a side would take 12 GB of memory.
        if jpeg_size(data) != expected:
            raise ValueError(f"its JPEG frame is not {expected[0]} × {expected[1]} px")
        pixels: NDArray[np.uint8] = imagecodecs.jpeg8_decode(
            data, tables=self._tables, colorspace=self._encoding, outcolorspace="RGB"
        )
        if pixels.shape != (expected[1], expected[0], 3):
            raise ValueError(f"it decodes to an array of shape {pixels.shape}")
        return pixels

    def _other(self, data: bytes, index: int) -> NDArray[np.uint8]:
        pixels = np.asarray(self._page.decode(data, index)[0])
        return pixels.reshape((-1, *pixels.shape[-2:]))


def _unreadable_reason(page: tifffile.TiffPage) -> str | None:
    if not page.is_tiled:
        return "its pixels are stored in strips, not tiles; convert it to a tiled pyramid"
    if page.dtype != np.uint8 or page.samplesperpixel != 3 or page.planarconfig != 1:
        stated = f"{page.samplesperpixel} × {page.dtype}"
        return f"its pixels are {stated}, not 8-bit RGB (fluorescence or multichannel image?)"
    if page.photometric not in (_RGB, _YCBCR):
        return f"its photometric interpretation {page.photometric!s} is not RGB or YCbCr"
    if page.tilewidth * page.tilelength > _MAX_TILE_PX:
        return f"its tiles of {page.tilewidth}×{page.tilelength} px are implausibly large"
    return None
