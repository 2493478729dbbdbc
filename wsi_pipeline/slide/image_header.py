"""Size and kind of a picture as its header states them, before anything of it is decoded."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.geometry import Size
from wsi_pipeline.slide.jpeg_header import SOS, jpeg_segments, read_jpeg_header

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"
_JP2_CODESTREAM = b"\xff\x4f\xff\x51"
_EOI = 0xD9
_ORIENTATION_TAG = 0x0112
#: As JPEG bounds it; a PNG chunk may claim 4 GB.
_MAX_EXIF_BYTES = 2**16
#: Of a PNG, before its px, that are looked at: there are eighteen kinds of them.
_MAX_CHUNKS = 256
#: PNG 1.2, 11.2.2: colour types.
_PNG_CHANNELS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey", 6: "RGBA"}
_JPEG_CHANNELS = {1: "grey", 3: "RGB", 4: "CMYK"}
_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What the header of a PNG or JPEG file states.

    Attributes:
        kind: ``"PNG"`` or ``"JPEG"``.
        size: In px.
        bits: Per channel.
        channels: ``"RGB"``, ``"RGBA"``, ``"palette"``, ``"grey"``, ``"CMYK"`` or ``"unknown"``.
        process: Of a JPEG, the number of its frame marker (0 baseline, 1 extended, 2 progressive);
            0 of a PNG.
        orientation: EXIF orientation, 1 where the stored px are upright.
    """

    kind: str
    size: Size
    bits: int
    channels: str
    process: int = 0
    orientation: int = 1


def read_header(path: Path) -> PictureHeader | None:
    """The header of a PNG or JPEG file; None if the file starts as neither.

    Raises:
        DamagedSlideError: it starts as one, but its header is not whole.
    """
    with path.open("rb") as file:
        start = file.read(len(PNG_MAGIC))
        if start == PNG_MAGIC:
            return _png_header(path, file)
        if start.startswith(JPEG_MAGIC):
            return _jpeg_header(path, file)
    return None


def check_picture(path: Path) -> None:
    """Check that a PNG or JPEG file reaches to its end mark; other files pass.

    Raises:
        DamagedSlideError: it ends before.
    """
    with path.open("rb") as file:
        start = file.read(len(PNG_MAGIC))
        if start == PNG_MAGIC:
            if not _has_png_end(file):
                raise truncated(path, "its IEND chunk is missing")
        elif start.startswith(JPEG_MAGIC) and not _has_jpeg_end(file):
            raise truncated(path, "its end-of-image marker is missing")


def truncated(path: Path, detail: str) -> DamagedSlideError:
    """The error for a file that ends too early."""
    return DamagedSlideError(path, f"the file is truncated: {detail}; copy or upload it again")


def jpeg_2000_size(data: bytes) -> tuple[int, int] | None:
    """Width and height (px) in the SIZ marker of a JPEG 2000 stream; None if there is none.

    ISO/IEC 15444-1, A.5.1: XSiz, YSiz, XOSiz and YOSiz follow the length and the capabilities.
    """
    start = data.find(_JP2_CODESTREAM, 0, 4096)  # at once, or after the boxes of a JP2 file
    if start < 0 or start + 24 > len(data):
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", data, start + 8)
    return right - left, bottom - top


def _png_header(path: Path, file: BinaryIO) -> PictureHeader:
    chunk = file.read(21)
    if len(chunk) < 21 or chunk[4:8] != b"IHDR":
        raise truncated(path, "its IHDR chunk is missing")
    width, height, bits, colour = struct.unpack_from(">IIBB", chunk, 8)
    if not width or not height:
        raise DamagedSlideError(path, f"its PNG header states {width} × {height} px")
    orientation = _png_orientation(file)
    channels = _PNG_CHANNELS.get(colour, "unknown")
    return PictureHeader("PNG", Size(width, height), bits, channels, orientation=orientation)


def _png_orientation(file: BinaryIO) -> int:
    """EXIF orientation in the chunks between the header and the px (PNG third edition, 11.3.4)."""
    position, end = len(PNG_MAGIC) + 25, os.fstat(file.fileno()).st_size
    for _ in range(_MAX_CHUNKS):
        if position + 12 > end:
            break
        file.seek(position)
        size, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"eXIf":
            return _orientation(file.read(min(size, _MAX_EXIF_BYTES)))
        if kind == b"IDAT":
            return 1
        position += 12 + size
    return 1


def _jpeg_header(path: Path, file: BinaryIO) -> PictureHeader:
    header = read_jpeg_header(file)
    if header is None:
        raise truncated(path, "its JPEG frame header is missing")
    width, height = header.size
    if not width or not height:
        raise DamagedSlideError(path, f"its JPEG header states {width} × {height} px")
    channels = _JPEG_CHANNELS.get(len(header.ids), "unknown")
    orientation = _orientation(header.exif)
    return PictureHeader(
        "JPEG", Size(width, height), header.bits, channels, header.process, orientation
    )


def _orientation(payload: bytes) -> int:
    if not payload:
        return 1
    exif = Image.Exif()
    try:
        exif.load(payload)
        return int(exif.get(_ORIENTATION_TAG, 1))
    except Exception:  # metadata that nobody can read turn no picture
        return 1


def _has_png_end(file: BinaryIO) -> bool:
    position, length = len(PNG_MAGIC), os.fstat(file.fileno()).st_size
    while position + 12 <= length:
        file.seek(position)
        size, kind = struct.unpack(">I4s", file.read(8))
        position += 12 + size
        if kind == b"IEND":
            return bool(position <= length)
    return False


def _has_jpeg_end(file: BinaryIO) -> bool:
    """Whether an end-of-image marker follows the first scan: entropy-coded data hold none."""
    if not any(marker == SOS for marker, _ in jpeg_segments(file)):
        return False
    last = b""
    while block := file.read(_BLOCK):
        if bytes((0xFF, _EOI)) in last + block:
            return True
        last = block[-1:]
    return False
