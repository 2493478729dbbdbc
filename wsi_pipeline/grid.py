"""The analysis grid: how tiles, cells, patches and px of each frame lie on one another.

Three lengths meet here. *Analysis px* are what the model sees. *Level px* are px of the pyramid
level that is read; ``scale`` of them make one analysis px. Analysis px are square in µm; where the
slide's px are not, ``stretch`` times as many level px make one, along each axis. *Level-0 px* are
``downsample`` times finer than level px. Every position is computed from its index, never by adding
up steps, so that nothing drifts from the top left to the bottom right.

A model that answers with a number for each class has one cell a tile. One that answers with a map
has several, which :attr:`Grid.cells` are a grid of.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import NO_STRETCH, GridKind, Mpp, PerAxis, Size
from wsi_pipeline.slide.info import SlideInfo
from wsi_pipeline.slide.resolution import Resolution

#: Cells beyond which a result could not be held in memory; 62k slides at stride 16 have 13 million.
MAX_CELLS = 50_000_000
# Float noise of a product, far below a px: 4200 / (299 * 350 / 299) must give 12 cells, not 13.
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Grid:
    """Tiles of ``stride`` analysis px that cover a whole level, each with a patch at its corner.

    Attributes:
        level: Pyramid level that is read.
        level_size: Its size in level px.
        downsample: Level-0 px per level px.
        scale: Level px per analysis px, but for the stretch.
        patch: Side in analysis px of what the model answers for.
        stride: Side of a tile in analysis px; at most ``patch``.
        mpp_0: µm per level-0 px.
        stretch: Level px along x and y that make a square px; 1 × 1 where they are square.
        kind: Whose tiles they are.
        cell: Side in analysis px of what one number is for: of a model that answers with a map, a
            px of it, else None, which is the stride.
        margin: Analysis px around a patch that are read with it, on each side, for which the model
            gives no answer.
    """

    level: int
    level_size: Size
    downsample: float
    scale: float
    patch: int
    stride: int
    mpp_0: Mpp
    stretch: PerAxis = NO_STRETCH
    kind: GridKind = "cover"
    cell: int | None = None
    margin: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.patch:
            raise UsageError(
                f"a stride of {self.stride} px is not between 1 and the patch of {self.patch} px; "
                "a larger one would leave tissue unclassified between the patches"
            )
        if self.cell is not None and (self.stride % self.cell or self.patch % self.cell):
            raise UsageError(
                f"a stride of {self.stride} px is not a multiple of the map's cells of "
                f"{self.cell} px; the maps of neighbouring tiles would not lie on one another"
            )
        if self.size.area > MAX_CELLS:
            raise UsageError(
                f"a grid of {self.size} cells is more than {MAX_CELLS:,}; "
                "choose a larger stride or a coarser resolution"
            )

    @property
    def px(self) -> PerAxis:
        """Width and height of an analysis px in level px."""
        return self.stretch * self.scale

    @property
    def px_0(self) -> PerAxis:
        """Width and height of an analysis px in level-0 px."""
        return self.stretch * (self.downsample * self.scale)

    @property
    def step(self) -> PerAxis:
        """Width and height of a tile in level px."""
        return self.stretch * (self.stride * self.scale)

    @property
    def cell_0(self) -> PerAxis:
        """Width and height of a tile in level-0 px."""
        return self.step * self.downsample

    @property
    def patch_side(self) -> PerAxis:
        """Width and height of a patch in level px."""
        return self.stretch * (self.patch * self.scale)

    @property
    def patch_0(self) -> PerAxis:
        """Width and height of a patch in level-0 px."""
        return self.patch_side * self.downsample

    @property
    def read_px(self) -> int:
        """Side in analysis px of what the model is given for a patch, with the margins."""
        return self.patch + 2 * self.margin

    @property
    def read_side(self) -> PerAxis:
        """Width and height of the same in level px."""
        return self.stretch * (self.read_px * self.scale)

    @property
    def size(self) -> Size:
        """Columns and rows; the last ones reach over the slide's edge where it does not fit."""
        return self._covering(self.stride)

    @property
    def cells_size(self) -> Size:
        """Columns and rows of :attr:`cells`, also where these would be too many."""
        return self._covering(self.cell or self.stride)

    def _covering(self, side: int) -> Size:
        step = self.stretch * (side * self.scale)
        return Size(
            max(1, math.ceil(self.level_size.width / step.x - _EPSILON)),
            max(1, math.ceil(self.level_size.height / step.y - _EPSILON)),
        )

    def corner(self, column: int, row: int) -> tuple[float, float]:
        """Top-left corner of a tile and of its patch, in level px."""
        return column * self.step.x, row * self.step.y

    def read_corner(self, column: int, row: int) -> tuple[float, float]:
        """Top-left corner of what the model is given for a tile, in level px; may be negative."""
        x, y = self.corner(column, row)
        return x - self.margin * self.px.x, y - self.margin * self.px.y

    def corners_0(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Top-left corners of cells in level-0 px, rounded.

        Args:
            cells: Columns and rows, shape ``(n, 2)``.

        Returns:
            ``x`` and ``y``, shape ``(n, 2)``.
        """
        cell = np.array([self.cell_0.x, self.cell_0.y])
        corners: NDArray[np.int64] = np.rint(cells * cell).astype(np.int64)
        return corners

    def column_edges(self, downsample: float, width: int) -> NDArray[np.int64]:
        """Where columns begin and end in px of a level, shape ``(columns + 1,)``.

        Args:
            downsample: Level-0 px per px of that level.
            width: Width of that level in its px; edges do not exceed it.
        """
        return _edges(self.size.width, self.cell_0.x / downsample, width)

    def row_edges(self, downsample: float, height: int) -> NDArray[np.int64]:
        """Where rows begin and end in px of a level, shape ``(rows + 1,)``."""
        return _edges(self.size.height, self.cell_0.y / downsample, height)

    @property
    def with_centre(self) -> NDArray[np.bool_]:
        """Which cells' patches have their centre on the slide, ``(rows, columns)``.

        The centre as WSInfer takes it: half a patch, rounded to a whole px, from its corner
        (``wsinfer.patchlib.patch``, 0.6.1).
        """
        columns = np.arange(self.size.width) * self.step.x + round(self.patch_side.x / 2)
        rows = np.arange(self.size.height) * self.step.y + round(self.patch_side.y / 2)
        inside: NDArray[np.bool_] = (rows < self.level_size.height - _EPSILON)[:, None] & (
            columns < self.level_size.width - _EPSILON
        )
        return inside

    @property
    def cells(self) -> "Grid":
        """The grid of what has a number of its own; this one where that is a tile."""
        if self.cell is None:
            return self
        return replace(self, patch=self.cell, stride=self.cell, cell=None, margin=0)

    @property
    def cells_per_tile(self) -> int:
        """Cells along a side of a tile."""
        return 1 if self.cell is None else self.stride // self.cell

    @property
    def reach(self) -> int:
        """How many cells to the right and below a patch covers the centres of, its own included.

        A patch covers a cell when it contains the cell's centre.
        """
        return max(1, math.ceil(self.patch / (self.cell or self.stride) - 0.5))

    @property
    def cell_um(self) -> tuple[float, float]:
        """Width and height of a cell in µm."""
        return self.cell_0.x * self.mpp_0.x, self.cell_0.y * self.mpp_0.y


def _edges(count: int, cell: float, length: int) -> NDArray[np.int64]:
    """Where cells of one axis begin and end in px of a level, ``(count + 1,)``."""
    exact = np.arange(count + 1) * cell
    edges: NDArray[np.int64] = np.minimum(np.rint(exact).astype(np.int64), length)
    # The last cell reaches to the last px, also where a coarser level is rounded up.
    edges[-1] = length
    return edges


def make_grid(
    info: SlideInfo,
    resolution: Resolution,
    *,
    patch: int,
    stride: int,
    kind: GridKind = "cover",
    cell: int | None = None,
    margin: int = 0,
) -> Grid:
    """The grid of a slide at a resolution; see :class:`Grid` for the lengths, in analysis px.

    Raises:
        UsageError: the stride is not between 1 and ``patch``, or does not fit the cells, or the
            grid is too large.
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
        stretch=resolution.stretch,
        kind=kind,
        cell=cell,
        margin=margin,
    )
