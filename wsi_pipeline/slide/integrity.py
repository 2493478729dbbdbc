"""Structural checks that find a truncated file before any of its pixels is trusted.

OpenSlide opens a truncated slide gladly when its directory came first; the loss would show as
unreadable tissue hours later, or not at all where the lost part is glass.
"""

import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import tifffile

from wsi_pipeline.errors import DamagedSlideError, SlideError
from wsi_pipeline.slide.image_header import check_picture, truncated
from wsi_pipeline.slide.recognition import EMPTY
from wsi_pipeline.slide.tiff.file import open_tiff

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DICOM_PREAMBLE = 128
_DICOM_MAGIC = b"DICM"
_LOST_OFFSET = re.compile(r"invalid (value offset|page offset|offset to first page)")


def is_tiff(path: Path) -> bool:
    """Whether a file starts as classic or Big TIFF does."""
    with path.open("rb") as file:
        return file.read(4) in _TIFF_MAGIC


def is_dicom(path: Path) -> bool:
    """Whether a file carries DICOM's magic number."""
    with path.open("rb") as file:
        return file.read(_DICOM_PREAMBLE + 4)[_DICOM_PREAMBLE:] == _DICOM_MAGIC


def check_integrity(files: tuple[Path, ...]) -> None:
    """Check that every part the files of one slide refer to is there.

    TIFF (all vendors' variants): every directory, tag value, tile and strip. DICOM: the pixel
    data to its end. PNG and JPEG: their end marks. Other formats pass; OpenSlide checks what it
    reads of them.

    Raises:
        DamagedSlideError: a file is empty, or refers to bytes beyond its end.
    """
    for path in files:
        if path.stat().st_size == 0:
            raise DamagedSlideError(path, EMPTY)
        if is_tiff(path):
            _check_tiff(path)
        elif is_dicom(path):
            from wsi_pipeline.slide import dicom  # noqa: PLC0415 - see there

            dicom.check_pixel_data(path)
        elif path.suffix.lower() != ".mrxs":  # may begin with a JPEG that is no picture of it
            check_picture(path)


def _check_tiff(path: Path) -> None:
    length = path.stat().st_size
    complaints = _Complaints()
    logger = logging.getLogger("tifffile")
    logger.addHandler(complaints)
    furthest = 0
    try:
        with open_tiff(path) as tiff:
            for page in _pages(tiff):
                ends = zip(page.dataoffsets, page.databytecounts, strict=False)
                last = max((offset + count for offset, count in ends if count), default=0)
                furthest = max(furthest, last)
    except SlideError:
        raise
    except Exception as error:  # tifffile meets damage with many kinds of error
        raise DamagedSlideError(path, f"its TIFF directory is damaged: {error}") from error
    finally:
        logger.removeHandler(complaints)
    if furthest > length:
        raise truncated(path, f"a tile ends at byte {furthest:,} of {length:,}")
    lost = next((text for text in complaints.texts if _LOST_OFFSET.search(text)), None)
    if lost is not None:
        raise truncated(path, f"part of its directory is beyond byte {length:,}")


def _pages(tiff: tifffile.TiffFile) -> Iterator[tifffile.TiffPage]:
    for page in tiff.pages:
        full = page.aspage()
        yield full
        yield from (sub.aspage() for sub in full.pages or ())


class _Complaints(logging.Handler):
    """Keeps what tifffile only logs: it drops a directory it cannot reach and carries on.

    All threads share the logger, and others may be looking at other files: theirs is left to them.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.texts.append(record.getMessage())
