"""A picture for each image of a run: the image, and beside it what its answer rests on."""

import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline import durable
from wsi_pipeline.images.classification import intake_of
from wsi_pipeline.images.explanation.explainer import Explainer
from wsi_pipeline.images.explanation.heat import InputFrame, picture
from wsi_pipeline.images.explanation.plan import FOLDER, picture_path
from wsi_pipeline.images.placement import Placement
from wsi_pipeline.images.reading import ReadImage, read_ahead
from wsi_pipeline.images.table import Row
from wsi_pipeline.images.verdict import explained_class
from wsi_pipeline.model.description import ModelDescription

#: Images explained at once, and the quality of their pictures.
_BATCH, _QUALITY = 8, 90


def draw_missing(
    rows: Sequence[Row], out: Path, explainer: Explainer, about: ModelDescription
) -> Iterator[int]:
    """Draw the pictures that are not there yet; yields how many images are through, in steps.

    The class that is explained is the one an image is called; of several, or none, the likeliest.
    An image that cannot be read any more, or has changed since, gets no picture.

    Args:
        rows: Of the table.
        out: The output folder.
        explainer: Of the model.
        about: The model.

    Raises:
        PackageError: the model's answers cannot be explained.
        OSError: a picture cannot be written.
    """
    (out / FOLDER).mkdir(exist_ok=True)
    missing = [
        row for row in rows if row.verdict is not None and not picture_path(row, out).exists()
    ]
    reading = read_ahead(
        [row.outcome.image for row in missing],
        about.patch_px,
        intake_of(about),
        ahead=_BATCH,
        keep=True,
    )
    pairs = zip(missing, reading, strict=True)
    yield len(rows) - len(missing)
    while batch := list(islice(pairs, _BATCH)):
        _draw(batch, out, explainer, about)
        yield len(batch)


def _draw(
    batch: Sequence[tuple[Row, ReadImage]], out: Path, explainer: Explainer, about: ModelDescription
) -> None:
    usable = [
        (row, read)
        for row, read in batch
        if row.outcome.answer is not None and read.sha256 == row.outcome.answer.sha256
    ]
    squares = [read.square for _, read in usable if read.square is not None]
    if not squares:
        return
    names = about.classification.names
    classes = np.array([_explained(row, names) for row, _ in usable])
    maps = explainer(np.stack(squares), classes)
    for (row, read), heat in zip(usable, maps, strict=True):
        assert read.pixels is not None
        assert read.placement is not None  # both come with the square
        drawn = as_jpeg(read.pixels, heat, explainer.frame, read.placement)
        durable.write_bytes(picture_path(row, out), drawn)


def as_jpeg(
    pixels: NDArray[np.uint8], maps: NDArray[np.float32], frame: InputFrame, placement: Placement
) -> bytes:
    """The bytes of a file of :func:`~wsi_pipeline.images.explanation.heat.picture`."""
    buffer = io.BytesIO()
    drawn = picture(pixels, maps, frame, placement)
    Image.fromarray(drawn).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return buffer.getvalue()


def _explained(row: Row, names: Sequence[str]) -> int:
    assert row.verdict is not None  # only those with an answer are drawn
    return explained_class(row.verdict, names)
