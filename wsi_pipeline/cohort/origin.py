"""Which stain a synthetic slide was drawn in: its centre, as far as it has one."""

import re
from pathlib import Path

from wsi_pipeline.slide.synthetic import declares_synthetic
from wsi_pipeline.slide.tiff.file import open_tiff

#: In the image description that ``wsi synth`` writes, in every format.
_STAIN = re.compile(r"wsi-pipeline synthetic.*\|Stain = ([\w-]+)", re.DOTALL)


def synthetic_stain(path: Path) -> str | None:
    """The stain of a slide that ``wsi synth`` drew; empty if it is not stated, None if it did not.

    The file says so itself; nothing is guessed from its px.

    Raises:
        OSError: the file cannot be read.
    """
    if not declares_synthetic(path):
        return None
    with open_tiff(path) as tiff:
        stated = _STAIN.search(str(tiff.pages.first.description))
    return stated[1] if stated else ""
