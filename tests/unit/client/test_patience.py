"""Waits grow, end, and start over after progress."""

import itertools

import pytest

from wsi_pipeline.client.errors import UnreachableError
from wsi_pipeline.client.patience import Patience

LOST = UnreachableError("the line is cut")


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def patience(clock: Clock, seconds: float) -> Patience:
    return Patience(seconds, sleep=clock.sleep, clock=lambda: clock.now)


def test_waits_grow_until_patience_runs_out() -> None:
    clock = Clock()
    waiting = patience(clock, 60)

    def wait_for_ever() -> None:
        while True:
            waiting.wait(LOST)

    with pytest.raises(UnreachableError, match="the line is cut"):
        wait_for_ever()
    assert 45 < sum(clock.slept) <= 60
    assert clock.slept[0] < 0.5
    assert max(clock.slept) > 5
    assert all(later > 1.1 * earlier for earlier, later in itertools.pairwise(clock.slept[:6]))


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
