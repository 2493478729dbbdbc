"""The cells of a region that are looked at closely: measured where their px are at hand."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.shift.sampling import NUCLEI_EVERY, SAMPLE_VALUES, sample_patch

Cell = tuple[int, int]


class Samples:
    """What is measured of some cells, each once.

    Args:
        cells: Column and row of each, ``(k, 2)``; None: there are none.
        mpp: µm per px of patches.

    Attributes:
        values: :func:`~wsi_pipeline.shift.sampling.sample_patch` of each, float32 ``(k, 12)``; NaN
            where it was not looked at, or could not be read.
    """

    def __init__(self, cells: NDArray[np.int64] | None, mpp: float) -> None:
        wanted = [] if cells is None else [(int(column), int(row)) for column, row in cells]
        self.values = np.full((len(wanted), SAMPLE_VALUES), np.nan, np.float32)
        self._mpp = mpp
        self._places: dict[Cell, int] = {cell: place for place, cell in enumerate(wanted)}

    def offer(self, cell: Cell, patch: NDArray[np.uint8]) -> None:
        """Measure a patch if its cell is wanted.

        Args:
            cell: Column and row.
            patch: RGB, ``(side, side, 3)``, as the model sees it; white where it is unreadable,
                of which all is NaN.
        """
        place = self._places.pop(cell, None)
        if place is not None:
            closely = self._mpp if place % NUCLEI_EVERY == 0 else None
            self.values[place] = sample_patch(patch, closely)

    def beside(self, cells: NDArray[np.int64]) -> list[Cell]:
        """Cells that are wanted and are none of the patches that are read anyway.

        Args:
            cells: Column and row of these patches, ``(n, 2)``.
        """
        known = {(int(column), int(row)) for column, row in cells}
        return [cell for cell in self._places if cell not in known]

    def read(self, cell: Cell, read: Callable[[int, int], NDArray[np.uint8]]) -> None:
        """Read a cell's patch for this alone; what is unreadable stays NaN.

        Args:
            cell: Column and row.
            read: Gives its patch.
        """
        try:
            self.offer(cell, read(*cell))
        except DamagedSlideError:
            self._places.pop(cell, None)
