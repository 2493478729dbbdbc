"""Whether a slide was drawn by ``wsi synth``: such files say so themselves."""

from pathlib import Path

import tifffile

from wsi_pipeline.slide.integrity import is_tiff
from wsi_pipeline.slide.tiff.file import open_tiff

#: What ``wsi synth`` writes as the Software of every level, and no scanner does.
SOFTWARE = "wsi-pipeline"


def declares_synthetic(path: Path) -> bool:
    """Whether a slide's file names this program as its maker; False of what is no TIFF.

    Raises:
        OSError: the file cannot be read.
    """
    if not path.is_file() or not is_tiff(path):
        return False
    try:
        with open_tiff(path) as file:
            tag = file.pages.first.tags.get("Software")
    except (tifffile.TiffFileError, IndexError):  # the latter where no directory can be read
        return False
    return tag is not None and str(tag.value).strip() == SOFTWARE
