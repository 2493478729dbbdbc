"""The slide as a picture of a given size, whatever levels it has, in bounded memory."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.errors import ResultError
from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.slide import SlideReader, open_slide
from wsi_pipeline.stitch.result import Result

#: Side of the blocks a level is read in, in its px.
_BLOCK = 4096


def read_backdrop(result: Result, slide: Path, size: Size) -> NDArray[np.uint8]:
    """Read the slide a result is of, reduced to a picture.

    The coarsest level that is at least as large as the picture is read, block by block.

    Memory bound: a few times a block and the picture, however large the level.

    Args:
        result: The result.
        slide: The slide's file.
        size: Of the picture, in its px.

    Returns:
        RGB, ``(height, width, 3)``: exactly the slide's full extent.

    Raises:
        SlideError: the slide cannot be opened or read.
        ResultError: the slide has other dimensions than the result states.
    """
    reader = open_slide(slide)
    try:
        _check_same(result, slide, reader)
        return _reduced(reader, size)
    finally:
        reader.close()


def _check_same(result: Result, slide: Path, reader: SlideReader) -> None:
    expected, found = result.slide.size, reader.info.size
    if expected != found:
        raise ResultError(
            result.path, f"is of a slide of {expected} px, but {slide} has {found} px"
        )


def _reduced(reader: SlideReader, size: Size) -> NDArray[np.uint8]:
    info = reader.info
    index = max(
        (
            i
            for i, item in enumerate(info.levels)
            if item.size.width >= size.width and item.size.height >= size.height
        ),
        default=0,
    )
    level = info.levels[index]
    # Reduced by a whole factor while read, by what remains at the end.
    factor = max(1, min(level.size.width // size.width, level.size.height // size.height))
    whole = Image.fromarray(_read_reduced(reader, index, factor))
    # Levels are whole px long: the slide's true extent in them is a fraction more or less.
    true_width = info.size.width / level.downsample / factor
    true_height = info.size.height / level.downsample / factor
    box = (0.0, 0.0, min(whole.width, true_width), min(whole.height, true_height))
    return np.asarray(whole.resize((size.width, size.height), Image.Resampling.LANCZOS, box=box))


def _read_reduced(reader: SlideReader, index: int, factor: int) -> NDArray[np.uint8]:
    """A level reduced by a whole factor; its last px may be means of less."""
    size = reader.info.levels[index].size
    reduced = np.empty((-(-size.height // factor), -(-size.width // factor), 3), np.uint8)
    step = max(1, _BLOCK // factor) * factor
    for top in range(0, size.height, step):
        for left in range(0, size.width, step):
            width, height = min(step, size.width - left), min(step, size.height - top)
            block = Image.fromarray(reader.read(Region(index, left, top, width, height)))
            part = np.asarray(block.reduce(factor) if factor > 1 else block)
            y, x = top // factor, left // factor
            reduced[y : y + part.shape[0], x : x + part.shape[1]] = part
    return reduced
