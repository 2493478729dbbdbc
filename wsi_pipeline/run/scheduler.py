"""Dask: regions on threads of this process, or on a cluster."""

import contextlib
import itertools
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any

from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.loaded import describe_runtime
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import RuntimeInfo
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.run.regions import RegionResult, RegionTask, run_region

#: How long to wait for a scheduler to answer.
_CONNECT_SECONDS = 20
#: Dask looks after itself fifty times a second and samples its threads' stacks, which nobody
#: reads here: 3 % of a core.
_QUIET = {
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.profile.enabled": False,
}


def _is_no_failed_task(record: logging.LogRecord) -> bool:
    """Whether a record of Dask's is to be logged.

    A task's error is raised where its result is awaited, and told there. Dask's own log of it
    would say the same again with a traceback, and say so of regions, too, that were told to stop.
    """
    return not str(record.msg).startswith("Compute Failed")


class Scheduler:
    """Runs region tasks and gives back results as they finish.

    Args:
        client: A connected Dask client.
        workers: How many regions run at once; about twice that are queued ahead.
        remote: Whether the workers are other processes.
    """

    def __init__(self, client: Any, workers: int, *, remote: bool) -> None:
        self._client = client
        self._workers = workers
        self._runs = itertools.count()
        self._pending: set[Any] = set()
        self.remote = remote

    def run(
        self,
        tasks: Iterable[RegionTask],
        run: Callable[[RegionTask], RegionResult] = run_region,
    ) -> Iterator[RegionResult]:
        """Results in the order in which regions finish.

        Several may go on beside each other, each on a thread of its own; tasks of the one that
        began first come first. Raises what a task raises; the tasks not yet started are then
        dropped.
        """
        from distributed import as_completed  # noqa: PLC0415 - costs most of a second

        waiting, priority = iter(tasks), -next(self._runs)
        ahead = 2 * self._workers
        pending: set[Any] = set()

        def submit(task: RegionTask) -> Any:
            future = self._submit(run, task, priority)
            pending.add(future)
            self._pending.add(future)
            return future

        try:
            first = [submit(task) for _, task in zip(range(ahead), waiting, strict=False)]
            completed = as_completed(first, loop=self._client.loop)
            for future in completed:
                pending.discard(future)
                self._pending.discard(future)
                result: RegionResult = future.result()
                following = next(waiting, None)
                if following is not None:
                    completed.add(submit(following))
                future.release()
                yield result
        finally:
            self._pending -= pending
            if pending:
                self._client.cancel(list(pending), force=True)

    def cancel(self) -> None:
        """Drop everything that was asked for; whoever waits for it gets an error."""
        self._client.cancel(list(self._pending), force=True)

    def describe(
        self, package: ModelPackage, runtime: RuntimeRequest, threshold: float
    ) -> RuntimeInfo:
        """What computes, after loading the model where it will run.

        Raises:
            PackageError: the package is not usable there.
        """
        facts = (package.folder.resolve(), package.sha256, runtime, threshold)
        if not self.remote:
            return describe_runtime(*facts)
        info: RuntimeInfo = self._client.submit(
            describe_runtime, *facts, pure=False, priority=1
        ).result()
        return info

    def _submit(
        self, run: Callable[[RegionTask], RegionResult], task: RegionTask, priority: int
    ) -> Any:
        # On a cluster one worker per GPU declares the resource; on CPUs nothing is asked for.
        resources = {"GPU": 1} if self.remote and task.runtime.device.startswith("cuda") else None
        return self._client.submit(
            run, task, pure=False, retries=0, resources=resources, priority=priority
        )


def default_workers(device: str) -> int:
    """Regions to run at once in this process for a device, ``cpu`` or ``cuda:N``.

    A CPU model takes the cores itself: two regions keep it fed while one is between batches. A
    GPU wants every core to read.
    """
    return 2 if device == "cpu" else max(2, len(os.sched_getaffinity(0)))


class _SchedulerToCome(Scheduler):
    """A scheduler of this process that is being started: who gives it work waits for it."""

    def __init__(self, starting: "Future[Scheduler]") -> None:
        super().__init__(None, 0, remote=False)
        self._starting = starting

    def run(
        self,
        tasks: Iterable[RegionTask],
        run: Callable[[RegionTask], RegionResult] = run_region,
    ) -> Iterator[RegionResult]:
        return self._starting.result().run(tasks, run)

    def cancel(self) -> None:
        with contextlib.suppress(Exception):  # where it cannot be started there is no work either
            self._starting.result().cancel()


@contextlib.contextmanager
def starting(
    workers: int, around: contextlib.AbstractContextManager[object] | None = None
) -> Iterator[Scheduler]:
    """As :func:`connect` without an address, but at once: Dask starts on a thread meanwhile.

    Args:
        workers: Threads.
        around: Entered on the thread until Dask is there.
    """
    started: Future[Scheduler] = Future()
    over = threading.Event()

    def hold() -> None:
        with contextlib.ExitStack() as stack:
            try:
                with around or contextlib.nullcontext():
                    started.set_result(stack.enter_context(connect(None, workers)))
            except BaseException as error:  # whoever waits must learn of it
                started.set_exception(error)
            over.wait()

    thread = threading.Thread(target=hold, name="dask")
    thread.start()
    try:
        yield _SchedulerToCome(started)
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def connect(address: str | None, workers: int) -> Iterator[Scheduler]:
    """A scheduler at an address, or one of this process with ``workers`` threads.

    The in-process one opens no socket.

    Raises:
        UsageError: nobody answers at ``address``.
    """
    import dask.config  # noqa: PLC0415 - as below
    from distributed import Client  # noqa: PLC0415 - costs most of a second

    logging.getLogger("distributed").setLevel(logging.ERROR)
    if address is not None:
        try:
            client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(f"no Dask scheduler answers at {address}: {error}") from error
        with client:
            threads = sum(client.nthreads().values())
            if threads == 0:
                raise UsageError(f"the Dask scheduler at {address} has no workers")
            yield Scheduler(client, threads, remote=True)
        return
    logging.getLogger("distributed.worker").addFilter(_is_no_failed_task)
    with (
        dask.config.set(_QUIET),
        _threads_of_this_process(workers) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield Scheduler(client, workers, remote=False)


def _threads_of_this_process(workers: int) -> Any:
    """A Dask cluster without a single socket.

    Dask's ``LocalCluster`` opens HTTP servers on every network interface, also without its
    dashboard; ours leaves them out and talks in memory.
    """
    import distributed  # noqa: PLC0415 - costs most of a second

    class InMemoryScheduler(distributed.Scheduler):
        def start_http_server(self, *_: Any, **__: Any) -> None:
            """Open nothing."""

    class InMemoryWorker(distributed.Worker):
        def start_http_server(self, *_: Any, **__: Any) -> None:
            """Open nothing."""

    return distributed.SpecCluster(
        scheduler={
            "cls": InMemoryScheduler,
            "options": {"protocol": "inproc://", "dashboard": False},
        },
        workers={
            0: {
                "cls": InMemoryWorker,
                "options": {
                    "protocol": "inproc://",
                    "nthreads": workers,
                    "memory_limit": 0,
                    "dashboard": False,
                },
            }
        },
        silence_logs=logging.ERROR,
    )
