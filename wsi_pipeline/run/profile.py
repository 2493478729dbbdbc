"""Where the time of a run goes: what each thread did in which stage, and the sums of it.

A recorder is passed to whatever is to be timed. :data:`NOT_PROFILED` records nothing and reads no
clock. Times are seconds since the epoch, so that spans of several processes lie on one axis.
"""

import os
import platform
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

#: start-up: interpreter, imports, loading of the model, a Dask cluster. tissue: checking and
#: hashing the slide, finding tissue, quality control. decode: reading tiles. wait: threads that
#: read, while the model takes no further batch or has not answered. model: from the moment it has a
#: batch until the answer. write: stitching, hashing, writing and publishing.
Stage = Literal["start-up", "tissue", "decode", "wait", "model", "write"]
STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True, slots=True)
class Span:
    """What one thread did from one moment to another.

    Attributes:
        stage: Which part of a run it belongs to.
        name: What was done.
        began: Seconds since the epoch.
        seconds: Of wall time.
        cpu_seconds: Of the thread's processor time; None where it is not known.
        process: Host and process, ``host:123``.
        thread: Name of the thread.
        thread_id: The system's number of the thread.
        slide: What the slide is called; empty where it is for no slide alone.
    """

    stage: Stage
    name: str
    began: float
    seconds: float
    cpu_seconds: float | None
    process: str
    thread: str
    thread_id: int
    slide: str = ""

    @property
    def ended(self) -> float:
        """Seconds since the epoch."""
        return self.began + self.seconds


class Recorder(Protocol):
    """Is told what threads did."""

    @property
    def records(self) -> bool:
        """Whether anything is kept; single spans need not be taken where it is not."""
        ...

    def span(self, stage: Stage, name: str, slide: str = "") -> AbstractContextManager[object]:
        """Times the block that is entered with it, on whichever thread enters."""
        ...

    def add(self, spans: Iterable[Span]) -> None:
        """Keep what was timed elsewhere."""
        ...


class _NotProfiled:
    """Records nothing."""

    records = False
    _nothing = nullcontext()

    def span(self, stage: Stage, name: str, slide: str = "") -> AbstractContextManager[object]:  # noqa: ARG002 - the interface
        return self._nothing

    def add(self, spans: Iterable[Span]) -> None:
        """Let them go."""


#: The recorder of a run that nobody profiles.
NOT_PROFILED: Recorder = _NotProfiled()


class Profile:
    """Keeps spans of all threads. Safe to share between them.

    Memory: about 300 bytes for each span, of which a region of 256 tiles makes some 200.

    Attributes:
        began: When the system started the program, seconds since the epoch.

    Args:
        process: The program's, where this is another process of it; None: it is this one.
    """

    records = True

    def __init__(self, process: int | None = None) -> None:
        self._spans: list[Span] = []
        self._clock = SpanClock()
        self.began = time.time() - _age(os.getpid() if process is None else process)

    @property
    def spans(self) -> tuple[Span, ...]:
        """What was recorded so far, as it ended."""
        return tuple(self._spans)

    @contextmanager
    def span(self, stage: Stage, name: str, slide: str = "") -> Iterator[None]:
        """See :meth:`Recorder.span`."""
        began, cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            used = time.thread_time() - cpu
            self.add([self._clock.span(stage, name, began, cpu_seconds=used, slide=slide)])

    def add(self, spans: Iterable[Span]) -> None:
        """See :meth:`Recorder.add`."""
        self._spans.extend(spans)  # at once for other threads: the interpreter's lock is held

    def started(self, cpu_seconds: float = 0.0) -> None:
        """The program's own code begins: what came before was the interpreter and imports.

        Args:
            cpu_seconds: Processor time of another process of it.
        """
        now = time.perf_counter()
        before = max(0.0, self._clock.epoch(now) - self.began)
        cpu, name = cpu_seconds + time.process_time(), "interpreter and first imports"
        self.add([self._clock.span("start-up", name, now - before, now, cpu_seconds=cpu)])


def _age(process: int) -> float:
    """Seconds since the system started a process; to 0.01 s, as Linux tells it.

    psutil's ``create_time`` is relative to a start of the system that is known to a second.
    """
    stat = Path(f"/proc/{process}/stat").read_text()
    # The name of the program, in parentheses, may hold spaces.
    started = int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return float(Path("/proc/uptime").read_text().split()[0]) - started


class SpanClock:
    """Makes spans of this process's ``time.perf_counter``."""

    def __init__(self) -> None:
        self._epoch = time.time() - time.perf_counter()
        self._process = f"{platform.node()}:{os.getpid()}"

    def epoch(self, counter: float) -> float:
        """Seconds since the epoch of a value of ``time.perf_counter``."""
        return self._epoch + counter

    def span(
        self,
        stage: Stage,
        name: str,
        began: float,
        ended: float | None = None,
        *,
        cpu_seconds: float | None = None,
        slide: str = "",
    ) -> Span:
        """A span of the current thread.

        Args:
            stage: Of a run.
            name: What was done.
            began: Value of ``time.perf_counter``.
            ended: Likewise; None: now.
            cpu_seconds: Processor time of the thread in between.
            slide: What the slide is called.
        """
        ended = time.perf_counter() if ended is None else ended
        thread = threading.current_thread()
        return Span(
            stage,
            name,
            self.epoch(began),
            ended - began,
            cpu_seconds,
            self._process,
            thread.name,
            thread.native_id or 0,
            slide,
        )


@dataclass(frozen=True, slots=True)
class StageTime:
    """What a stage took.

    Attributes:
        stage: Which.
        seconds: Wall time in which any thread was in it.
        thread_seconds: Sum over the threads.
        cpu_seconds: Processor time of those threads; None where it is not known.
        share: ``seconds`` of the whole. Stages go on beside each other: shares add up to more
            than 1.
        model_idle_seconds: Those of ``seconds`` in which the model had no batch.
    """

    stage: Stage
    seconds: float
    thread_seconds: float
    cpu_seconds: float | None
    share: float
    model_idle_seconds: float


def stage_times(spans: Sequence[Span], whole: float) -> list[StageTime]:
    """What each stage took, in the order of :data:`STAGES`, those without spans too.

    Args:
        spans: Of the run.
        whole: Seconds that the run took; at least as long as the spans reach.
    """
    busy = _union([span for span in spans if span.stage == "model"])
    found = []
    for stage in STAGES:
        own = [span for span in spans if span.stage == stage]
        within = _union(own)
        seconds = _length(within)
        known = [span.cpu_seconds for span in own if span.cpu_seconds is not None]
        found.append(
            StageTime(
                stage,
                seconds,
                sum(span.seconds for span in own),
                sum(known) if known else None,
                seconds / whole if whole > 0 else 0.0,
                seconds - _common(within, busy),
            )
        )
    return found


_Intervals = list[tuple[float, float]]


def _union(spans: Iterable[Span]) -> _Intervals:
    """The times covered by any span, in order, none touching the next."""
    merged: _Intervals = []
    for began, ended in sorted((span.began, span.ended) for span in spans):
        if merged and began <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], ended))
        else:
            merged.append((began, ended))
    return merged


def _length(intervals: _Intervals) -> float:
    return sum(ended - began for began, ended in intervals)


def _common(left: _Intervals, right: _Intervals) -> float:
    """Seconds that both cover."""
    total, i, j = 0.0, 0, 0
    while i < len(left) and j < len(right):
        began, ended = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        total += max(0.0, ended - began)
        if left[i][1] <= right[j][1]:
            i += 1
        else:
            j += 1
    return total
