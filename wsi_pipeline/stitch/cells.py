"""From tile probabilities to the grid: averages, coverage and the decision per cell."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.classes import NOT_ANALYSED, TUMOUR_OR_NORMAL, Classes
from wsi_pipeline.tiles.plan import Coverage, Plan

#: Labels of a binary mask, with `NOT_ANALYSED`.
NOT_TUMOUR, TUMOUR = 0, 1


@dataclass(frozen=True, slots=True)
class Cells:
    """The outcome per grid cell.

    Attributes:
        probability: float32 ``(rows, columns)`` of a binary model, else ``(planes, rows,
            columns)``; NaN = not classified.
        coverage: :class:`~wsi_pipeline.tiles.plan.Coverage`, uint8 ``(rows, columns)``.
        classes: What the model answers for.
    """

    probability: NDArray[np.float32]
    coverage: NDArray[np.uint8]
    classes: Classes = TUMOUR_OR_NORMAL

    @property
    def positive(self) -> NDArray[np.float32]:
        """Probability of the positive class, float32 ``(rows, columns)``; NaN = not classified."""
        return self.classes.plane_of(self.classes.positive, self.probability)

    def decision(self, threshold: float) -> NDArray[np.uint8]:
        """The label of each cell, uint8 ``(rows, columns)``.

        :attr:`~wsi_pipeline.classes.Classes.labels` names them; 255 = not analysed.
        """
        classified = self.coverage == Coverage.CLASSIFIED
        decided = self.classes.decide(self.probability, threshold)
        return np.where(classified, decided, NOT_ANALYSED).astype(np.uint8)


def stitch_cells(
    plan: Plan, probabilities: NDArray[np.float32], classes: Classes = TUMOUR_OR_NORMAL
) -> Cells:
    """Average over each cell the patches that cover its centre.

    Sums are taken in a fixed order in float64: no result depends on arrival order.

    Args:
        plan: The tiles.
        probabilities: One answer for each tile in plan order, ``(n,)`` of a binary model, else
            ``(n, planes)``; NaN = unreadable.
        classes: What the model answers for.
    """
    rows, columns = plan.coverage.shape
    answer = probabilities.shape[1:]
    total, count = np.zeros((rows, columns, *answer)), np.zeros((rows, columns), np.int32)
    valid = ~np.isnan(probabilities).any(axis=tuple(range(1, probabilities.ndim)))
    cells, values = plan.cells[valid], probabilities[valid].astype(np.float64)
    for down in range(plan.grid.reach):
        for right in range(plan.grid.reach):
            x, y = cells[:, 0] + right, cells[:, 1] + down
            inside = (x < columns) & (y < rows)
            # A cell is reached by at most one patch per offset, so plain indexing adds rightly.
            total[y[inside], x[inside]] += values[inside]
            count[y[inside], x[inside]] += 1
    coverage = plan.coverage.copy()
    lost = plan.cells[~valid]
    coverage[lost[:, 1], lost[:, 0]] = Coverage.UNREADABLE
    coverage[count > 0] = Coverage.CLASSIFIED
    mean = np.full(total.shape, np.nan, np.float32)
    shares = count.reshape(rows, columns, *(1 for _ in answer))
    np.divide(total, shares, out=mean, where=shares > 0, casting="same_kind")
    # Planes come first in the store, as OME-Zarr orders its axes.
    return Cells(np.moveaxis(mean, -1, 0) if answer else mean, coverage, classes)
