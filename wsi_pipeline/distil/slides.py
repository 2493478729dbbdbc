"""What a model says of the tiles of slides: what its screen learns from, and is validated on."""

import hashlib
import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline import durable
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.errors import DamagedSlideError, SlideMetadataError
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Predictor
from wsi_pipeline.run.classification import classify_region
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.screen.colour import tissue_colour
from wsi_pipeline.screen.view import coarse_level, read_view
from wsi_pipeline.slide.files import slide_name
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.tiles.plan import Plan

#: Every tile, and nothing beside its probability.
_PLAIN = AnalysisSettings(qc="off", screen="off")


@dataclass(frozen=True, slots=True)
class AnsweredSlide:
    """A slide and the model's answers; close the reader when done.

    Attributes:
        name: Its name.
        reader: The open slide.
        plan: Its tiles; those that the model could not answer for are left out.
        level: That the screen looks at.
        colour: :func:`~wsi_pipeline.screen.colour.tissue_colour`.
        probabilities: Of each tile, float32 ``(n,)``.
    """

    name: str
    reader: SlideReader
    plan: Plan
    level: int
    colour: NDArray[np.float64]
    probabilities: NDArray[np.float32]


def answer_slide(
    path: Path, package: ModelPackage, predictor: Callable[[], Predictor], work: Path
) -> AnsweredSlide:
    """Ask a model about every tile of a slide, or take what an earlier call kept.

    Args:
        path: The slide.
        package: The model.
        predictor: Gives the loaded model; called where nothing was kept.
        work: Folder that answers are kept in.

    Raises:
        SlideError: the slide cannot be analysed, has no tissue or no coarse level.
    """
    prepared = prepare(path, package, _PLAIN)
    reader, plan = prepared.reader, prepared.plan
    level = coarse_level(reader, plan.grid)
    if level is None:
        raise SlideMetadataError(
            path, "has no level coarse enough for a screen; choose slides with a pyramid"
        )
    if not len(plan):
        raise SlideMetadataError(path, "shows no tissue; choose slides with tissue")
    facts = (prepared.sha256.result(), package.sha256, plan.sha256)
    kept = work / f"{hashlib.sha256(repr(facts).encode()).hexdigest()[:32]}.npy"
    values = _kept(kept, len(plan))
    if values is None:
        # As in a run: px that are normalised for the model.
        values = classify_region(
            reader, predictor(), plan.grid, plan.cells, stain=prepared.stain
        ).probabilities
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        work.mkdir(parents=True, exist_ok=True)
        durable.write_bytes(kept, buffer.getvalue())
    readable = ~np.isnan(values)
    if not readable.any():
        raise DamagedSlideError(path, "none of its tissue can be read")
    colour = tissue_colour(reader, plan, level)
    if colour is None:
        raise DamagedSlideError(path, "its coarse level cannot be read")
    cells, tissue = plan.cells[readable], plan.tissue[readable]
    answered = replace(plan, cells=cells, tissue=tissue)
    return AnsweredSlide(slide_name(path), reader, answered, level, colour, values[readable])


def views_of(slide: AnsweredSlide, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Pictures of some tiles, RGB uint8 ``(k, 64, 64, 3)``.

    Args:
        slide: The slide.
        chosen: Which of its tiles, ``(k,)``.

    Raises:
        DamagedSlideError: the level cannot be read there.
    """
    return np.stack(
        [
            read_view(slide.reader, slide.plan.grid, slide.level, int(column), int(row))
            for column, row in slide.plan.cells[chosen]
        ]
    )


def _kept(path: Path, count: int) -> NDArray[np.float32] | None:
    # What is damaged is computed again.
    with suppress(OSError, ValueError):
        values: NDArray[np.float32] = np.load(path, allow_pickle=False)
        if values.shape == (count,):
            return values
    return None
