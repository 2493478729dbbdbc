"""DICOM slides: which files belong together, whether all pixels are there, how colour is encoded.

Imported when a DICOM file is met, not before: pydicom's import takes as long as checking a slide.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.geometry import Size
from wsi_pipeline.slide.jpeg_header import Encoding, JpegHeader, read_jpeg_header

# Values out of their legal range are pydicom's business to warn of; here only the structure counts.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

_UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXEL_DATA_GROUP = 0x7FE0
_SEQUENCE_END = (0xFFFE, 0xE0DD)
_EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
#: Baseline and extended JPEG.
_JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
#: Photometric interpretations JPEG frames may have (PS3.5, 8.2.1).
_ENCODINGS: dict[str, Encoding] = {"RGB": "RGB", "YBR_FULL": "YCBCR", "YBR_FULL_422": "YCBCR"}
_COLOUR_TAGS = ["PhotometricInterpretation", "TotalPixelMatrixColumns", "TotalPixelMatrixRows"]
#: No scanner writes larger frames; a header that claims more is an attack or damage.
_MAX_FRAME_PX = 4096 * 4096


def series_of(path: Path) -> str | None:
    """The series a file belongs to (tag 0020,000E), None if it cannot be told."""
    try:
        tags = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
    except Exception:  # damage is reported where the slide is checked, not here
        return None
    series = tags.get("SeriesInstanceUID")
    return None if series is None else str(series)


def check_pixel_data(path: Path) -> None:
    """Walk the pixel data element: PS3.5, A.4 (encapsulated) or its stated length (native).

    Raises:
        DamagedSlideError: the header is damaged, or the pixel data end before they should.
    """
    length = path.stat().st_size
    with path.open("rb") as file:
        try:
            dataset = pydicom.dcmread(file, stop_before_pixels=True)
        except Exception as error:  # pydicom meets damage with many kinds of error
            raise DamagedSlideError(path, f"its DICOM header is damaged: {error}") from error
        order = (
            ">" if dataset.file_meta.get("TransferSyntaxUID") == _EXPLICIT_VR_BIG_ENDIAN else "<"
        )
        head = file.read(12)
        if len(head) < 12 or struct.unpack_from(order + "H", head)[0] != _PIXEL_DATA_GROUP:
            raise truncated(path, "its pixel data are missing")
        stated = struct.unpack_from(order + "I", head, 8)[0]
        if stated != _UNDEFINED_LENGTH:
            if file.tell() + stated > length:
                raise truncated(path, f"its pixel data end at byte {file.tell() + stated:,}")
            return
        for size in _items(file, path, order):
            file.seek(size, 1)


@dataclass(frozen=True, slots=True)
class JpegFrames:
    """The JPEG frames of one file.

    Attributes:
        path: The file.
        size: Of the picture the frames make up, px.
        encoding: What the tag *Photometric Interpretation* says the components are.
        header: Header of the first frame.
        start: Where the items of the pixel data begin, byte of the file.
    """

    path: Path
    size: Size
    encoding: Encoding
    header: JpegHeader
    start: int

    def components(self, frames: int) -> list[NDArray[np.uint8]]:
        """Components of the first frames as they are stored, not converted.

        Args:
            frames: At most so many.

        Returns:
            Of each ``(height, width, 3)``; what is damaged is left out.
        """
        out: list[NDArray[np.uint8]] = []
        for data in _first_frames(self.path, self.start, frames):
            header = read_jpeg_header(data)
            # Before decoding: a frame that claims 65,535 px a side would take 12 GB of memory.
            if header is None or header.size != self.header.size:
                continue
            try:
                raw = imagecodecs.jpeg8_decode(data, colorspace="RGB", outcolorspace="RGB")
            except Exception:  # noqa: S112 - reading the slide names the damage; the codec has errors of its own
                continue
            if raw.ndim == 3 and raw.shape[2] == 3:
                out.append(raw)
        return out


def jpeg_frames(path: Path) -> JpegFrames | None:
    """The frames of a file that holds JPEG in RGB or YCbCr; None of every other one."""
    try:
        with path.open("rb") as file:
            tags = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_COLOUR_TAGS)
            start = file.tell() + 12
        encoding = _ENCODINGS.get(str(tags.get("PhotometricInterpretation")))
        if encoding is None or tags.file_meta.get("TransferSyntaxUID") not in _JPEG:
            return None
        size = Size(int(tags.TotalPixelMatrixColumns), int(tags.TotalPixelMatrixRows))
        header = next((read_jpeg_header(data) for data in _first_frames(path, start, 1)), None)
    except Exception:  # damage is reported where the slide is checked, not here
        return None
    if header is None or header.size[0] * header.size[1] > _MAX_FRAME_PX:
        return None
    return JpegFrames(path, size, encoding, header, start)


def _first_frames(path: Path, start: int, frames: int) -> Iterator[bytes]:
    """Frames of encapsulated pixel data, each in one fragment as scanners write them."""
    with path.open("rb") as file:
        file.seek(start)
        for number, size in enumerate(_items(file, path, "<")):
            # The first item is the offset table.
            if number > frames:
                return
            data = file.read(size)
            if number > 0:
                yield data


def _items(file: BinaryIO, path: Path, order: str) -> Iterator[int]:
    """Bytes of each item of encapsulated pixel data; whoever asks moves the file behind it."""
    while True:
        item = file.read(8)
        if len(item) < 8:
            raise truncated(path, "its pixel data have no end")
        group, element, size = struct.unpack(order + "HHI", item)
        if (group, element) == _SEQUENCE_END:
            return
        yield size


def truncated(path: Path, detail: str) -> DamagedSlideError:
    """The error for a file that ends too early."""
    return DamagedSlideError(path, f"the file is truncated: {detail}; copy or upload it again")
