"""Waits grow, end, and start over after progress."""

import itertools

import pytest

from wsi_pipeline.client.errors import UnreachableError
from wsi_pipeline.client.retry import RetryTimer

LOST = UnreachableError("the line is cut")


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def patience(clock: Clock, seconds: float) -> RetryTimer:
    return RetryTimer(lambda: seconds, sleep=clock.sleep, clock=lambda: clock.now)


def test_waits_grow_until_patience_runs_out() -> None:
    clock = Clock()
    waiting = patience(clock, 60)

    def wait_for_ever() -> None:
        while True:
            waiting.wait(LOST)

    with pytest.raises(UnreachableError, match="the line is cut"):
        wait_for_ever()
    assert sum(clock.slept) == pytest.approx(60)
    assert clock.slept[0] < 0.5
    assert max(clock.slept) > 5
    assert all(later > 1.1 * earlier for earlier, later in itertools.pairwise(clock.slept[:5]))


def test_progress_renews_it() -> None:
    clock = Clock()
    waiting = patience(clock, 2)
    for _ in range(50):
        waiting.wait(LOST)
        waiting.renew()
    assert max(clock.slept) < 0.5


def test_the_service_may_ask_for_more() -> None:
    clock = Clock()
    patience(clock, 60).wait(LOST, at_least=7)
    assert clock.slept == [7]


def test_no_wait_that_patience_does_not_cover() -> None:
    clock = Clock()
    with pytest.raises(UnreachableError):
        patience(clock, 5).wait(LOST, at_least=7)
    assert clock.slept == []


def test_patience_may_grow_while_it_lasts() -> None:
    """A service that has answered once is waited for longer."""
    clock, seconds = Clock(), [1.0]
    waiting = RetryTimer(lambda: seconds[0], sleep=clock.sleep, clock=lambda: clock.now)
    waiting.wait(LOST)
    seconds[0] = 60
    for _ in range(5):
        waiting.wait(LOST)
    assert sum(clock.slept) > 1
