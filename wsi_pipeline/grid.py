"""The analysis grid: how cells, patches and px of each frame lie on one another.

Three lengths meet here. *Analysis px* are what the model sees. *Level px* are px of the pyramid
level that is read; ``scale`` of them make one analysis px. *Level-0 px* are ``downsample`` times
finer than level px. Every position is computed from its index, never by adding up steps, so that
nothing drifts from the top left to the bottom right.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.slide.info import SlideInfo
from wsi_pipeline.slide.resolution import Resolution

#: Cells beyond which a result could not be held in memory; 62k slides at stride 16 have 13 million.
MAX_CELLS = 50_000_000
# Float noise of a product, far below a px: 4200 / (299 * 350 / 299) must give 12 cells, not 13.
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of ``stride`` analysis px that cover a whole level, each with a patch at its corner.

    Attributes:
        level: Pyramid level that is read.
        level_size: Its size in level px.
        downsample: Level-0 px per level px.
        scale: Level px per analysis px.
        patch: Side of a patch in analysis px.
        stride: Side of a cell in analysis px; at most ``patch``.
        mpp_0: µm per level-0 px.
    """

    level: int
    level_size: Size
    downsample: float
    scale: float
    patch: int
    stride: int
    mpp_0: Mpp

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.patch:
            raise UsageError(
                f"a stride of {self.stride} px is not between 1 and the patch of {self.patch} px; "
                "a larger one would leave tissue unseen between the patches"
            )
        if self.size.area > MAX_CELLS:
            raise UsageError(
                f"a grid of {self.size} cells is more than {MAX_CELLS:,}; "
                "choose a larger stride or a coarser resolution"
            )

    @property
    def step(self) -> float:
        """Side of a cell in level px."""
        return self.stride * self.scale

    @property
    def patch_side(self) -> float:
        """Side of a patch in level px."""
        return self.patch * self.scale

    @property
    def size(self) -> Size:
        """Columns and rows; the last ones reach over the slide's edge where it does not fit."""
        return Size(
            max(1, math.ceil(self.level_size.width / self.step - _EPSILON)),
            max(1, math.ceil(self.level_size.height / self.step - _EPSILON)),
        )

    def corner(self, column: int, row: int) -> tuple[float, float]:
        """Top-left corner of a cell and of its patch, in level px."""
        return column * self.step, row * self.step

    def corners_0(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Top-left corners of cells in level-0 px, rounded.

        Args:
            cells: Columns and rows, shape ``(n, 2)``.

        Returns:
            ``x`` and ``y``, shape ``(n, 2)``.
        """
        corners: NDArray[np.int64] = np.rint(cells * (self.step * self.downsample)).astype(np.int64)
        return corners

    def column_edges(self, downsample: float, width: int) -> NDArray[np.int64]:
        """Where columns begin and end in px of a level, shape ``(columns + 1,)``.

        Args:
            downsample: Level-0 px per px of that level.
            width: Width of that level in its px; edges do not exceed it.
        """
        return self._edges(self.size.width, downsample, width)

    def row_edges(self, downsample: float, height: int) -> NDArray[np.int64]:
        """Where rows begin and end in px of a level, shape ``(rows + 1,)``."""
        return self._edges(self.size.height, downsample, height)

    def _edges(self, count: int, downsample: float, length: int) -> NDArray[np.int64]:
        exact = np.arange(count + 1) * (self.step * self.downsample / downsample)
        edges: NDArray[np.int64] = np.minimum(np.rint(exact).astype(np.int64), length)
        # The last cell reaches to the last px, also where a coarser level is rounded up.
        edges[-1] = length
        return edges

    @property
    def reach(self) -> int:
        """How many cells to the right and below a patch covers the centres of, itself included.

        A patch covers a cell when it contains the cell's centre.
        """
        return max(1, math.ceil(self.patch / self.stride - 0.5))

    @property
    def cell_um(self) -> tuple[float, float]:
        """Width and height of a cell in µm."""
        side_0 = self.step * self.downsample
        return side_0 * self.mpp_0.x, side_0 * self.mpp_0.y


def make_grid(info: SlideInfo, resolution: Resolution, *, patch: int, stride: int) -> Grid:
    """The grid of a slide at a resolution.

    Raises:
        UsageError: the stride is not between 1 and ``patch``, or the grid is too large.
    """
    level = info.levels[resolution.level]
    return Grid(
        level=resolution.level,
        level_size=level.size,
        downsample=level.downsample,
        scale=resolution.scale,
        patch=patch,
        stride=stride,
        mpp_0=resolution.mpp_0,
    )
