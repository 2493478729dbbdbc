"""Regions: contiguous runs of the plan, the unit of distribution, retry and resume.

The plan's controls are a region of their own, after the others. A region task opens the slide and
loads the model where it runs, keeps both for the next region, and returns only probabilities and
the colours of a few tiles.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.grid import Grid
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.run.profile import Span
from wsi_pipeline.run.tile_values import RegionValues, TileValues
from wsi_pipeline.shift.sampling import SAMPLE_VALUES
from wsi_pipeline.stain.normalisation import StainNormalisation
from wsi_pipeline.tiles.plan import SAMPLED_TILES, Plan, spread

#: Tiles in a region: some seconds of work, so that little is lost and little overhead paid. A
#: multiple of every runtime's batch size, so that batches fall alike wherever a region runs.
REGION_TILES = 256
#: Numbers that a region yields, at most, but for those of one tile: a region is held in memory.
REGION_VALUES = 2**23


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the work.

    Attributes:
        index: Which.
        cells: Column and row of its patches, ``(n, 2)`` int64.
        sampled: Column and row of those that are looked at closely, ``(k, 2)``. Others than
            its patches are read for that alone.
        start: Place of its first tile in the plan; None for the controls, which are no tiles.
        first_sample: Place of its first sample in :attr:`Plan.looked_at`.
    """

    index: int
    cells: NDArray[np.int64]
    sampled: NDArray[np.int64]
    start: int | None
    first_sample: int

    @property
    def tiles(self) -> int:
        """How many tiles of the plan it has."""
        return 0 if self.start is None else len(self.cells)

    def size(self, kept: TileValues) -> int:
        """How many numbers it yields, see :attr:`RegionResult.values`."""
        return len(self.cells) * kept.count + SAMPLE_VALUES * len(self.sampled)

    def split(
        self, values: NDArray[np.float32], kept: TileValues
    ) -> tuple[RegionValues, NDArray[np.float32]]:
        """What is kept of its tiles, and samples ``(k, 12)``, out of its values."""
        count = len(self.cells)
        sizes = (kept.classes, len(kept.names), kept.features)
        ends = np.cumsum([count * size for size in sizes])
        probabilities, extras, features, samples = np.split(values, ends)
        tiles = RegionValues(
            probabilities.reshape(count, *kept.answer),
            extras.reshape(count, len(kept.names)),
            features.reshape(count, kept.features),
        )
        return tiles, samples.reshape(-1, SAMPLE_VALUES)


@dataclass(frozen=True, slots=True)
class RegionTask:
    """Everything a worker on any host needs to compute one region.

    Attributes:
        region: Which patches.
        slide: Path of the slide, the same on every host.
        grid: The grid.
        package: Folder of the model package, the same on every host.
        package_sha256: What must be found there.
        runtime: What to compute with.
        threshold: The decision a cascade preserves.
        stop: Key under which :meth:`Resources.stop` can stop it, in its own process.
        kept: What is kept of each tile.
        stain: How px are normalised before the model sees them; None: not at all.
        profiled: Whether the result says what was done when.
    """

    region: Region
    slide: Path
    grid: Grid
    package: Path
    package_sha256: str
    runtime: RuntimeRequest
    threshold: float
    stop: str
    kept: TileValues
    stain: StainNormalisation | None = None
    profiled: bool = False


@dataclass(frozen=True, slots=True)
class RegionResult:
    """What a region gives back.

    Attributes:
        index: Which region.
        tiles: In the region's order: probabilities, ``(n,)``, or ``(n, planes)`` of a model that
            is not binary, of maps with two more axes; and what is kept beside them.
        samples: :func:`~wsi_pipeline.shift.sampling.sample_patch` of the sampled cells, float32
            ``(k, 12)``.
        runtime_kind: Of the predictor that computed them.
        read_seconds: Thread time spent reading and decoding.
        wait_seconds: Time spent waiting for the model.
        unreadable: The first reason why a tile could not be read; empty if all could.
        spans: What was done when, where that was wanted; the two sums are of the same clock.
        bytes_read: Compressed bytes fetched from the slide in this process since a region said so
            last, for whatever they were; 0 where nobody counts.
    """

    index: int
    tiles: RegionValues
    samples: NDArray[np.float32]
    runtime_kind: str
    read_seconds: float
    wait_seconds: float
    unreadable: str
    spans: tuple[Span, ...] = ()
    bytes_read: int = 0

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Of the tiles."""
        return self.tiles.probabilities

    @property
    def values(self) -> NDArray[np.float32]:
        """All of it that has to be kept, as :meth:`Region.split` takes it apart."""
        tiles = self.tiles
        parts = (tiles.probabilities, tiles.extras, tiles.features, self.samples)
        return np.concatenate([one.ravel() for one in parts])


def cut_regions(plan: Plan, kept: TileValues) -> list[Region]:
    """Cut a plan into regions of :data:`REGION_TILES`, the last one shorter; then its controls.

    Args:
        plan: The tiles.
        kept: Of each tile; many numbers make smaller regions.
    """
    sampled, taken = plan.looked_at, 0
    regions: list[Region] = []
    fitting = max(1, min(REGION_TILES, REGION_VALUES // max(1, kept.count)))
    # A power of two, so that a runtime's batches divide it.
    step = 1 << (fitting.bit_length() - 1)
    for start in range(0, len(plan), step):
        cells = plan.cells[start : start + step]
        end = start + len(cells)
        until = len(sampled) if end == len(plan) else _samples_until(plan, end)
        regions.append(Region(len(regions), cells, sampled[taken:until], start, taken))
        taken = until
    # An encoder says nothing of glass.
    if len(plan.controls) and kept.classes:
        regions.append(Region(len(regions), plan.controls, sampled[:0], None, taken))
    return regions


def _samples_until(plan: Plan, end: int) -> int:
    """How many samples regions have that end before a tile: those of the same share of the plan.

    Of samples among tiles: those that are tiles of these regions.
    """
    if plan.sampled is None:
        return int(np.searchsorted(spread(len(plan), SAMPLED_TILES), end))
    return len(plan.sampled) * end // len(plan)
