"""Computing a region: its patches are read and given to the model batch by batch.

Reading overlaps with the model because a runtime takes batches ahead of those it computes and
several regions run at once.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError, StoppedError
from wsi_pipeline.grid import Grid
from wsi_pipeline.model.loaded import LOADED
from wsi_pipeline.model.predictor import Predictor
from wsi_pipeline.run.region_clock import RegionClock
from wsi_pipeline.run.regions import RegionResult, RegionTask
from wsi_pipeline.run.resources import RESOURCES
from wsi_pipeline.run.samples import Samples
from wsi_pipeline.run.tile_values import AnswerCollector, TileValues
from wsi_pipeline.slide import SlideReader
from wsi_pipeline.stain.normalisation import Recolouring, StainNormalisation
from wsi_pipeline.tiles.kept_patches import KeptPatches
from wsi_pipeline.tiles.patches import read_input


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
