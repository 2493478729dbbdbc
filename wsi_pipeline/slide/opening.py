"""Choosing the reader for a file."""

import logging
from pathlib import Path

from wsi_pipeline.errors import DamagedSlideError, UnsupportedSlideError
from wsi_pipeline.slide.files import slide_files
from wsi_pipeline.slide.integrity import is_tiff
from wsi_pipeline.slide.openslide_reader import DecodedTiles, OpenSlideReader, detect_vendor
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.slide.tiff_directories import MAX_SIDE_PX, check_directories
from wsi_pipeline.slide.tiff_reader import TiffReader, hides_pyramid
from wsi_pipeline.slide.tile_reader import with_direct_tiles

# tifffile logs oddities of vendors' files that concern nobody; integrity.py looks at them itself.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
logging.getLogger("tifffile").propagate = False

MAX_LEVELS = 64


def open_slide(
    path: Path | str, *, direct_tiles: bool = True, cache: DecodedTiles | None = None
) -> SlideReader:
    """Open a slide file, or a folder of DICOM files.

    Args:
        path: The slide.
        direct_tiles: Decode JPEG tiles without OpenSlide where the pixels are the same.
        cache: For decoded tiles of this and other slides; None gives the slide one of its own.

    Raises:
        UnsupportedSlideError: not a slide, or of a kind that cannot be read; says the remedy.
        DamagedSlideError: a slide that cannot be opened.
    """
    file = slide_files(Path(path))[0]
    if is_tiff(file):
        check_directories(file)  # before a library follows them without end
    direct = None if cache is None else cache.direct
    reader: SlideReader
    if is_tiff(file) and _hides_pyramid(file):
        reader = TiffReader(file, direct)
    else:
        plain = OpenSlideReader(file, None if cache is None else cache.of_openslide)
        reader = with_direct_tiles(plain, direct) if direct_tiles else plain
    size = reader.info.size
    if max(size.width, size.height) > MAX_SIDE_PX or len(reader.info.levels) > MAX_LEVELS:
        reader.close()
        raise DamagedSlideError(file, f"claims {size} px, more than any scanner makes")
    return reader


def _hides_pyramid(file: Path) -> bool:
    # Vendors' own TIFF variants are OpenSlide's even where they use sub-IFDs.
    if detect_vendor(file) not in (None, "generic-tiff"):
        return False
    try:
        return hides_pyramid(file)
    except Exception as error:  # tifffile meets damage with many kinds of error
        cause = f"its TIFF directory is damaged or truncated: {error}"
        raise UnsupportedSlideError(file, cause) from error
