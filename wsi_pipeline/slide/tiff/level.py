"""One level of a TIFF pyramid: tiles or strips, colours together, in planes or in directories."""

import io
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError, UnsupportedSlideError
from wsi_pipeline.geometry import Size
from wsi_pipeline.slide.jpeg_header import Encoding, JpegHeader, read_jpeg_header
from wsi_pipeline.slide.segmented_level import SegmentedLevel
from wsi_pipeline.slide.shared_file import SharedFile
from wsi_pipeline.slide.tiff.refusal import refusal_of
from wsi_pipeline.slide.tiff.segment import (
    SegmentDecoder,
    has_opacity,
    stated_encoding,
    with_opacity,
)
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
        file: The same, open; shared between levels.
        cache: Shared between the levels of a slide, or of several.
        encoding: What the components of JPEG are taken for; None: what the directory says.

    Raises:
        UnsupportedSlideError: not 8-bit RGB, or in a compression nobody here decodes.
    """

    def __init__(
        self,
        path: Path,
        pages: Sequence[tifffile.TiffPage],
        file: SharedFile,
        cache: TileCache,
        encoding: Encoding | None = None,
    ) -> None:
        reason = refusal_of(pages)
        if reason:
            raise UnsupportedSlideError(path, reason)
        page = self._page = pages[0]
        self._file = file
        self._pages = tuple(pages)
        self._encoding = encoding or stated_encoding(page)
        self._decoders = tuple((SegmentDecoder(item, self._encoding), item) for item in pages)
        self._file_bytes = file.size
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

    @cached_property
    def is_whole(self) -> bool:
        """Whether the file holds every segment: all px were scanned, unless it says otherwise."""
        segments = self._columns * -(-self.size.height // self.segment.height)
        counts = [page.databytecounts for page in self._pages]
        return all(len(each) >= segments and all(each) for each in counts)

    @property
    def encoding(self) -> Encoding:
        """What the components of JPEG are taken for: what the directory says, unless corrected."""
        return self._encoding

    def header(self) -> JpegHeader | None:
        """Header of the first segment that is there; None unless it is JPEG of three components.

        Raises:
            DamagedSlideError: that segment is not in the file.
        """
        there = self._there()
        if self._page.compression != _JPEG or not there:
            return None
        data = self._data(self._page, there[0], there[0], self.segment)
        header = read_jpeg_header(io.BytesIO(data))
        return header if header is not None and len(header.ids) == 3 else None

    def components(self, segments: int) -> list[NDArray[np.uint8]]:
        """Components of JPEG segments spread over the level as they are stored, not converted.

        Args:
            segments: At most so many.

        Returns:
            Of each ``(height, width, 3)``; damaged ones are left out.
        """
        there = self._there()
        raw = self.read_as("RGB")
        out: list[NDArray[np.uint8]] = []
        for index in there[:: max(1, -(-len(there) // segments))]:
            try:
                out.append(raw._decode(index))  # noqa: SLF001 - of the same class
            except DamagedSlideError:
                continue
        return out

    def read_as(self, encoding: Encoding) -> "TiffLevel":
        """The same level with the components of its JPEG taken for something else."""
        return TiffLevel(self._path, self._pages, self._file, self._cache, encoding)

    def _there(self) -> list[int]:
        return [index for index, count in enumerate(self._page.databytecounts) if count]

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
                size = Size(self.segment.width, height)
                yield decoder.decode(self._data(page, at, index, size), at, size)

    def _data(self, page: tifffile.TiffPage, at: int, index: int, size: Size) -> bytes:
        """Compressed bytes of entry ``at`` of a directory, which holds segment ``index``."""
        if at >= min(len(page.dataoffsets), len(page.databytecounts)):
            raise DamagedSlideError(self._path, f"its directory lacks {self._name(index)}")
        count = page.databytecounts[at]
        if count > _MAX_BYTES_PER_PX * size.area + _MAX_OTHER_BYTES:
            cause = f"cannot decode {self._name(index)}: it has {count:,} bytes, more than its px"
            raise DamagedSlideError(self._path, f"{cause} need")
        return self._fetch(page.dataoffsets[at], count, index)

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
        data = self._file.read(offset, count)
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
