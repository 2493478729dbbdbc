"""What a JPEG stream states before its pixels: size, and how its components encode colour."""

import struct
from dataclasses import dataclass
from typing import Literal

#: What three components of a picture mean.
Encoding = Literal["RGB", "YCBCR"]

_APP0, _APP14, _SOS = 0xE0, 0xEE, 0xDA
#: Byte of Adobe's APP14 payload that tells the colour transform: 0 none, 1 YCbCr, 2 YCCK.
_ADOBE_TRANSFORM = 11
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
    """

    size: tuple[int, int]
    ids: tuple[int, ...]
    sampling: tuple[tuple[int, int], ...]
    jfif: bool
    adobe: int | None

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


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """Parse a stream's markers up to its frame header (ITU-T T.81, B.2.2); None without one."""
    jfif, adobe = False, None
    position = 2
    while position + 9 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker == _SOS:
            return None
        (length,) = struct.unpack_from(">H", data, position + 2)
        payload = data[position + 4 : position + 2 + length]
        # SOF0-SOF15 but DHT (C4), JPG (C8) and DAC (CC).
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, position + 5)
            parts = [payload[start : start + 3] for start in range(6, len(payload) - 2, 3)]
            return JpegHeader(
                size=(width, height),
                ids=tuple(part[0] for part in parts),
                sampling=tuple((part[1] >> 4, part[1] & 15) for part in parts),
                jfif=jfif,
                adobe=adobe,
            )
        if marker == _APP0:
            jfif |= payload.startswith(b"JFIF\0")
        elif marker == _APP14 and payload.startswith(b"Adobe") and len(payload) > _ADOBE_TRANSFORM:
            adobe = payload[_ADOBE_TRANSFORM]
        position += 2 + length
    return None


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height (px) in a JPEG stream's frame header; None if there is none."""
    header = read_jpeg_header(data)
    return None if header is None else header.size
