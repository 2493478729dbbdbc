"""From tile probabilities to the grid: averages, coverage and the decision per cell."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.tiles.plan import Coverage, Plan

#: Values of the tumour mask.
NOT_TUMOUR, TUMOUR, NOT_ANALYSED = 0, 1, 255


@dataclass(frozen=True, slots=True)
class Cells:
    """The outcome per grid cell.

    Attributes:
        probability: float32 ``(rows, columns)``; NaN = not classified.
        coverage: :class:`~wsi_pipeline.tiles.plan.Coverage`, uint8 ``(rows, columns)``.
    """

    probability: NDArray[np.float32]
    coverage: NDArray[np.uint8]

    def decision(self, threshold: float) -> NDArray[np.uint8]:
        """0 = not tumour, 1 = tumour, 255 = not analysed; uint8 ``(rows, columns)``."""
        classified = self.coverage == Coverage.CLASSIFIED
        # In float32, as the probabilities are: 0.5 stored and 0.5 asked for must meet.
        tumour = self.probability >= np.float32(threshold)
        return np.where(classified, np.where(tumour, TUMOUR, NOT_TUMOUR), NOT_ANALYSED).astype(
            np.uint8
        )


def stitch_cells(plan: Plan, probabilities: NDArray[np.float32]) -> Cells:
    """Average over each cell the patches that cover its centre.

    Sums are taken in a fixed order in float64: no result depends on arrival order.

    Args:
        plan: The tiles.
        probabilities: One for each tile in plan order, NaN = unreadable.
    """
    rows, columns = plan.coverage.shape
    total, count = np.zeros((rows, columns)), np.zeros((rows, columns), np.int32)
    valid = ~np.isnan(probabilities)
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
    mean = np.full((rows, columns), np.nan, np.float32)
    np.divide(total, count, out=mean, where=count > 0, casting="same_kind")
    return Cells(mean, coverage)
