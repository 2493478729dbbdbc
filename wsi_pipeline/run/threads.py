"""Regions on threads of this process."""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from queue import PriorityQueue, SimpleQueue
from typing import Self

from wsi_pipeline.model.loaded import describe_runtime
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import RuntimeInfo
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.run.classification import run_region
from wsi_pipeline.run.regions import RegionResult, RegionTask

#: Tasks of a run that are taken ahead for each thread, the one under way among them.
_AHEAD = 2


@dataclass(frozen=True, eq=False)
class _Run:
    """What :meth:`ThreadScheduler.run` waits for.

    Attributes:
        ended: A result, or an error, of each task that ended.
        dropped: Set when nobody waits for the others.
    """

    ended: "SimpleQueue[RegionResult | BaseException]" = field(default_factory=SimpleQueue)
    dropped: threading.Event = field(default_factory=threading.Event)


class ThreadScheduler:
    """A :class:`~wsi_pipeline.run.scheduler.Scheduler` whose tasks run on threads of this process.

    Args:
        workers: Threads; end with :meth:`close`.
    """

    remote = False

    def __init__(self, workers: int) -> None:
        self._ahead = _AHEAD * workers
        self._numbers = itertools.count()
        #: By the number of the run, then of the task; None ends a thread.
        self._waiting: PriorityQueue[tuple[float, int, Callable[[], None] | None]]
        self._waiting = PriorityQueue()
        self._runs: set[_Run] = set()
        self._closed = False
        self._lock = threading.Lock()
        # A program that forgets to close it must still be able to end.
        self._threads = [
            threading.Thread(target=self._work, name=f"region_{index}", daemon=True)
            for index in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop what waits, and wait for the tasks under way."""
        with self._lock:
            self._closed = True
        self.cancel()
        for _ in self._threads:
            self._waiting.put((float("inf"), next(self._numbers), None))
        for thread in self._threads:
            thread.join()

    def run(
        self,
        tasks: Iterable[RegionTask],
        run: Callable[[RegionTask], RegionResult] = run_region,
    ) -> Iterator[RegionResult]:
        """See :meth:`Scheduler.run`.

        Raises:
            CancelledError: the scheduler was closed, or its work cancelled.
        """
        this, number, waiting = _Run(), next(self._numbers), iter(tasks)
        with self._lock:
            if self._closed:
                raise CancelledError
            self._runs.add(this)
        under_way = 0
        try:
            for task in itertools.islice(waiting, self._ahead):
                self._submit(this, number, run, task)
                under_way += 1
            while under_way:
                ended = this.ended.get()
                under_way -= 1
                if isinstance(ended, BaseException):
                    raise ended
                for task in itertools.islice(waiting, 1):
                    self._submit(this, number, run, task)
                    under_way += 1
                yield ended
        finally:
            this.dropped.set()
            with self._lock:
                self._runs.discard(this)

    def cancel(self) -> None:
        """See :meth:`Scheduler.cancel`."""
        with self._lock:
            runs = list(self._runs)
        for run in runs:
            run.dropped.set()
            run.ended.put(CancelledError())

    def describe(
        self, package: ModelPackage, runtime: RuntimeRequest, threshold: float
    ) -> RuntimeInfo:
        """See :meth:`Scheduler.describe`."""
        return describe_runtime(package.folder.resolve(), package.sha256, runtime, threshold)

    def _submit(
        self,
        this: _Run,
        number: int,
        run: Callable[[RegionTask], RegionResult],
        task: RegionTask,
    ) -> None:
        def compute() -> None:
            if this.dropped.is_set():
                return
            try:
                ended: RegionResult | BaseException = run(task)
            except BaseException as error:  # whoever waits for it is told
                ended = error
            this.ended.put(ended)

        self._waiting.put((number, next(self._numbers), compute))

    def _work(self) -> None:
        while (compute := self._waiting.get()[2]) is not None:
            compute()
