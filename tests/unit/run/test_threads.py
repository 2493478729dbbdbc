"""Threads of this process end, whatever was asked of them."""

import threading
from concurrent.futures import CancelledError
from typing import Any

import pytest

from wsi_pipeline.run.threads import ThreadScheduler


def test_no_thread_is_left_behind() -> None:
    before = set(threading.enumerate())
    with ThreadScheduler(3) as scheduler:
        assert len(set(threading.enumerate()) - before) == 3
        assert len(list(scheduler.run(range(20), _same))) == 20  # type: ignore[arg-type]  # any task will do
    assert set(threading.enumerate()) == before


def test_closing_waits_for_what_is_under_way_and_drops_the_rest() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), []

    def task(number: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        done.append(number)
        return number

    scheduler = ThreadScheduler(1)
    results = scheduler.run(range(9), task)  # type: ignore[arg-type]  # as above
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            list(results)
        except CancelledError as error:
            ended.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert begun.wait(60)
    closing = threading.Thread(target=scheduler.close)
    closing.start()
    waiting.join(60)
    assert closing.is_alive()  # the first task is not through
    go_on.set()
    closing.join(60)
    assert (done, len(ended)) == ([0], 1)
    with pytest.raises(CancelledError):
        next(scheduler.run(range(9), task))  # type: ignore[arg-type]  # as above


def _same(task: int) -> int:
    return task
