"""DICOM slides: which files belong together, whether all pixels are there, how colour is encoded.

Imported when a DICOM file is met, not before: pydicom's import takes as long as checking a slide.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    VLWholeSlideMicroscopyImageStorage,
)

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.geometry import Size
from wsi_pipeline.slide.image_header import truncated
from wsi_pipeline.slide.jpeg_header import Encoding

# Values out of their legal range are pydicom's business to warn of; here only the structure counts.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

_UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXEL_DATA_GROUP = 0x7FE0
_SEQUENCE_END = (0xFFFE, 0xE0DD)
#: What OpenSlide 4.0 asks for before anything else.
_NEEDED = ("ImageType", "Rows", "Columns", "TotalPixelMatrixRows", "TotalPixelMatrixColumns")
#: What OpenSlide 4.0 decodes.
_READ_SYNTAXES = frozenset(
    {ImplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGBaseline8Bit, JPEG2000, JPEG2000Lossless}
)
#: Baseline and extended JPEG.
_JPEG = (JPEGBaseline8Bit, JPEGExtended12Bit)
#: Photometric interpretations JPEG frames may have (PS3.5, 8.2.1).
_ENCODINGS: dict[str, Encoding] = {"RGB": "RGB", "YBR_FULL": "YCBCR", "YBR_FULL_422": "YCBCR"}
_COLOUR_TAGS = [
    "DimensionOrganizationType",
    "PhotometricInterpretation",
    "TotalPixelMatrixColumns",
    "TotalPixelMatrixRows",
]


def series_of(path: Path) -> str | None:
    """The series a file belongs to (tag 0020,000E), None if it cannot be told."""
    try:
        tags = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
    except Exception:  # damage is reported where the slide is checked, not here
        return None
    series = tags.get("SeriesInstanceUID")
    return None if series is None else str(series)


def why_not_read(path: Path) -> str | None:
    """What OpenSlide cannot read of a DICOM file; None if that cannot be told."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
    except Exception:  # damage is reported where the slide is checked, not here
        return None
    if "SOPClassUID" not in header:
        return None
    kind = UID(str(header.SOPClassUID))
    if kind != VLWholeSlideMicroscopyImageStorage:
        modality = header.get("Modality", "unknown")
        return (
            f"is DICOM of another kind ({kind.name}, modality {modality}), not "
            "a whole-slide image (modality SM); choose the slide's own series"
        )
    lacking = [name for name in _NEEDED if name not in header]
    if lacking:
        return (
            f"its DICOM header lacks {' and '.join(lacking)}, which every whole-slide image has; "
            "export it again from the scanner or archive"
        )
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax is not None and syntax not in _READ_SYNTAXES:
        return (
            f"its px are compressed with {UID(syntax).name}, which is not read; convert it with "
            "`dcmconv` or `gdcmconv --jpeg IN OUT`"
        )
    return None


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
        order = ">" if dataset.file_meta.get("TransferSyntaxUID") == ExplicitVRBigEndian else "<"
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
class JpegPixels:
    """Pixel data of one file that are JPEG, RGB or YCbCr.

    Attributes:
        size: Of the picture the frames make up, px.
        encoding: What the tag *Photometric Interpretation* says the components are.
        full: Whether the frames are all there, row by row (``TILED_FULL``).
        start: Where the items of the pixel data begin, byte of the file.
    """

    size: Size
    encoding: Encoding
    full: bool
    start: int


def jpeg_pixels(path: Path) -> JpegPixels | None:
    """What a file says of its JPEG pixel data; None where they are no JPEG or cannot be told."""
    try:
        with path.open("rb") as file:
            tags = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_COLOUR_TAGS)
            start = file.tell() + 12
        encoding = _ENCODINGS.get(str(tags.get("PhotometricInterpretation")))
        if encoding is None or tags.file_meta.get("TransferSyntaxUID") not in _JPEG:
            return None
        size = Size(int(tags.TotalPixelMatrixColumns), int(tags.TotalPixelMatrixRows))
    except Exception:  # damage is reported where the slide is checked, not here
        return None
    return JpegPixels(size, encoding, tags.get("DimensionOrganizationType") == "TILED_FULL", start)


def fragments(path: Path, start: int) -> Iterator[tuple[int, int]]:
    """First byte and length of each fragment of encapsulated pixel data.

    Args:
        path: The file.
        start: Where the items begin; the first is the offset table.
    """
    with path.open("rb") as file:
        file.seek(start)
        for number, size in enumerate(_items(file, path, "<")):
            if number > 0:
                yield file.tell(), size
            file.seek(size, 1)


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
