"""What the model has answered so far, each answer in its place whenever it arrives."""

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.run.regions import Region
from wsi_pipeline.run.tile_values import TileValues
from wsi_pipeline.shift.sampling import SAMPLE_VALUES
from wsi_pipeline.tiles.plan import Plan


class TileProbabilities:
    """Collects what regions yield.

    Args:
        plan: What is asked.
        kept: Of each tile.
        classes: How much of the answer are classes; the rest are rows and columns of a map.

    Attributes:
        probabilities: One row per tile in plan order, float32 ``(n, *classes)``: its answer, or the
            mean of its map; NaN = unreadable or not there yet.
        extras: What was computed beside, by name, float32 ``(n,)`` in plan order; the same.
        readable: Which of them are there and could be read, ``(n,)``.
        controls: One per control, float32 ``(k, *classes)``; the same.
        samples: :func:`~wsi_pipeline.shift.sampling.sample_patch` of the sampled cells, float32
            ``(s, 12)``.
    """

    def __init__(self, plan: Plan, kept: TileValues, classes: tuple[int, ...]) -> None:
        self._kept = kept
        self._map_axes = tuple(range(1 + len(classes), 1 + len(kept.answer)))
        self.probabilities = np.full((len(plan), *classes), np.nan, np.float32)
        self.readable = np.zeros(len(plan), np.bool_)
        self.extras = {name: np.full(len(plan), np.nan, np.float32) for name in kept.names}
        self.controls = np.full((len(plan.controls), *classes), np.nan, np.float32)
        self.samples = np.full((len(plan.looked_at), SAMPLE_VALUES), np.nan, np.float32)

    def take(self, region: Region, values: NDArray[np.float32]) -> int:
        """Put a region's values where they belong; returns how many tiles could not be read."""
        tiles, samples = region.split(values, self._kept)
        probabilities = tiles.probabilities
        if self._map_axes:
            probabilities = probabilities.mean(axis=self._map_axes)
        if region.start is None:
            self.controls[:] = probabilities
            return 0
        place = slice(region.start, region.start + region.tiles)
        self.probabilities[place] = probabilities
        for column, name in enumerate(self._kept.names):
            self.extras[name][place] = tiles.extras[:, column]
        self.samples[region.first_sample :][: len(samples)] = samples
        self.readable[place] = tiles.readable
        return int(np.count_nonzero(~tiles.readable))
