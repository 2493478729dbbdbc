"""Where regions run: on threads of this process, or on a Dask cluster."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import RuntimeInfo
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.run.classification import run_region
from wsi_pipeline.run.regions import RegionResult, RegionTask
from wsi_pipeline.run.threads import ThreadScheduler


class Scheduler(Protocol):
    """Runs region tasks and gives back results as they finish."""

    @property
    def remote(self) -> bool:
        """Whether other processes do the work."""
        ...

    def run(
        self,
        tasks: Iterable[RegionTask],
        run: Callable[[RegionTask], RegionResult] = run_region,
    ) -> Iterator[RegionResult]:
        """Results in the order in which regions finish.

        Some tasks are taken ahead, the others when a result was taken. Several runs may go on
        beside each other, each on a thread of its own; tasks of the one that began first come
        first. Raises what a task raises; the tasks not yet started are then dropped.
        """
        ...

    def cancel(self) -> None:
        """Drop everything that was asked for; whoever waits for it gets an error."""
        ...

    def describe(
        self, package: ModelPackage, runtime: RuntimeRequest, threshold: float
    ) -> RuntimeInfo:
        """What computes, after loading the model where it will run.

        Raises:
            PackageError: the package is not usable there.
        """
        ...


def default_workers(device: str) -> int:
    """Regions to run at once in this process for a device, ``cpu`` or ``cuda:N``.

    A CPU model takes the cores itself: two regions keep it fed while one is between batches. A
    GPU wants every core to read.
    """
    return 2 if device == "cpu" else max(2, len(os.sched_getaffinity(0)))


@contextlib.contextmanager
def connect(address: str | None, workers: int) -> Iterator[Scheduler]:
    """The Dask scheduler at an address, or one of this process with ``workers`` threads.

    Raises:
        UsageError: nobody answers at ``address``.
    """
    if address is None:
        with ThreadScheduler(workers) as threads:
            yield threads
        return
    # Dask takes most of a second to import.
    from wsi_pipeline.run.cluster import connected  # noqa: PLC0415

    with connected(address) as cluster:
        yield cluster
