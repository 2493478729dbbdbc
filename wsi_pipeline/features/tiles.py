"""The tiles of a result that have features, with their places, some at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.stitch.result import Result


@dataclass(frozen=True, slots=True)
class FeatureTiles:
    """Tiles that could be read, in plan order.

    Attributes:
        rows: Their places in the plan, int64 ``(n,)``.
        corners: Of their patches, top-left, level-0 px: int64 ``(n, 2)``, x and y.
        tissue: Share of tissue, float32 ``(n,)``.
        probabilities: Of each class that has some, by its name, float32 ``(n,)``.
        size: Features of a tile.
        stored: The zarr array of all features, float16 or float32 ``(tiles of the plan, size)``.
    """

    rows: NDArray[np.int64]
    corners: NDArray[np.int64]
    tissue: NDArray[np.float32]
    probabilities: dict[str, NDArray[np.float32]]
    size: int
    stored: Any

    def __len__(self) -> int:
        return len(self.rows)

    def parts(self) -> Iterator[NDArray[np.float32]]:
        """The features, float32 ``(k, size)``, a stored chunk of tiles at a time."""
        step = self.stored.chunks[0]
        for start in range(0, self.stored.shape[0], step):
            kept = self.rows[(self.rows >= start) & (self.rows < start + step)] - start
            values = np.asarray(self.stored[start : start + step])
            yield values[kept].astype(np.float32)


def feature_tiles(result: Result) -> FeatureTiles:
    """The tiles of a result that have features.

    Memory: their places, and one chunk of features.

    Raises:
        ResultError: it holds none, or is damaged.
    """
    stored, table, classes = result.features(), result.tile_table(), result.classes
    # One number tells: what cannot be read has none at all.
    readable = np.ones(stored.shape[0], np.bool_)
    for start in range(0, len(readable), stored.chunks[0]):
        some = slice(start, start + stored.chunks[0])
        readable[some] = ~np.isnan(np.asarray(stored[some, :1])[:, 0])
    rows = np.flatnonzero(readable)
    probabilities = {}
    if classes.members:
        planes = np.moveaxis(table["probability"], 0, -1)
        probabilities = {
            one.name: classes.plane_of(one.name, planes)[rows] for one in classes.planes
        }
    corners = np.stack([table["x"], table["y"]], axis=1).astype(np.int64)
    return FeatureTiles(
        rows, corners[rows], table["tissue"][rows], probabilities, stored.shape[1], stored
    )
