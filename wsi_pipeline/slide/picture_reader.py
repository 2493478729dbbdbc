"""Regions of interest kept as PNG or JPEG: decoded whole, up to a number of px."""

from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError, UnsupportedSlideError
from wsi_pipeline.slide.image_header import PictureHeader, check_picture, read_header
from wsi_pipeline.slide.info import Level, SlideInfo
from wsi_pipeline.slide.reader import over_white
from wsi_pipeline.slide.segmented_level import MAX_PICTURE_PX, SegmentedLevel
from wsi_pipeline.slide.shared_file import SharedFile
from wsi_pipeline.slide.stored_reader import CACHE_BYTES, StoredReader
from wsi_pipeline.slide.tiff.refusal import TO_PYRAMID
from wsi_pipeline.slide.tile_cache import TileCache

#: Baseline, extended and progressive Huffman coding.
_PROCESSES = (0, 1, 2)
#: No picture needs more bytes for a px, or more for what it says besides.
_MAX_BYTES_PER_PX, _MAX_OTHER_BYTES = 8, 2**27
_ROWS = 256
_TO_RGB = "convert it with `vips colourspace IN OUT.png srgb`"


class PictureReader(StoredReader):
    """A :class:`~wsi_pipeline.slide.reader.SlideReader` over a PNG or JPEG file.

    Px are where they are stored: EXIF orientation is not applied, as in QuPath and ImageJ, and
    mentioned. The resolution such files state is for printing and never taken for a spacing.

    Memory bound: :data:`~wsi_pipeline.slide.segmented_level.MAX_PICTURE_PX` × 4 bytes, twice
    while it is decoded; with ``cache``, kept within that as long as others want no room in it.

    Args:
        path: The file.
        cache: For the decoded px; None gives the picture one of its own.

    Raises:
        UnsupportedSlideError: not PNG or JPEG, not 8-bit RGB, or of too many px.
        DamagedSlideError: its header is damaged.
    """

    def __init__(self, path: Path, cache: TileCache | None = None) -> None:
        header = read_header(path)
        reason = "is no PNG or JPEG file" if header is None else _refusal(header)
        if header is None or reason:
            raise UnsupportedSlideError(path, str(reason))
        level = _Picture(path, header, cache or TileCache(CACHE_BYTES))
        warnings: tuple[str, ...] = ()
        if header.orientation != 1:
            text = (
                f"EXIF orientation {header.orientation} is not applied: coordinates are those of "
                "the stored px, as in QuPath and ImageJ"
            )
            warnings = (text,)
        info = SlideInfo(
            path, header.kind.lower(), (Level(header.size, 1.0),), None, warnings=warnings
        )
        super().__init__(info, [level], "picture", level.close)


class _Picture(SegmentedLevel):
    """A picture as one segment."""

    def __init__(self, path: Path, header: PictureHeader, cache: TileCache) -> None:
        # A palette may hold transparent colours.
        transparent = header.channels in ("RGBA", "palette")
        super().__init__(path, header.size, header.size, cache, transparent=transparent)
        self._header = header
        self._file = SharedFile(path)

    def close(self) -> None:
        """Free the file."""
        self._file.close()

    def _is_absent(self, index: int) -> bool:  # noqa: ARG002 - there is one only
        return False

    def _decode(self, index: int) -> NDArray[np.uint8]:  # noqa: ARG002 - there is one only
        # A JPEG decoder fills what is missing with grey, and says nothing.
        check_picture(self._path)
        length = self._file.size
        if length > _MAX_BYTES_PER_PX * self._header.size.area + _MAX_OTHER_BYTES:
            cause = f"has {length:,} bytes, more than {self._header.size} px need"
            raise DamagedSlideError(self._path, cause)
        data = self._file.read(0, length)
        self._count(len(data))
        try:
            pixels = self._pixels_of(data)
        except Exception as error:  # every codec has errors of its own
            raise DamagedSlideError(self._path, f"cannot be decoded: {error}") from error
        if not self.transparent:
            return pixels
        if pixels.shape[-1] == 3:  # a palette without transparent colours
            return np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
        for top in range(0, len(pixels), _ROWS):  # whole, it would take six times the memory
            rows = pixels[top : top + _ROWS]
            rows[..., :3] = over_white(rows[..., :3], rows[..., 3])
        return pixels

    def _pixels_of(self, data: bytes) -> NDArray[np.uint8]:
        size = self._header.size
        decode = imagecodecs.png_decode if self._header.kind == "PNG" else imagecodecs.jpeg8_decode
        pixels: NDArray[np.uint8] = decode(data)
        channels = (3, 4) if self.transparent else (3,)
        if pixels.shape not in [(size.height, size.width, n) for n in channels]:
            raise ValueError(f"it decodes to an array of shape {pixels.shape}")
        return pixels


def _refusal(header: PictureHeader) -> str | None:
    if header.channels == "grey":
        return (
            "its px are grey, one channel; the models judge stained tissue in 8-bit RGB: export "
            "the region in colour"
        )
    if header.channels == "CMYK":
        return f"its colours are CMYK, not RGB; {_TO_RGB}"
    if header.bits > 8:
        return f"its px have {header.bits} bits a channel, not 8; {_TO_RGB}"
    if header.channels == "unknown" or header.process not in _PROCESSES:
        return (
            f"it is a {header.kind} of a rare kind (SOF{header.process}, {header.channels} "
            "colours); save it as PNG with the program that wrote it"
        )
    if header.size.area > MAX_PICTURE_PX:
        return (
            f"a {header.kind} is decoded whole, and {header.size} px are more than "
            f"{MAX_PICTURE_PX:,}; {TO_PYRAMID}"
        )
    return None
