"""Schedulers that are not there; what those that are do is tested with real ones."""

import logging
import threading
import time
from typing import Any

import pytest

from wsi_pipeline.errors import UsageError
from wsi_pipeline.run import scheduler


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://nowhere"])
def test_no_scheduler_is_a_usage_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_CONNECT_SECONDS", 0.5)
    with (
        pytest.raises(UsageError, match=f"no Dask scheduler answers at {address}"),
        scheduler.connect(address, 1),
    ):
        pytest.fail("it connected")


def test_a_scheduler_that_is_being_started_takes_work_at_once() -> None:
    with scheduler.starting(2) as dask:
        assert not dask.remote
        done: list[Any] = list(dask.run(range(5), _again))  # type: ignore[arg-type]  # any task will do
    assert sorted(done) == [0, 1, 2, 3, 4]


def test_what_keeps_it_from_starting_reaches_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(scheduler, "connect", broken)
    with scheduler.starting(2) as dask:
        with pytest.raises(ZeroDivisionError, match="a bug"):
            list(dask.run([]))
        dask.cancel()  # there is nothing to cancel


def test_what_is_cancelled_ends_for_who_waits() -> None:
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            list(dask.run(range(100), _slowly))  # type: ignore[arg-type]  # as above
        except BaseException as error:
            ended.append(error)

    with scheduler.connect(None, 1) as dask:
        thread = threading.Thread(target=wait)
        thread.start()
        while not dask._pending:
            time.sleep(0.01)
        dask.cancel()
        thread.join(60)
        assert [type(error).__name__ for error in ended] == ["FutureCancelledError"]


def test_the_error_of_a_task_is_raised_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with scheduler.connect(None, 1) as dask, pytest.raises(ZeroDivisionError):
        list(dask.run([0], _one_over))  # type: ignore[list-item, arg-type]  # as above
    assert caplog.records == []
    logging.getLogger("distributed.worker").error("another %s", "error")
    assert [record.getMessage() for record in caplog.records] == ["another error"]


def _again(task: int) -> int:
    return task


def _one_over(task: int) -> float:
    return 1 / task


def _slowly(task: int) -> int:
    time.sleep(1)
    return task
