"""One slide of a result of several classes: its cells held against the truth of every class."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.annotation.truth import Truth
from wsi_pipeline.classes import NOT_ANALYSED, Classes
from wsi_pipeline.evaluation.overlap import Overlap, measure_overlap
from wsi_pipeline.export.decision import Decision, decide_all
from wsi_pipeline.geometry import PerAxis
from wsi_pipeline.grid import Grid
from wsi_pipeline.stitch.cells import TUMOUR
from wsi_pipeline.stitch.result import Result

#: Names of a class that is what no annotation covers.
BACKGROUND = frozenset({"normal", "background", "benign", "negative", "none", "other"})
#: Places along each side of a cell at which the truth is looked up.
_PLACES = 8
#: Rows of cells that are looked up at once.
_BAND = 64
#: Of a cell whose truth nobody knows.
UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class ClassCells:
    """The classified cells of a slide, each of them ``(n,)`` or ``(n, planes)``.

    Attributes:
        classes: What the model answers for.
        truth: Label of the class that covers most of the cell; :data:`UNKNOWN`: no class that is
            annotated does, and no class is what nothing covers.
        holds: For each plane whether the cell is of the class: its truth, or of a multilabel
            model what covers at least half of it.
        called: Label the result gives.
        probability: Of each plane.
        overlaps: Of mask and truth, px by px, by class.
        annotated: Classes that the slide's annotation knows.
    """

    classes: Classes
    truth: NDArray[np.int16]
    holds: NDArray[np.bool_]
    called: NDArray[np.uint8]
    probability: NDArray[np.float32]
    overlaps: Mapping[str, Overlap]
    annotated: tuple[str, ...]


def background_of(classes: Classes) -> str | None:
    """The class that is what no annotation covers; None where no name says so.

    A multilabel model has none: what no annotation covers has none of its classes.
    """
    if classes.task == "multilabel":
        return None
    return next((name for name in classes.names if name.casefold() in BACKGROUND), None)


def class_cells(
    result: Result, truths: Mapping[str, Truth], threshold: float | None = None
) -> ClassCells:
    """Hold every cell of a result against the truth.

    The slide must be annotated exhaustively: what is not annotated is the background's. Classes
    are taken to overlap nowhere, but for a multilabel model.

    Memory: some 30 bytes per cell and class.

    Args:
        result: Of a model of several classes.
        truths: By the name of the class; a class that is missing is nowhere on the slide.
        threshold: As for :func:`~wsi_pipeline.export.decision.decide`.

    Raises:
        AnnotationError: a truth cannot be decoded.
        ResultError: the result is damaged.
    """
    classes = result.classes
    decisions = {one.of.name: one for one in decide_all(result, threshold)}
    first = next(iter(decisions.values()))
    planes = [one.name for one in classes.planes]
    probability = np.stack([decisions[name].probability for name in planes], axis=-1)
    known = first.mask != NOT_ANALYSED
    labels = classes.decide(np.moveaxis(probability, -1, 0), first.threshold)
    shares = np.stack([cell_shares(truths.get(name), first.grid) for name in planes], axis=-1)
    background = background_of(classes)
    if background is not None:
        at = planes.index(background)
        shares[..., at] = np.maximum(0, 1 - np.delete(shares, at, axis=-1).sum(axis=-1))
    truth = _labels_of(classes, shares[known])
    if classes.task == "multilabel":
        holds = shares[known] >= 0.5
    else:
        holds = truth[:, None] == np.arange(len(planes))
    return ClassCells(
        classes=classes,
        truth=truth,
        holds=holds,
        called=labels[known],
        probability=probability[known],
        overlaps=_overlaps(decisions, truths, background),
        annotated=tuple(name for name in planes if name in truths),
    )


def cell_shares(truth: Truth | None, grid: Grid) -> NDArray[np.float32]:
    """Share of each cell that the truth covers, ``(rows, columns)``, from 8 × 8 places in it.

    Raises:
        AnnotationError: the truth cannot be decoded.
    """
    rows, columns = grid.size.height, grid.size.width
    shares = np.zeros((rows, columns), np.float32)
    if truth is None or truth.bounds is None:
        return shares
    cell = grid.cell_0
    px_0 = PerAxis(cell.x / _PLACES, cell.y / _PLACES)
    first = max(0, int(truth.bounds[1] // cell.y))
    last = min(rows, int(truth.bounds[3] // cell.y) + 1)
    for top in range(first, last, _BAND):
        count = min(_BAND, last - top)
        window = truth.window(0.0, top * cell.y, columns * _PLACES, count * _PLACES, px_0)
        blocks = window.reshape(count, _PLACES, columns, _PLACES)
        shares[top : top + count] = blocks.mean(axis=(1, 3))
    return shares


def _labels_of(classes: Classes, shares: NDArray[np.float32]) -> NDArray[np.int16]:
    """The label of what covers most of each cell, ``(n,)``."""
    if not len(shares):
        return np.zeros(0, np.int16)
    most, largest = shares.argmax(axis=1).astype(np.int16), shares.max(axis=1)
    if classes.task == "multilabel":
        return np.where(largest >= 0.5, most + 1, 0).astype(np.int16)
    least = 0.0 if background_of(classes) is not None else 0.5
    return np.where(largest > least, most, UNKNOWN).astype(np.int16)


def _overlaps(
    decisions: Mapping[str, Decision], truths: Mapping[str, Truth], background: str | None
) -> dict[str, Overlap]:
    """Of mask and truth by class, the background's among them if there is one."""
    found = {
        name: measure_overlap(one, truths.get(name))
        for name, one in decisions.items()
        if name != background
    }
    if background is not None:
        found[background] = _rest(decisions[background], found, truths)
    return {name: found[name] for name in decisions}


def _rest(rest: Decision, found: Mapping[str, Overlap], truths: Mapping[str, Truth]) -> Overlap:
    """Of what no annotation covers: of the analysed px those that are of no other class."""
    grid = rest.grid
    columns = grid.column_edges(grid.downsample, grid.level_size.width)
    rows = grid.row_edges(grid.downsample, grid.level_size.height)
    px = np.outer(np.diff(rows), np.diff(columns))
    others = [(one, measure_overlap(rest, truths.get(name)).both) for name, one in found.items()]
    mask = int(px[rest.mask == TUMOUR].sum())
    seen = sum(one.tumour - sum(one.unseen.values()) for one, _ in others)
    return Overlap(
        tumour=int(px[rest.mask != NOT_ANALYSED].sum()) - seen,
        mask=mask,
        both=mask - sum(both for _, both in others),
        unseen={},
        px_mm2=others[0][0].px_mm2,
    )
