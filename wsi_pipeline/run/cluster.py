"""Regions on the workers of a Dask cluster: other processes, on this host or on others."""

import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import distributed

from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.loaded import describe_runtime
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import RuntimeInfo
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.run.classification import run_region
from wsi_pipeline.run.regions import RegionResult, RegionTask

#: It says nothing of its types.
_dask: Any = distributed
#: How long to wait for a scheduler to answer.
_CONNECT_SECONDS = 20
#: Tasks of a run that are taken ahead for each of the cluster's threads.
_AHEAD = 2
#: What workers with a GPU declare, and how much of it a task takes: so little that a worker's
#: number of threads says how many regions it works on at once.
_GPU, _LITTLE = "GPU", 2.0**-10


class ClusterScheduler:
    """A :class:`~wsi_pipeline.run.scheduler.Scheduler` whose tasks run on a Dask cluster.

    Args:
        client: A connected Dask client.
        threads: How many regions the cluster runs at once.
    """

    remote = True

    def __init__(self, client: Any, threads: int) -> None:
        self._client = client
        self._ahead = _AHEAD * threads
        self._runs = itertools.count()
        self._pending: set[Any] = set()

    def run(
        self,
        tasks: Iterable[RegionTask],
        run: Callable[[RegionTask], RegionResult] = run_region,
    ) -> Iterator[RegionResult]:
        """See :meth:`Scheduler.run`."""
        waiting, priority = iter(tasks), -next(self._runs)
        pending: set[Any] = set()

        def submit(task: RegionTask) -> Any:
            future = self._submit(run, task, priority)
            pending.add(future)
            self._pending.add(future)
            return future

        try:
            first = [submit(task) for task in itertools.islice(waiting, self._ahead)]
            completed = _dask.as_completed(first, loop=self._client.loop)
            for future in completed:
                pending.discard(future)
                self._pending.discard(future)
                result: RegionResult = future.result()
                for task in itertools.islice(waiting, 1):
                    completed.add(submit(task))
                future.release()
                yield result
        finally:
            self._pending -= pending
            if pending:
                self._client.cancel(list(pending), force=True)

    def cancel(self) -> None:
        """See :meth:`Scheduler.cancel`."""
        self._client.cancel(list(self._pending), force=True)

    def describe(
        self, package: ModelPackage, runtime: RuntimeRequest, threshold: float
    ) -> RuntimeInfo:
        """See :meth:`Scheduler.describe`."""
        if _is_of_gpus(runtime):
            self._check_gpus()
        facts = (package.folder.resolve(), package.sha256, runtime, threshold)
        info: RuntimeInfo = self._client.submit(
            describe_runtime, *facts, pure=False, priority=1, resources=_needed(runtime)
        ).result()
        return info

    def _submit(
        self, run: Callable[[RegionTask], RegionResult], task: RegionTask, priority: int
    ) -> Any:
        needed = _needed(task.runtime)
        return self._client.submit(
            run, task, pure=False, retries=0, resources=needed, priority=priority
        )

    def _check_gpus(self) -> None:
        """See that a worker has a GPU: without one, Dask lets its tasks wait for ever.

        Raises:
            UsageError: none has.
        """
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        if not any(worker["resources"].get(_GPU, 0) >= _LITTLE for worker in workers):
            raise UsageError(
                f"no worker of the Dask cluster says that it has a GPU; start one worker for each "
                f'GPU with --resources "{_GPU}=1"'
            )


def _needed(runtime: RuntimeRequest) -> dict[str, float] | None:
    """What a worker must have for a task; None: nothing."""
    return {_GPU: _LITTLE} if _is_of_gpus(runtime) else None


def _is_of_gpus(runtime: RuntimeRequest) -> bool:
    return runtime.device.startswith("cuda")


@contextlib.contextmanager
def connected(address: str) -> Iterator[ClusterScheduler]:
    """The scheduler at an address.

    Raises:
        UsageError: nobody answers there, or it has no workers.
    """
    logging.getLogger("distributed").setLevel(logging.ERROR)
    try:
        client = _dask.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        threads = sum(client.nthreads().values())
        if threads == 0:
            raise UsageError(f"the Dask scheduler at {address} has no workers")
        yield ClusterScheduler(client, threads)
