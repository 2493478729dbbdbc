"""Results of made-up slides: maps of probabilities with tumours and with single wrong cells."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.classes import TUMOUR_OR_NORMAL, Classes
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.slide.info import Level
from wsi_pipeline.stitch.cells import stitch_cells
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.slide_answer_record import SlideAnswerRecord, SlideRuleRecord, State
from wsi_pipeline.stitch.writer import write_store
from wsi_pipeline.testing.records import make_record
from wsi_pipeline.tiles.plan import Coverage, Plan

Map = NDArray[np.float32]
#: Px of a cell.
_CELL = 16


def planted_map(rng: np.random.Generator, *, positive: bool, side: int = 24, wrong: int = 3) -> Map:
    """A map, float32 ``(side, side)``; NaN = glass.

    Tissue is a disc of mostly low probabilities. Every slide has some single cells of high ones,
    which are nothing; a positive one has a tumour of neighbouring cells too, none of them as sure.

    Args:
        rng: Draws.
        positive: Whether there is a tumour.
        side: Cells along a side.
        wrong: Single cells, at most.
    """
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    probability = rng.beta(1.2, 8, (side, side))
    inside = np.hypot(x, y) < 0.45 * side
    places = np.argwhere(inside)
    for row, column in places[rng.choice(len(places), 1 + rng.integers(wrong), replace=False)]:
        probability[row, column] = rng.uniform(0.93, 0.999)
    if positive:
        row, column = places[rng.integers(len(places))] - (side - 1) / 2
        near = (np.hypot(y - row, x - column) < rng.uniform(1.2, 2.6)) & inside
        probability[near] = rng.uniform(0.5, 0.95, int(near.sum()))
    return np.where(inside, probability, np.nan).astype(np.float32)


def write_map_result(
    folder: Path,
    name: str,
    probability: Map,
    package: ModelPackage | None = None,
    *,
    classes: Classes = TUMOUR_OR_NORMAL,
    answer: SlideAnswerRecord | None = None,
) -> Result:
    """Write a result with a map into a folder, as ``NAME.zarr``.

    Args:
        folder: Made if it is missing.
        name: Of the slide.
        probability: ``(rows, columns)`` of a binary model, else ``(planes, rows, columns)``.
        package: The model it says it was made with.
        classes: Of the model.
        answer: What it says of the slide, by a fit of its package.
    """
    rows, columns = probability.shape[-2:]
    size = Size(columns * _CELL, rows * _CELL)
    levels = (Level(size, 1.0),)
    grid = Grid(0, size, 1.0, 1.0, _CELL, _CELL, Mpp(8.0, 8.0))
    plane = probability if classes.task == "binary" else probability[0]
    chosen = ~np.isnan(plane)
    places = np.argwhere(chosen)
    plan = Plan(
        grid=grid,
        cells=places[:, ::-1].astype(np.int64),
        tissue=np.ones(len(places), np.float32),
        coverage=np.where(chosen, Coverage.CLASSIFIED, Coverage.GLASS).astype(np.uint8),
        settled=0,
        unreadable=np.empty((0, 2), np.int64),
    )
    answers = np.moveaxis(probability[..., chosen], 0, -1).astype(np.float32)
    cells = stitch_cells(plan, [(plan.cells, answers)], classes)
    record = make_record(grid, levels, cells, name=name)
    if package is not None:
        about = package.description
        model = replace(record.model, name=about.name, version=about.version, sha256=package.sha256)
        record = replace(record, model=model)
    if answer is not None:
        record = replace(record, slide_answer=answer, slide_score=answer.probability)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.zarr"
    write_store(
        path,
        name=name,
        plan=plan,
        probabilities=answers,
        cells=cells,
        threshold=record.threshold,
        levels=levels,
        attributes=record.to_json(),
    )
    return Result(path)


def made_up_answer(state: State, probability: float) -> SlideAnswerRecord:
    """An answer as a fit gives one, by limits of 0.3 and 0.6."""
    rule = SlideRuleRecord(
        alpha=0.05,
        delta=0.1,
        false_alarms=0.2,
        slides=100,
        positives=30,
        clear_below=0.3,
        suspicious_from=0.6,
    )
    return SlideAnswerRecord(
        method="regions-logistic",
        probability=probability,
        low=max(0.0, probability - 0.1),
        high=min(1.0, probability + 0.1),
        probabilities={"normal": 1 - probability, "tumour": probability},
        state=state,
        reason="made up",
        rule=rule,
    )
