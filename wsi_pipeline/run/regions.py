"""Regions: contiguous runs of the plan, the unit of distribution, retry and resume.

The plan's controls are a region of their own, after the others. A region task opens the slide and
loads the model where it runs, keeps both for the next region, and returns only probabilities and
the colours of a few tiles. Reading overlaps with the model because a runtime takes batches
ahead of those it computes and several regions run at once.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError, StoppedError
from wsi_pipeline.grid import Grid
from wsi_pipeline.model.loaded import LOADED
from wsi_pipeline.model.predictor import Predictor
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.run.profile import Span
from wsi_pipeline.run.region_clock import RegionClock
from wsi_pipeline.run.samples import Samples
from wsi_pipeline.run.tile_values import AnswerCollector, RegionValues, TileValues
from wsi_pipeline.shift.sampling import SAMPLE_VALUES
from wsi_pipeline.slide import SlideReader, open_slide
from wsi_pipeline.stain.normalisation import Recolouring, StainNormalisation
from wsi_pipeline.tiles.kept_patches import KeptPatches
from wsi_pipeline.tiles.patches import read_input
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


def classify_region(
    reader: SlideReader,
    predictor: Predictor,
    grid: Grid,
    cells: NDArray[np.int64],
    *,
    index: int = 0,
    sampled: NDArray[np.int64] | None = None,
    kept: TileValues | None = None,
    stain: StainNormalisation | None = None,
    stopped: Callable[[], bool] = lambda: False,
    clock: RegionClock | None = None,
    at_hand: KeptPatches | None = None,
) -> RegionResult:
    """Read and classify the tiles of a region.

    Memory: the patches of the batches in flight.

    Args:
        reader: The slide.
        predictor: The model.
        grid: The grid.
        cells: Column and row of the tiles, ``(n, 2)``.
        index: Of the region.
        sampled: Cells that are looked at closely, ``(k, 2)``; None: none.
        kept: What is kept of each tile; None: the number of a binary model.
        stain: How px are normalised; None: not at all.
        stopped: Asked before each batch.
        clock: Times it; None: one that keeps sums alone.
        at_hand: Patches that were read before; None: there are none.

    Raises:
        StoppedError: ``stopped`` became true.
    """
    clock = clock or RegionClock()
    unreadable: list[str] = []
    lost: list[int] = []
    samples = Samples(sampled, grid.mpp_0.side * grid.downsample * grid.scale)
    beside = samples.beside(cells)
    recolour = Recolouring(None) if stain is None else stain.recolouring()

    def read(column: int, row: int) -> NDArray[np.uint8]:
        return recolour(read_input(reader, grid, column, row))

    flying: deque[Future[NDArray[np.float32]]] = deque()
    answers = AnswerCollector(kept or TileValues())
    step = predictor.batch_size
    for start in range(0, len(cells), step):
        if stopped():
            raise StoppedError("stopped; what was finished is kept")
        with clock.reading():
            part = cells[start : start + step]
            batch = np.empty((len(part), grid.read_px, grid.read_px, 3), np.uint8)
            for i, cell in enumerate(part):
                column, row = (int(place) for place in cell)
                try:
                    patch = None if at_hand is None else at_hand.take(column, row)
                    batch[i] = (
                        read(column, row) if patch is None else recolour(patch.completed(reader))
                    )
                except DamagedSlideError as error:
                    batch[i] = 255
                    lost.append(start + i)
                    unreadable.append(error.cause)
                samples.offer((column, row), batch[i])
        with clock.waiting():
            computed = predictor.submit(batch)
        flying.append(clock.computing(computed))
        while flying and flying[0].done():
            answers.add(flying.popleft().result())
        if beside:
            # While the model has work.
            with clock.reading():
                samples.read(beside.pop(), read)
    for one in beside:
        with clock.reading():
            samples.read(one, read)
    with clock.waiting():
        for computed in flying:
            answers.add(computed.result())
    tiles = answers.values()
    tiles.forget(lost)
    return RegionResult(
        index=index,
        tiles=tiles,
        samples=samples.values,
        runtime_kind=predictor.info.kind,
        read_seconds=clock.read_seconds,
        wait_seconds=clock.wait_seconds,
        unreadable=unreadable[0] if unreadable else "",
        spans=tuple(clock.spans),
    )


def run_region(task: RegionTask) -> RegionResult:
    """Compute a region with this process's readers and predictors; what Dask workers call."""
    reader = RESOURCES.reader(task.slide)
    predictor = LOADED.predictor(task.package, task.package_sha256, task.runtime, task.threshold)
    result = classify_region(
        reader,
        predictor,
        task.grid,
        task.region.cells,
        index=task.region.index,
        sampled=task.region.sampled,
        kept=task.kept,
        stain=task.stain,
        stopped=lambda: RESOURCES.is_stopped(task.stop),
        clock=RegionClock(spans=task.profiled),
        at_hand=RESOURCES.lent(task.stop),
    )
    return replace(result, bytes_read=RESOURCES.newly_read(task.slide))


@dataclass(slots=True)
class _Held:
    """A slide that regions read, and how many bytes they have told of."""

    reader: SlideReader
    told: int


class Resources:
    """What a worker process keeps between regions beside the model: the last few slides.

    Also patches that this process has read before, where it is the one that plans.
    """

    _SLIDES = 4

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slides: dict[Path, _Held] = {}
        self._stopped: set[str] = set()
        self._lent: dict[str, KeptPatches] = {}

    def reader(self, path: Path) -> SlideReader:
        """The open slide at ``path``."""
        with self._lock:
            slide = self._slides.pop(path, None) or _Held(open_slide(path), 0)
            self._keep(path, slide)
            return slide.reader

    def hold(self, path: Path, reader: SlideReader) -> None:
        """Let the regions of this process read a slide that is open already.

        What it knows of its levels and holds decoded is then of use to them.
        """
        with self._lock:
            self._keep(path, _Held(reader, reader.bytes_read))

    def newly_read(self, path: Path) -> int:
        """Bytes fetched from a slide since this was asked last."""
        with self._lock:
            slide = self._slides.get(path)
            if slide is None:
                return 0
            before, slide.told = slide.told, slide.reader.bytes_read
            return slide.told - before

    def forget(self, path: Path) -> None:
        """Let go of a slide."""
        with self._lock:
            self._slides.pop(path, None)

    def _keep(self, path: Path, slide: _Held) -> None:
        self._slides[path] = slide
        while len(self._slides) > self._SLIDES:
            # Not closed: a region may still read it. It is freed with its last user.
            self._slides.pop(next(iter(self._slides)))

    def lend(self, key: str, patches: KeptPatches | None) -> None:
        """Give patches to the regions of ``key`` in this process, until they are stopped."""
        if patches is not None:
            self._lent[key] = patches

    def lent(self, key: str) -> KeptPatches | None:
        """What was lent to the regions of ``key``; None in any other process."""
        return self._lent.get(key)

    def stop(self, key: str) -> None:
        """Make the regions of ``key`` in this process stop at their next batch."""
        self._stopped.add(key)
        self._lent.pop(key, None)

    def is_stopped(self, key: str) -> bool:
        """Whether :meth:`stop` was called for ``key``."""
        return key in self._stopped


#: Of this process. A Dask task has no other place to keep a slide from one call to the next.
RESOURCES = Resources()
