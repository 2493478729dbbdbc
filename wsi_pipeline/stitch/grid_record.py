"""What a result says of its grid. Lengths in px are of level 0 where the name ends in ``_0``."""

from dataclasses import dataclass

from wsi_pipeline.geometry import NO_STRETCH, GridKind, Mpp, PerAxis


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRecord:
    """The analysis grid.

    Attributes:
        columns: Cells across.
        rows: Cells down.
        patch_px: Side in analysis px of what the model answers for at once.
        stride_px: Between two patches, analysis px.
        map_px: Side of a cell in analysis px where the model answers with a map; None where cells
            are the stride wide.
        margin_px: Analysis px around each patch that the model was given with it.
        scale: Level px per analysis px, but for the stretch.
        stretch: Level px along x and y that make a square px.
        cell_px_0: Width of a cell in level-0 px.
        cell_height_px_0: Its height; None in results older than it: the same.
        patch_px_0: Width of a patch in level-0 px.
        patch_height_px_0: Its height; None in results older than it: the same.
        mpp: µm per analysis px.
        kind: Whose tiles: ``cover`` or ``wsinfer``.
    """

    columns: int
    rows: int
    patch_px: int
    stride_px: int
    map_px: int | None = None
    margin_px: int = 0
    scale: float
    stretch: PerAxis = NO_STRETCH
    cell_px_0: float
    cell_height_px_0: float | None = None
    patch_px_0: float
    patch_height_px_0: float | None = None
    mpp: Mpp
    kind: GridKind = "cover"

    @property
    def cells_in_tile(self) -> int:
        """How many cells a tile has: several where the model answers with maps."""
        return 1 if self.map_px is None else (self.stride_px // self.map_px) ** 2

    @property
    def cell_0(self) -> PerAxis:
        """Width and height of a cell in level-0 px."""
        return PerAxis(self.cell_px_0, self.cell_height_px_0 or self.cell_px_0)

    @property
    def patch_0(self) -> PerAxis:
        """Width and height of a patch in level-0 px."""
        return PerAxis(self.patch_px_0, self.patch_height_px_0 or self.patch_px_0)
