"""Threads of this process and workers of a Dask cluster run regions alike."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from cluster_support import cluster

from wsi_pipeline.run.regions import RegionResult, RegionTask
from wsi_pipeline.run.scheduler import Scheduler, connect

Run = Callable[[RegionTask], RegionResult]


@pytest.fixture(scope="module", params=["threads", "cluster"])
def scheduler(request: pytest.FixtureRequest) -> Iterator[Scheduler]:
    """One region at a time."""
    if request.param == "threads":
        with connect(None, 1) as threads:
            yield threads
        return
    with cluster(1) as connected:
        yield connected


class Gates:
    """What tasks wait for: a task travels to its worker as its name."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.open = threading.Event()
        self.steps = threading.Semaphore(0)


GATES: dict[str, Gates] = {}


@pytest.fixture
def gates(request: pytest.FixtureRequest) -> Iterator[Gates]:
    name = request.node.name
    gates = GATES[name] = Gates()
    yield gates
    gates.open.set()


class Task:
    """Stands for a region; ``runtime`` is what a scheduler looks at."""

    class runtime:  # noqa: N801 - stands for an attribute
        device = "cpu"

    def __init__(self, number: int, gate: str = "") -> None:
        self.number, self.gate = number, gate


def tasks(count: int, gate: str = "", first: int = 0) -> list[RegionTask]:
    return [cast("RegionTask", Task(first + number, gate)) for number in range(count)]


def number(task: Any) -> Any:
    return task.number


def inverse(task: Any) -> Any:
    return 1 / task.number


def wait(task: Any) -> Any:
    gates = GATES[task.gate]
    gates.begun.append(task.number)
    assert gates.open.wait(60)
    return task.number


def step(task: Any) -> Any:
    gates = GATES[task.gate]
    gates.begun.append(task.number)
    assert gates.steps.acquire(timeout=60)
    return task.number


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def results(scheduler: Scheduler, given: Iterator[RegionTask], run: Run) -> list[int]:
    return [cast("int", result) for result in scheduler.run(given, run)]


@pytest.mark.parametrize("count", [0, 1, 2, 17])
def test_every_task_gives_its_result_once(scheduler: Scheduler, count: int) -> None:
    assert sorted(results(scheduler, iter(tasks(count)), number)) == list(range(count))


def test_tasks_are_taken_when_results_were(scheduler: Scheduler) -> None:
    """A slide of a million tiles is not cut into tasks before the first one is computed."""
    taken: list[int] = []

    def coming() -> Iterator[RegionTask]:
        for one in tasks(10):
            taken.append(len(taken))
            yield one

    run = scheduler.run(coming(), number)
    next(run)
    assert len(taken) == 3  # two ahead of the one thread, and one for the result
    next(run)
    assert len(taken) == 4
    assert len(list(run)) == 8


def test_the_error_of_a_task_is_raised_and_the_rest_dropped(
    scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    taken = iter(tasks(9))
    with pytest.raises(ZeroDivisionError):
        results(scheduler, taken, inverse)
    assert len(list(taken)) >= 6
    if not scheduler.remote:
        assert caplog.records == []  # a worker of Dask logs it where it is, which is here
    assert results(scheduler, iter(tasks(3)), number) == [0, 1, 2]


def test_what_is_cancelled_ends_for_who_waits(
    scheduler: Scheduler, gates: Gates, request: pytest.FixtureRequest
) -> None:
    name = request.node.name
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(results, scheduler, iter(tasks(50, name)), wait)
        until(lambda: gates.begun)
        scheduler.cancel()
        assert isinstance(waiting.exception(60), BaseException)
        gates.open.set()
    assert sorted(results(scheduler, iter(tasks(3, name, 100)), wait)) == [100, 101, 102]
    assert set(gates.begun) <= {0, 1, 100, 101, 102}


def test_the_run_that_began_first_comes_first(
    scheduler: Scheduler, gates: Gates, request: pytest.FixtureRequest
) -> None:
    """Also with tasks that it asks for after another one's wait."""
    name = request.node.name
    taken: list[int] = []

    def coming() -> Iterator[RegionTask]:
        for one in tasks(4, name):
            taken.append(len(taken))
            yield one

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(results, scheduler, coming(), step)
        until(lambda: gates.begun == [0])
        second = threads.submit(results, scheduler, iter(tasks(2, name, 100)), step)
        time.sleep(0.3)  # until the second run's tasks wait
        gates.steps.release()
        until(lambda: gates.begun == [0, 1] and len(taken) == 3)
        time.sleep(0.3)  # until the task that was taken waits, behind them in time
        for _ in range(5):
            gates.steps.release()
        assert sorted(first.result(60)) == [0, 1, 2, 3]
        assert sorted(second.result(60)) == [100, 101]
    # One of the second run's may be with the worker already: Dask gives it one ahead.
    assert gates.begun.index(2) < gates.begun.index(101)
