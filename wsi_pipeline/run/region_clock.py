"""Times what a region does: sums for every result, single spans where a run is profiled."""

import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

from wsi_pipeline.run.profile import Span, SpanClock, Stage

Answer = TypeVar("Answer")


class RegionClock:
    """The times of one region, whose thread reads and waits; the sums and the spans are the same.

    Args:
        spans: Whether single spans are kept.

    Attributes:
        read_seconds: Thread time spent reading and decoding.
        wait_seconds: Time spent waiting for the model.
        spans: Those kept so far.
    """

    def __init__(self, *, spans: bool = False) -> None:
        self._clock = SpanClock() if spans else None
        self.read_seconds = self.wait_seconds = 0.0
        self.spans: list[Span] = []

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A batch is read in the block."""
        began, cpu = time.perf_counter(), time.thread_time()
        yield
        used = time.thread_time() - cpu
        self.read_seconds += used
        self._keep("decode", "read a batch", began, time.perf_counter(), used)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The thread can do nothing in the block until the model has done more."""
        began = time.perf_counter()
        yield
        ended = time.perf_counter()
        self.wait_seconds += ended - began
        self._keep("wait", "wait for the model", began, ended)

    def computing(self, answer: "Future[Answer]") -> "Future[Answer]":
        """A batch that the model has taken; of the future returned the span is kept when done."""
        if self._clock is None:
            return answer
        began, timed = time.perf_counter(), Future[Answer]()

        def settle(done: "Future[Answer]") -> None:
            # On the thread that computed. First the span: who waits may end the region at once.
            self._keep("model", "compute a batch", began, time.perf_counter())
            error = done.exception()
            if error is None:
                timed.set_result(done.result())
            else:
                timed.set_exception(error)

        answer.add_done_callback(settle)
        return timed

    def _keep(
        self, stage: Stage, name: str, began: float, ended: float, cpu: float | None = None
    ) -> None:
        if self._clock is not None:
            self.spans.append(self._clock.span(stage, name, began, ended, cpu_seconds=cpu))
