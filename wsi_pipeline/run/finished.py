"""What the regions of a slide yielded, read back a region at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.classes import Classes
from wsi_pipeline.run.checkpoint import Checkpoint
from wsi_pipeline.run.regions import Region
from wsi_pipeline.run.tile_probabilities import TileProbabilities
from wsi_pipeline.run.tile_values import RegionValues, TileValues
from wsi_pipeline.stitch.cells import Answers, Cells, stitch_cells, stitch_tissue
from wsi_pipeline.tiles.plan import Plan


@dataclass(frozen=True, slots=True)
class Finished:
    """What regions yielded, read a region at a time: all of it may not fit into memory.

    Attributes:
        checkpoint: Keeps it.
        regions: All of a slide.
        kept: Of each tile.
    """

    checkpoint: Checkpoint
    regions: list[Region]
    kept: TileValues

    def stitched(self, plan: Plan, answers: TileProbabilities, classes: Classes) -> Cells:
        """Cells of the answers; of an encoder, which has no classes, where tiles were read."""
        if not classes.members:
            return stitch_tissue(plan, answers.readable)
        maps = self.kept.answer != classes.shape
        parts: Answers = self.maps() if maps else [(plan.cells, answers.probabilities)]
        return stitch_cells(plan, parts, classes)

    def maps(self) -> Answers:
        """Tiles and their maps."""
        for region, tiles in self._tiles():
            yield region.cells, tiles.probabilities

    def features(self) -> Iterator[NDArray[np.float32]]:
        """In plan order."""
        for _, tiles in self._tiles():
            yield tiles.features

    def _tiles(self) -> Iterator[tuple[Region, RegionValues]]:
        for region in self.regions:
            if region.start is not None:
                kept = self.checkpoint.reload(region.index)
                yield region, region.split(kept, self.kept)[0]
