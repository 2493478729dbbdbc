"""OpenSlide's slides with their JPEG tiles decoded directly, once each, where that is the same.

OpenSlide's ``read_region`` pays for compositing and colour conversion on every call and decodes
a tile again for each patch that touches it once its cache is full. For tiled-JPEG TIFF the same
pixels come three to five times faster from the file itself. They are only used where they *are*
the same pixels: each level is compared with OpenSlide's before its first use.
"""

import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError, SlideError, UnsupportedSlideError
from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.slide.info import SlideInfo
from wsi_pipeline.slide.openslide_reader import OpenSlideReader
from wsi_pipeline.slide.shared_file import SharedFile
from wsi_pipeline.slide.stored_reader import CACHE_BYTES
from wsi_pipeline.slide.tiff.file import open_tiff
from wsi_pipeline.slide.tiff.level import TiffLevel
from wsi_pipeline.slide.tile_cache import TileCache

#: Formats in which OpenSlide shows a TIFF directory's pixels unmoved. The others shift, overlap
#: or assemble tiles.
VENDORS = frozenset({"aperio", "generic-tiff", "philips-tiff"})

_PROBE_PX = 48
#: What :meth:`TileReader.path_of` says of levels proven equal.
DIRECT = "tiles"


class TileReader:
    """OpenSlide for everything but the pixels of levels proven equal.

    Memory bound: that of :class:`OpenSlideReader` plus :data:`CACHE_BYTES`, or the cache given,
    plus what a call returns.

    Args:
        reader: The slide.
        cache: For decoded tiles; None gives the slide one of its own.
    """

    def __init__(self, reader: OpenSlideReader, cache: TileCache | None = None) -> None:
        self._reader = reader
        path = reader.info.path
        self._file = SharedFile(path)
        sizes = [level.size for level in reader.info.levels]
        cache = cache or TileCache(CACHE_BYTES)
        self._levels = _jpeg_levels(path, self._file, sizes, cache)
        self._proven: dict[int, bool] = {}
        self._locks = [threading.Lock() for _ in sizes]

    @property
    def info(self) -> SlideInfo:
        """Facts of the slide."""
        return self._reader.info

    @property
    def bytes_read(self) -> int:
        """Compressed bytes of the tiles, decoded bytes of what OpenSlide read."""
        tiles = sum(level.bytes_read for level in self._levels.values())
        return tiles + self._reader.bytes_read

    def path_of(self, level: int) -> str:
        """``"tiles"`` where the level's tiles were proven equal, else ``"openslide"``."""
        return DIRECT if self._proves(level) else "openslide"

    def segment_of(self, level: int) -> Size | None:
        """See :meth:`SlideReader.segment_of`; None where OpenSlide reads."""
        return self._levels[level].segment if self._proves(level) else None

    def trust(self, levels: Iterable[int]) -> None:
        """Take levels for proven equal that were compared before, in another reader of the file.

        Args:
            levels: Those that were equal; the others are compared here, before their first use.
        """
        for level in set(levels) & set(self._levels):
            self._settle(level, equal=True)

    def tiles_of(self, level: int) -> TiffLevel | None:
        """The JPEG tiles of a level, proven equal or not; None where there are none."""
        return self._levels.get(level)

    def read(self, region: Region) -> NDArray[np.uint8]:
        """See :meth:`SlideReader.read`."""
        if self._proves(region.level):
            return self._levels[region.level].read(region)
        return self._reader.read(region)

    def read_scanned(self, region: Region) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """See :meth:`SlideReader.read_scanned`; through OpenSlide where tiles are absent."""
        if self._proves(region.level) and self._levels[region.level].is_whole:
            return self._levels[region.level].read_scanned(region)
        return self._reader.read_scanned(region)

    def close(self) -> None:
        """Free both handles."""
        self._reader.close()
        self._file.close()

    def _proves(self, level: int) -> bool:
        known = self._proven.get(level)
        if known is not None:
            return known
        # A lock for each: levels may be compared beside each other.
        with self._locks[level]:
            if level not in self._proven:
                tiles = self._levels.get(level)
                self._settle(level, equal=tiles is not None and self._same(level, tiles))
            return self._proven[level]

    def _settle(self, level: int, *, equal: bool) -> None:
        if equal:
            self._reader.shrink_cache()
        self._proven[level] = equal

    def _same(self, level: int, tiles: TiffLevel) -> bool:
        """Compare tiles near both ends and the middle of the level with OpenSlide's pixels."""
        size = tiles.size
        stated = self._reader.stated_downsample(level)
        for share in (0.0, 0.35, 0.65, 1.0):
            x = _whole_position(share, size.width, stated)
            y = _whole_position(share, size.height, stated)
            width, height = min(_PROBE_PX, size.width - x), min(_PROBE_PX, size.height - y)
            region = Region(level, x, y, width, height)
            try:
                ours, theirs = tiles.read(region), self._reader.read(region)
            except DamagedSlideError:
                # A damaged place proves nothing; reading it again will name it.
                continue
            if not np.array_equal(ours, theirs):
                return False
        return True


def _whole_position(share: float, length: int, downsample: float) -> int:
    """A position (level px) near ``share`` of the way that is a whole number of level-0 px.

    OpenSlide interpolates at fractional positions, where no reader can equal it.
    """
    wanted = int(share * max(length - _PROBE_PX, 0))
    candidates = np.arange(max(0, wanted - 4 * _PROBE_PX), wanted + 1)
    exact = candidates * downsample
    whole = candidates[exact == np.round(exact)]
    return int(whole[-1]) if len(whole) else 0


def _jpeg_levels(
    path: Path, file: SharedFile, sizes: list[Size], cache: TileCache
) -> dict[int, TiffLevel]:
    """The pyramid levels that are tiled-JPEG directories of the same size, by level."""
    levels: dict[int, TiffLevel] = {}
    try:
        with open_tiff(path) as tiff:
            pages = [page.aspage() for page in tiff.pages]
    except Exception:  # tifffile meets oddities OpenSlide can read: then OpenSlide does
        return {}
    for index, size in enumerate(sizes):
        for page in pages:
            if (page.imagewidth, page.imagelength) != (size.width, size.height):
                continue
            try:
                level = TiffLevel(path, [page], file, cache)
            except UnsupportedSlideError:
                continue
            if level.is_jpeg:
                levels[index] = level
                break
    return levels


def with_direct_tiles(
    reader: OpenSlideReader, cache: TileCache | None = None
) -> "OpenSlideReader | TileReader":
    """The reader with direct tiles where its format allows them, else the reader itself."""
    if reader.info.vendor not in VENDORS:
        return reader
    try:
        return TileReader(reader, cache)
    except SlideError:
        return reader
