"""Choosing the reader for a file."""

import logging
from pathlib import Path

from wsi_pipeline.errors import DamagedSlideError, SlideError, UnsupportedSlideError
from wsi_pipeline.slide.colour_correction import with_true_colours
from wsi_pipeline.slide.files import slide_files
from wsi_pipeline.slide.image_header import read_header
from wsi_pipeline.slide.integrity import is_dicom, is_tiff
from wsi_pipeline.slide.openslide_reader import DecodedTiles, OpenSlideReader, detect_vendor
from wsi_pipeline.slide.picture_reader import PictureReader
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.slide.recognition import why_no_slide
from wsi_pipeline.slide.tiff.directories import MAX_SIDE_PX, check_directories
from wsi_pipeline.slide.tiff.reader import TiffReader, suits_openslide
from wsi_pipeline.slide.tile_reader import with_direct_tiles

# tifffile logs oddities of vendors' files that concern nobody; integrity.py looks at them itself.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
logging.getLogger("tifffile").propagate = False

MAX_LEVELS = 64
#: OpenSlide's formats whose first directory is the slide, so that it can be read without OpenSlide.
_PLAIN_TIFF = frozenset({"generic-tiff", "aperio"})


def open_slide(
    path: Path | str, *, direct_tiles: bool = True, cache: DecodedTiles | None = None
) -> SlideReader:
    """Open a slide file, a folder of DICOM files, or a region of interest as PNG or JPEG.

    What OpenSlide reads with all its levels is read by it. Other TIFF files, PNG and JPEG are
    decoded here.

    Colours that are certainly labelled wrongly are corrected; the slide's facts say so.

    Args:
        path: The slide.
        direct_tiles: Decode JPEG tiles without OpenSlide where the pixels are the same.
        cache: For decoded tiles of this and other slides; None gives the slide one of its own.

    Raises:
        UnsupportedSlideError: not a slide, or of a kind that cannot be read; says the remedy.
        DamagedSlideError: a slide that cannot be opened.
        SlideContentError: its colours are labelled wrongly and cannot be corrected.
    """
    files = slide_files(Path(path))
    file = files[0]
    if is_tiff(file):
        check_directories(file)  # before a library follows them without end
    reader = _reader(file, cache, direct_tiles=direct_tiles)
    size = reader.info.size
    if max(size.width, size.height) > MAX_SIDE_PX or len(reader.info.levels) > MAX_LEVELS:
        reader.close()
        raise DamagedSlideError(file, f"claims {size} px, more than any scanner produces")
    return with_true_colours(reader, files)


def _reader(file: Path, cache: DecodedTiles | None, *, direct_tiles: bool) -> SlideReader:
    direct = None if cache is None else cache.direct
    vendor = detect_vendor(file)
    if vendor is None:
        _refuse_parts(file)
        if is_tiff(file):
            return TiffReader(file, direct)
        if read_header(file) is not None:
            return PictureReader(file, direct)
        if is_dicom(file):
            reason = _why_not_dicom(file)
            if reason is None:
                raise DamagedSlideError(file, "its DICOM header is damaged or truncated")
            raise UnsupportedSlideError(file, reason)
        raise why_no_slide(file)
    # Vendors' own TIFF variants are OpenSlide's even where they use sub-IFDs.
    if vendor == "generic-tiff" and not _suits_openslide(file):
        return TiffReader(file, direct)
    try:
        plain = OpenSlideReader(file, None if cache is None else cache.of_openslide)
    except UnsupportedSlideError:
        if vendor not in _PLAIN_TIFF:
            raise
        return TiffReader(file, direct)
    except SlideError as error:
        reason = _why_not_dicom(file) if is_dicom(file) else None
        if reason is None:
            raise
        raise UnsupportedSlideError(file, reason) from error
    return with_direct_tiles(plain, direct) if direct_tiles else plain


def _refuse_parts(file: Path) -> None:
    """Refuse what would open as a picture, but is the index of a slide of several files."""
    if file.suffix.lower() == ".mrxs":
        cause = f"its folder {file.stem}/ holds no Slidedat.ini: copy the whole folder again"
        raise UnsupportedSlideError(file, cause)
    if file.suffix.lower() == ".vsi":
        cause = (
            f"is an Olympus VSI slide, whose px are in the folder _{file.stem}_; convert it with "
            "`bfconvert -series 0 IN OUT.ome.tiff`"
        )
        raise UnsupportedSlideError(file, cause)


def _why_not_dicom(file: Path) -> str | None:
    from wsi_pipeline.slide import dicom  # noqa: PLC0415 - see there

    return dicom.why_not_read(file)


def _suits_openslide(file: Path) -> bool:
    try:
        return suits_openslide(file)
    except Exception as error:  # tifffile meets damage with many kinds of error
        cause = f"its TIFF directory is damaged or truncated: {error}"
        raise DamagedSlideError(file, cause) from error
