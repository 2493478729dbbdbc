"""What a JPEG stream states before its pixels: size, and how its components encode colour."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

#: What three components of a picture mean.
Encoding = Literal["RGB", "YCBCR"]

SOS = 0xDA
_APP0, _APP1, _APP14 = 0xE0, 0xE1, 0xEE
_EXIF = b"Exif\0\0"
#: Byte of Adobe's APP14 payload that tells the colour transform: 0 none, 1 YCbCr, 2 YCCK.
_ADOBE_TRANSFORM = 11
#: Bits, height, width and number of components.
_FRAME = struct.Struct(">BHHB")
_RGB_IDS, _YCBCR_IDS = (0x52, 0x47, 0x42), (1, 2, 3)


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """The frame of a JPEG stream and the markers before it.

    Attributes:
        size: Width and height, px.
        ids: Component identifiers, in order.
        sampling: Horizontal and vertical sampling factor of each component.
        jfif: Whether there is a JFIF marker (APP0).
        adobe: Colour transform of Adobe's marker (APP14), None where there is none.
        bits: Per component.
        process: Number of the frame marker (0 baseline, 1 extended, 2 progressive).
        exif: Payload of the EXIF marker (APP1), empty where there is none.
    """

    size: tuple[int, int]
    ids: tuple[int, ...]
    sampling: tuple[tuple[int, int], ...]
    jfif: bool
    adobe: int | None
    bits: int = 8
    process: int = 0
    exif: bytes = b""

    @property
    def encoding(self) -> tuple[Encoding, str] | None:
        """What three components mean by the markers, and by which; None where nothing tells.

        The rules are libjpeg's (``default_decompress_parms``): JFIF is YCbCr, then Adobe's
        transform, then the identifiers. Where libjpeg guesses, subsampling tells: only chroma is
        stored with fewer px.
        """
        if len(self.ids) != 3:
            return None
        rules: tuple[tuple[bool, Encoding, str], ...] = (
            (self.jfif, "YCBCR", "JFIF marker"),
            (self.adobe is not None, "YCBCR" if self.adobe else "RGB", "Adobe marker"),
            (len(set(self.sampling)) > 1, "YCBCR", "subsampled components"),
            (self.ids == _YCBCR_IDS, "YCBCR", "component identifiers"),
            (self.ids == _RGB_IDS, "RGB", "component identifiers"),
        )
        return next(((encoding, why) for holds, encoding, why in rules if holds), None)


def read_jpeg_header(stream: BinaryIO) -> JpegHeader | None:
    """Parse a stream's markers up to its frame header (ITU-T T.81, B.2.2); None without one."""
    jfif, adobe, exif = False, None, b""
    for marker, length in jpeg_segments(stream):
        if marker == _APP0:
            jfif |= stream.read(length).startswith(b"JFIF\0")
        elif marker == _APP1:
            payload = stream.read(length)
            exif = payload if payload.startswith(_EXIF) else exif
        elif marker == _APP14:
            payload = stream.read(length)
            if payload.startswith(b"Adobe") and len(payload) > _ADOBE_TRANSFORM:
                adobe = payload[_ADOBE_TRANSFORM]
        # SOF0-SOF15 but DHT (C4), JPG (C8) and DAC (CC).
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = stream.read(length)
            if len(frame) < _FRAME.size:
                return None
            bits, height, width, _ = _FRAME.unpack_from(frame)
            parts = [frame[at : at + 3] for at in range(_FRAME.size, len(frame) - 2, 3)]
            return JpegHeader(
                size=(width, height),
                ids=tuple(part[0] for part in parts),
                sampling=tuple((part[1] >> 4, part[1] & 15) for part in parts),
                jfif=jfif,
                adobe=adobe,
                bits=bits,
                process=marker - 0xC0,
                exif=exif,
            )
    return None


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height (px) in a JPEG stream's frame header; None if there is none."""
    header = read_jpeg_header(io.BytesIO(data))
    return None if header is None else header.size


def jpeg_segments(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """Markers up to the first scan's, and the bytes that follow each; the stream stands at them."""
    position = 2
    while True:
        stream.seek(position)
        head = stream.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return
        if head[1] == 0xFF:  # fill bytes
            position += 1
            continue
        length = int(struct.unpack_from(">H", head, 2)[0])
        if length < 2:
            return
        yield head[1], length - 2
        if head[1] == SOS:
            return
        position += 2 + length
