"""What every export starts from: a result's cells, their edges on the slide, and the decision."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import ResultError, UsageError
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.stitch.cells import NOT_ANALYSED, TUMOUR, Cells
from wsi_pipeline.stitch.result import Result


@dataclass(frozen=True)
class Decision:
    """The cells of a result as a threshold divides them.

    Attributes:
        probability: float32 ``(rows, columns)``; NaN = not classified.
        coverage: :class:`~wsi_pipeline.tiles.plan.Coverage`, uint8 ``(rows, columns)``.
        mask: 0 = not tumour, 1 = tumour, 255 = not analysed; uint8 ``(rows, columns)``.
        threshold: Probability at and above which a cell is tumour.
        grid: The analysis grid.
        slide: Size of the slide in level-0 px.
    """

    probability: NDArray[np.float32]
    coverage: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    threshold: float
    grid: Grid
    slide: Size

    @property
    def mpp_0(self) -> Mpp:
        """µm per level-0 px."""
        return self.grid.mpp_0

    @property
    def tumour(self) -> NDArray[np.bool_]:
        """Where there is tumour, ``(rows, columns)``."""
        return np.equal(self.mask, TUMOUR)

    @cached_property
    def column_edges(self) -> NDArray[np.float64]:
        """Where columns begin and end in level-0 px, ``(columns + 1,)``, inside the slide.

        These are the edges of the stored mask: whole px of the analysis level.
        """
        grid = self.grid
        edges = grid.column_edges(grid.downsample, grid.level_size.width)
        return _in_level_0(edges, grid.downsample, self.slide.width)

    @cached_property
    def row_edges(self) -> NDArray[np.float64]:
        """Where rows begin and end in level-0 px, ``(rows + 1,)``, inside the slide."""
        grid = self.grid
        edges = grid.row_edges(grid.downsample, grid.level_size.height)
        return _in_level_0(edges, grid.downsample, self.slide.height)

    @cached_property
    def area_mm2(self) -> NDArray[np.float64]:
        """Area of each cell's part inside the slide in mm², ``(rows, columns)``."""
        px_mm2 = self.mpp_0.x * self.mpp_0.y / 1e6
        return np.outer(np.diff(self.row_edges), np.diff(self.column_edges)) * px_mm2

    def picture_size(self, side: int) -> Size:
        """Px of a picture of the slide in its true proportions, also where px are not square.

        Args:
            side: Its longer side in px.
        """
        width_um, height_um = self.slide.width * self.mpp_0.x, self.slide.height * self.mpp_0.y
        longer = max(width_um, height_um)
        across, down = side * width_um / longer, side * height_um / longer
        return Size(max(1, round(across)), max(1, round(down)))

    @property
    def tumour_mm2(self) -> float:
        """Area of all tumour in mm²."""
        return float(self.area_mm2[self.tumour].sum())

    @property
    def analysed_mm2(self) -> float:
        """Area of all classified cells in mm²."""
        return float(self.area_mm2[self.mask != NOT_ANALYSED].sum())


def decide(result: Result, threshold: float | None = None) -> Decision:
    """The cells of a result, divided by its own threshold or another.

    Args:
        result: The result.
        threshold: Probability (0-1) at and above which a cell is tumour; None takes the result's.

    Raises:
        UsageError: the threshold is not a probability.
        ResultError: the result is damaged.
    """
    value = chosen_threshold(result, threshold)
    grid = grid_of(result)
    cells = Cells(result.probability, result.coverage)
    shape = (grid.size.height, grid.size.width)
    if cells.probability.shape != shape or cells.coverage.shape != shape:
        raise ResultError(result.path, f"its arrays do not have the {grid.size} cells it states")
    return Decision(
        probability=cells.probability,
        coverage=cells.coverage,
        mask=cells.decision(value),
        threshold=value,
        grid=grid,
        slide=result.slide.size,
    )


def _in_level_0(edges: NDArray[np.int64], downsample: float, length: int) -> NDArray[np.float64]:
    exact = edges.astype(np.float64) * downsample
    inside: NDArray[np.float64] = np.minimum(exact, length)
    return inside


def chosen_threshold(result: Result, threshold: float | None) -> float:
    """The threshold asked for, else the result's.

    Raises:
        UsageError: it is not a probability.
    """
    if threshold is None:
        return result.threshold
    if not 0 <= threshold <= 1:
        raise UsageError(f"a threshold of {threshold:g} is not a probability between 0 and 1")
    return threshold


def grid_of(result: Result) -> Grid:
    """The analysis grid of a result."""
    slide, grid = result.slide, result.record.grid
    return Grid(
        level=slide.level,
        level_size=slide.analysed.size,
        downsample=slide.analysed.downsample,
        scale=grid.scale,
        patch=grid.patch_px,
        stride=grid.stride_px,
        mpp_0=result.mpp_0,
        stretch=grid.stretch,
    )
