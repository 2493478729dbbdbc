"""Detections: points with a probability, from a heatmap or a challenge's CSV file, and back."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import CohortError
from wsi_pipeline.evaluation.tables import is_number, read_rows
from wsi_pipeline.export.decision import Decision

_HEADINGS = {
    "probability": ("probability", "prob", "p", "confidence", "score"),
    "x": ("x", "x_coordinate", "xcoord", "x0", "x_0"),
    "y": ("y", "y_coordinate", "ycoord", "y0", "y_0"),
}


@dataclass(frozen=True, slots=True)
class Detections:
    """Where a program says there is tumour, the most probable first; each ``(n,)``.

    Attributes:
        probability: 0-1.
        x: Level-0 px.
        y: Level-0 px.
    """

    probability: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.probability)


def no_detections() -> Detections:
    """Nothing was detected."""
    return Detections(np.empty(0), np.empty(0), np.empty(0))


def suppress(decision: Decision, *, threshold: float = 0.5, radius_um: float = 187.0) -> Detections:
    """Make detections of a heatmap by circular non-maximum suppression.

    The most probable cell is a detection, at the centre of its part inside the slide; every cell
    whose centre is within the radius of it is part of it; and so on with the cells that are left,
    down to the threshold. Of equally probable cells the first in row order is taken.

    Args:
        decision: The cells.
        threshold: Least probability of a detection.
        radius_um: Radius of suppression in µm; the challenge's winners used about 187.
    """
    probability = decision.probability
    rows, columns = np.nonzero(probability >= np.float32(threshold))
    if not len(rows):
        return no_detections()
    values = probability[rows, columns]
    order = np.lexsort((columns, rows, -values))
    x = (decision.column_edges[:-1] + decision.column_edges[1:]) / 2
    y = (decision.row_edges[:-1] + decision.row_edges[1:]) / 2
    x_um, y_um = x * decision.mpp_0.x, y * decision.mpp_0.y
    free = np.ones(probability.shape, bool)
    taken: list[tuple[int, int]] = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if not free[row, column]:
            continue
        taken.append((row, column))
        near_rows = _within(y_um, y_um[row], radius_um)
        near_columns = _within(x_um, x_um[column], radius_um)
        down, across = y_um[near_rows] - y_um[row], x_um[near_columns] - x_um[column]
        free[near_rows, near_columns] &= np.hypot(down[:, None], across) > radius_um
    row_of, column_of = np.array(taken).T
    found = probability[row_of, column_of].astype(np.float64)
    return Detections(found, x[column_of], y[row_of])


def _within(centres: NDArray[np.float64], centre: float, radius: float) -> slice:
    """Cells of one axis no further than the radius; the cell itself at least."""
    first = int(np.searchsorted(centres, centre - radius, side="left"))
    return slice(first, int(np.searchsorted(centres, centre + radius, side="right")))


def write_detections(detections: Detections, path: Path) -> None:
    """Write them as the challenge wants them: ``probability,x,y`` without a header, level-0 px.

    A slide without any gets an empty file: without a file it would not have been looked at.
    """
    lines = (
        f"{probability:.9g},{x:.9g},{y:.9g}\n"
        for probability, x, y in zip(
            detections.probability, detections.x, detections.y, strict=True
        )
    )
    path.write_text("".join(lines), encoding="utf-8")


def read_detections(path: Path) -> Detections:
    """Read a slide's detections: probability, x, y in level-0 px.

    A header may be there, and tell another order; an empty file has none.

    Raises:
        CohortError: it cannot be read, or a line holds something else than that.
    """
    rows = read_rows(path)
    order = [0, 1, 2]
    if rows and not is_number(rows[0][1][0]):
        order = _order(path, rows[0][1])
        rows = rows[1:]
    values = np.empty((len(rows), 3))
    for index, (number, row) in enumerate(rows):
        try:
            values[index] = [float(row[place]) for place in order]
        except (IndexError, ValueError):
            values[index] = math.nan
        probability = values[index, 0]
        if not np.isfinite(values[index]).all() or not 0 <= probability <= 1:
            raise CohortError(
                path, f"line {number} is not a probability within 0-1 and x, y in level-0 px"
            )
    values = values[np.argsort(-values[:, 0], kind="stable")]
    return Detections(values[:, 0], values[:, 1], values[:, 2])


def _order(path: Path, heading: list[str]) -> list[int]:
    names = [cell.lower().replace(" ", "_") for cell in heading]
    places = []
    for wanted, spellings in _HEADINGS.items():
        place = next((names.index(name) for name in spellings if name in names), None)
        if place is None:
            raise CohortError(path, f"its heading {', '.join(heading)} names no {wanted}")
        places.append(place)
    return places
