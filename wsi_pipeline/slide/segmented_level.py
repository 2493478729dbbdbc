"""A pyramid level stored in segments (tiles, strips, or one whole picture), each decoded once."""

import threading
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.slide.reader import WHITE
from wsi_pipeline.slide.tile_cache import TileCache

#: Most px of one segment. No scanner writes larger tiles; a header that claims more is an attack
#: or damage.
MAX_SEGMENT_PX = 4096 * 4096
#: Most px of a picture that is stored as one segment and has to be decoded whole: 400 MB of RGB.
MAX_PICTURE_PX = 2**27


class SegmentedLevel(ABC):
    """Px of one level, whose segments are decoded at most once while they stay in ``cache``.

    Memory bound: the cache and one segment for each thread that reads.

    Args:
        path: The file, for messages.
        size: Of the level in its own px.
        segment: Width and height of its segments in level px; those at the edges may be smaller.
        cache: Shared between the levels of a slide, or of several.
        transparent: Whether segments come with a fourth channel, see :meth:`_decode`.
    """

    def __init__(
        self, path: Path, size: Size, segment: Size, cache: TileCache, *, transparent: bool = False
    ) -> None:
        self._path = path
        self._size = size
        self._segment = segment
        self._columns = -(-size.width // segment.width)
        self._cache = cache
        self._transparent = transparent
        # The cache may outlive this level: an id() would be given to another one some day.
        self._identity = object()
        self._lock = threading.Lock()
        self._bytes_read = 0

    @property
    def size(self) -> Size:
        """Size of the level in its own px."""
        return self._size

    @property
    def segment(self) -> Size:
        """Size of a segment in level px."""
        return self._segment

    @property
    def transparent(self) -> bool:
        """Whether the file says which px were scanned."""
        return self._transparent

    @property
    def bytes_read(self) -> int:
        """Compressed bytes fetched so far."""
        return self._bytes_read

    def read(self, region: Region) -> NDArray[np.uint8]:
        """RGB of shape ``(height, width, 3)``; white outside the level and for absent segments."""
        pixels = self._read(region)
        return np.ascontiguousarray(pixels[..., :3]) if self._transparent else pixels

    def read_scanned(self, region: Region) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """As :meth:`read`, and where the level has px that are not transparent."""
        pixels = self._read(region)
        columns, rows = np.arange(region.x, region.right), np.arange(region.y, region.bottom)
        inside: NDArray[np.bool_] = ((rows >= 0) & (rows < self._size.height))[:, None] & (
            (columns >= 0) & (columns < self._size.width)
        )
        if not self._transparent:
            return pixels, inside
        return np.ascontiguousarray(pixels[..., :3]), inside & (pixels[..., 3] > 0)

    @abstractmethod
    def _decode(self, index: int) -> NDArray[np.uint8]:
        """Decode a segment that is there; segments are counted row by row.

        Returns:
            RGB over white, ``(height, width, 3)``; with opacity (0-255) as a fourth channel if
            the level is transparent.

        Raises:
            DamagedSlideError: it cannot be decoded.
        """

    def _count(self, read: int) -> None:
        """Add to :attr:`bytes_read`."""
        with self._lock:
            self._bytes_read += read

    def _read(self, region: Region) -> NDArray[np.uint8]:
        shape = (region.height, region.width, 4 if self._transparent else 3)
        size, segment = self._size, self._segment
        left, right = max(region.x, 0), min(region.right, size.width)
        top, bottom = max(region.y, 0), min(region.bottom, size.height)
        if left >= right or top >= bottom:
            return np.full(shape, WHITE, np.uint8)
        # Inside the level every px is written below.
        inside = (right - left, bottom - top) == (region.width, region.height)
        out = np.empty(shape, np.uint8) if inside else np.full(shape, WHITE, np.uint8)
        for row in range(top // segment.height, (bottom - 1) // segment.height + 1):
            y_0 = row * segment.height
            y1, y2 = max(top, y_0), min(bottom, y_0 + segment.height)
            for column in range(left // segment.width, (right - 1) // segment.width + 1):
                pixels = self._pixels(row * self._columns + column)
                x_0 = column * segment.width
                x1, x2 = max(left, x_0), min(right, x_0 + segment.width)
                out[y1 - region.y : y2 - region.y, x1 - region.x : x2 - region.x] = (
                    WHITE if pixels is None else pixels[y1 - y_0 : y2 - y_0, x1 - x_0 : x2 - x_0]
                )
        return out

    def _pixels(self, index: int) -> NDArray[np.uint8] | None:
        if self._is_absent(index):
            return None
        return self._cache.get((self._identity, index), lambda: self._decode(index))

    @abstractmethod
    def _is_absent(self, index: int) -> bool:
        """Whether the file holds nothing for a segment."""
