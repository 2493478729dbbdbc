"""One analysis after the other in one process, which keeps its model loaded in between."""

import contextlib
import errno
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workers.materials import (
    installed_package,
    settings_of,
    slide_path,
    unexpected,
    without_names,
)
from workers.messages import Failed, Message, Order, Progress, Stored, WorkerSetup
from wsi_pipeline.errors import (
    DamagedSlideError,
    PackageError,
    ResultBusyError,
    ResultError,
    SlideError,
    UsageError,
    WsiError,
)
from wsi_pipeline.export.findings import find
from wsi_pipeline.model.catalogue import ModelCatalogue
from wsi_pipeline.model.loaded import model_loading
from wsi_pipeline.model.runtime import RuntimeRequest, resolve_device
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.preparation import Preparation, prepare
from wsi_pipeline.run.scheduler import Scheduler, connect, default_workers
from wsi_pipeline.run.work import Work
from wsi_pipeline.service.problem import problem_of
from wsi_pipeline.slide.probe import ProbeLimits, Prober
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.storage import open_storage
from wsi_pipeline.tiles.plan import Plan

log = logging.getLogger(__name__)

#: Longest a process that was killed may hold on to its unfinished work, seconds.
_BUSY_SECONDS = 30.0
#: Of the disk, whatever is being analysed.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Digits of a slide's hash that are its name in results: the same work is given to whoever asks
#: for it, and another workspace must not learn what somebody called the slide.
_NAME_DIGITS = 16


class Analyst:
    """Carries out orders.

    Args:
        equipment: What all orders share.
        tell: Takes what there is to tell meanwhile.
    """

    def __init__(self, equipment: WorkerSetup, tell: Callable[[Message], None]) -> None:
        self._equipment = equipment
        self._tell = tell
        self._storage = open_storage(equipment.storage)
        self._models = ModelCatalogue(Path(equipment.models))
        self._limits = ProbeLimits(equipment.check_seconds, equipment.check_memory_bytes)
        self._prober = Prober(self._limits)
        self._kept = contextlib.ExitStack()
        self._scheduler: Scheduler | None = None

    def analyse_order(self, order: Order) -> Stored:
        """Analyse a slide and store the result, checksums verified, under the order's destination.

        What a killed process finished of it is not computed again.

        Raises:
            Exception: whatever :func:`failed` can tell of.
        """
        work = self._work(order)
        result = _finished(order)
        if result is None:
            self._analyse(order, work)
            self._tell(Progress(stage="publishing"))
            result = verify(order.result)
        else:
            tiles = result.tiles
            self._tell(Progress("publishing", tiles, tiles, tiles))
        summary = find(result).to_json()
        # A copy: should this process be killed before the result counts, the next stores it.
        self._storage.put_tree(order.destination, order.result)
        return Stored(summary)

    def close(self) -> None:
        """Let go of what is kept for the next order."""
        with self._prober:
            self._kept.close()

    def _work(self, order: Order) -> Work:
        package = installed_package(self._models, order.model, order.model_sha256)
        analysis = settings_of(order.config, package, order.fingerprint)
        device = self._equipment.device if analysis.device == "auto" else analysis.device
        cache = Path(self._equipment.cache)
        runtime = RuntimeRequest(
            device, analysis.precision, cache, runtime=analysis.runtime, head=package.run_head
        )
        return Work(package, analysis, runtime, self._connected(device))

    def _connected(self, device: str) -> Scheduler:
        if self._scheduler is None:
            workers = default_workers(resolve_device(device))
            connection = connect(self._equipment.scheduler, workers)
            self._scheduler = self._kept.enter_context(connection)
        return self._scheduler

    def _analyse(self, order: Order, work: Work) -> None:
        local = contextlib.nullcontext()
        with (
            local
            if work.scheduler.remote
            else model_loading(work.package, work.request, work.threshold)
        ):
            prepared = self._prepare(order, work)
            # Waited for at the end of this block: over a minute where it was never used before.
            self._tell(Progress(stage="loading"))
        if prepared.sha256.result() != order.slide_sha256:
            raise DamagedSlideError(prepared.path, "is another file than the one that was checked")
        self._classify(order, prepared, work)

    def _prepare(self, order: Order, work: Work) -> Preparation:
        prober, self._prober = self._prober, Prober(self._limits)
        with prober:
            return prepare(
                slide_path(self._storage, order.slide_location, Path(self._equipment.copies)),
                work.package,
                work.analysis,
                prober=prober,
                name=order.slide_sha256[:_NAME_DIGITS],
            )

    def _classify(self, order: Order, prepared: Preparation, work: Work) -> None:
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                analyse_slide(prepared, order.result, work, observer=_Told(self._tell))
            except ResultBusyError:
                # Of a worker that was killed a moment ago: it ends with it.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return


class _Told:
    """An :class:`~wsi_pipeline.run.observer.Observer` that passes on what it sees."""

    def __init__(self, tell: Callable[[Message], None]) -> None:
        self._tell = tell
        self._began = time.monotonic()
        self._done = self._resumed = 0

    def stage(self, name: str) -> None:
        """A stage begins."""
        self._tell(Progress(stage=name))

    def planned(self, plan: Plan, resumed_tiles: int) -> None:
        """The plan stands."""
        self._began = time.monotonic()
        self._done = self._resumed = resumed_tiles
        self._tell(
            Progress(tiles_total=len(plan), tiles_done=resumed_tiles, resumed_tiles=resumed_tiles)
        )

    def advanced(self, tiles: int, bytes_read: int) -> None:  # noqa: ARG002 - the interface
        """So many more tiles are done, and will be found so by the next attempt."""
        self._done += tiles
        rate = (self._done - self._resumed) / max(time.monotonic() - self._began, 1e-3)
        self._tell(Progress(tiles_done=self._done, tiles_per_second=round(rate, 3)))


def failed(error: Exception, order: Order) -> Failed:
    """What a worker is told of an error."""
    if isinstance(error, SlideError):
        # It will not get better.
        return Failed(_told_of(error, order), final=True)
    if isinstance(error, PackageError | UsageError):
        # Of this worker's installation, perhaps: another may do better.
        return Failed(_told_of(error, order), final=False)
    log.error("an analysis failed", exc_info=error)
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return Failed(
            problem_of(WsiError("the worker's disk is full")), final=False, disk_errno=error.errno
        )
    if isinstance(error, WsiError):
        return Failed(_told_of(error, order), final=False)
    return Failed(problem_of(unexpected(error)), final=False)


def _told_of(error: WsiError, order: Order) -> dict[str, Any]:
    return without_names(problem_of(error), order.slide_location, order.folder)


def _finished(order: Order) -> Result | None:
    """The result a killed worker left unpublished, if it is whole and this very one."""
    if not order.result.exists():
        return None
    try:
        result = verify(order.result)
        record = result.record
        found = (record.slide.sha256, record.model.sha256, record.fingerprint)
        if found == (order.slide_sha256, order.model_sha256, order.fingerprint):
            return result
    except ResultError:
        log.warning("an unpublished result is damaged; it is computed again")
    shutil.rmtree(order.result)
    return None
