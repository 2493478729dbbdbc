"""Opens TIFF files by what they are, not by what they are called."""

from pathlib import Path

import tifffile

from wsi_pipeline.slide.tiff.directories import check_directories, is_ndpi


def open_tiff(path: Path) -> tifffile.TiffFile:
    """Open a TIFF file; ``tifffile`` alone takes NDPI for what is called ``.ndpi``.

    Raises:
        DamagedSlideError: its directories do not end, or claim what no image is.
        tifffile.TiffFileError: it is none, or its header is damaged.
    """
    check_directories(path)
    return tifffile.TiffFile(path, is_ndpi=is_ndpi(path))
