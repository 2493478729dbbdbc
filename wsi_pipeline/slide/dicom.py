"""DICOM slides: which files belong together, and whether their pixel data are all there.

Imported when a DICOM file is met, not before: pydicom's import takes as long as checking a slide.
"""

import struct
from pathlib import Path

import pydicom
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    VLWholeSlideMicroscopyImageStorage,
)

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.slide.image_header import truncated

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
        while True:
            item = file.read(8)
            if len(item) < 8:
                raise truncated(path, "its pixel data have no end")
            group, element, size = struct.unpack(order + "HHI", item)
            if (group, element) == _SEQUENCE_END:
                return
            file.seek(size, 1)
