"""One level of a TIFF pyramid: tiles or strips, colours together, in planes or in directories."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError, UnsupportedSlideError
from wsi_pipeline.geometry import Size
from wsi_pipeline.slide.segmented_level import SegmentedLevel
from wsi_pipeline.slide.tiff.refusal import refusal_of
from wsi_pipeline.slide.tiff.segment import SegmentDecoder, has_opacity, with_opacity
from wsi_pipeline.slide.tile_cache import TileCache

_JPEG = 7
#: Uncompressed strips are read in pieces of about so many bytes: many files have but one strip.
_PIECE_BYTES = 2**18
#: No compression makes so much of the px, and of what it adds.
_MAX_BYTES_PER_PX, _MAX_OTHER_BYTES = 16, 2**20


class TiffLevel(SegmentedLevel):
    """Px of one TIFF directory, or of three with a colour each.

    Args:
        path: The file, for messages.
        pages: The directory as tifffile parsed it, or those of red, green and blue.
        descriptor: Open file descriptor, shared between levels; read with ``pread`` only.
        cache: Shared between the levels of a slide, or of several.

    Raises:
        UnsupportedSlideError: not 8-bit RGB, or in a compression nobody here decodes.
    """

    def __init__(
        self,
        path: Path,
        pages: Sequence[tifffile.TiffPage],
        descriptor: int,
        cache: TileCache,
    ) -> None:
        reason = refusal_of(pages)
        if reason:
            raise UnsupportedSlideError(path, reason)
        page = self._page = pages[0]
        self._descriptor = descriptor
        self._decoders = tuple((SegmentDecoder(item), item) for item in pages)
        self._file_bytes = os.fstat(descriptor).st_size
        size = Size(page.imagewidth, page.imagelength)
        self._row_bytes = size.width * (page.samplesperpixel if page.planarconfig == 1 else 1)
        # Rows of uncompressed strips follow each other, so that any number of them can be read.
        self._is_plain = all(not item.is_tiled and _is_plain(item) for item in pages)
        if self._is_plain:
            rows = max(1, _PIECE_BYTES // self._row_bytes)
            segment = Size(size.width, min(rows, size.height))
        else:
            segment = stored_segment(page)
        super().__init__(path, size, segment, cache, transparent=has_opacity(page))

    @property
    def is_jpeg(self) -> bool:
        """Whether the level is stored in tiles of JPEG."""
        return bool(self._page.is_tiled) and self._page.compression == _JPEG

    def _is_absent(self, index: int) -> bool:
        if self._is_plain:
            return False
        counts = self._page.databytecounts
        return index < len(counts) and counts[index] == 0

    def _decode(self, index: int) -> NDArray[np.uint8]:
        try:
            parts = list(self._plain(index) if self._is_plain else self._compressed(index))
        except DamagedSlideError:
            raise
        except Exception as error:  # every codec has errors of its own
            cause = f"cannot decode {self._name(index)}: {error}"
            raise DamagedSlideError(self._path, cause) from error
        pixels = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        if self.transparent:
            return with_opacity(self._page, pixels)
        # A fourth sample of unknown meaning is left out.
        return pixels if pixels.shape[-1] == 3 else np.ascontiguousarray(pixels[..., :3])

    def _compressed(self, index: int) -> Iterator[NDArray[np.uint8]]:
        """The segment of each plane, ``(height, width, samples)``."""
        segments = self._columns * -(-self.size.height // self.segment.height)
        height = self.segment.height
        if not self._page.is_tiled:
            height = min(height, self.size.height - index * height)
        for decoder, page in self._decoders:
            planes = page.samplesperpixel if page.planarconfig == 2 else 1
            for at in range(index, index + planes * segments, segments):
                if at >= min(len(page.dataoffsets), len(page.databytecounts)):
                    raise DamagedSlideError(self._path, f"its directory lacks {self._name(index)}")
                size = Size(self.segment.width, height)
                count = page.databytecounts[at]
                if count > _MAX_BYTES_PER_PX * size.area + _MAX_OTHER_BYTES:
                    raise ValueError(f"it has {count:,} bytes, more than its px need")
                yield decoder.decode(self._fetch(page.dataoffsets[at], count, index), at, size)

    def _plain(self, index: int) -> Iterator[NDArray[np.uint8]]:
        """Rows of each plane, ``(height, width, samples)``."""
        top = index * self.segment.height
        rows = min(self.segment.height, self.size.height - top)
        for decoder, page in self._decoders:
            planes = page.samplesperpixel if page.planarconfig == 2 else 1
            for plane in range(planes):
                start = page.dataoffsets[0] + (plane * self.size.height + top) * self._row_bytes
                data = self._fetch(start, rows * self._row_bytes, index)
                stored = np.frombuffer(data, np.uint8).reshape(rows, self.size.width, -1)
                yield decoder.coloured(stored)

    def _fetch(self, offset: int, count: int, index: int) -> bytes:
        if offset + count > self._file_bytes:
            cause = f"{self._name(index)} ends after the end of the file"
            raise DamagedSlideError(self._path, cause)
        data = os.pread(self._descriptor, count, offset)
        self._count(len(data))
        if len(data) != count:
            cause = f"{self._name(index)} ends after the end of the file"
            raise DamagedSlideError(self._path, cause)
        return data

    def _name(self, index: int) -> str:
        if self._page.is_tiled:
            return f"tile {index}"
        return f"row {index * self.segment.height}" if self._is_plain else f"strip {index}"


def stored_segment(page: tifffile.TiffPage) -> Size:
    """Size of a directory's tiles or strips in px."""
    if page.is_tiled:
        return Size(page.tilewidth, page.tilelength)
    return Size(page.imagewidth, min(page.rowsperstrip, page.imagelength))


def _is_plain(page: tifffile.TiffPage) -> bool:
    return bool(page.is_contiguous) and page.predictor == 1 and page.fillorder == 1
