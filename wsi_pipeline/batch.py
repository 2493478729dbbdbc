"""A directory of slides in order, none stops another, and the model is never without work.

While a slide is classified the next one is prepared and the one before is written. A slide's first
regions follow the last ones of the slide before it at once.
"""

import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from wsi_pipeline.errors import (
    DamagedSlideError,
    PackageError,
    ResultExistsError,
    SlideError,
    UsageError,
    WsiError,
)
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.checkpoint import partial_folder
from wsi_pipeline.run.earlier import earlier_result
from wsi_pipeline.run.inputs import Entry
from wsi_pipeline.run.journal import NOT_KEPT, Journal
from wsi_pipeline.run.observer import Observer, Stoppable
from wsi_pipeline.run.preparation import Preparation, prepare
from wsi_pipeline.run.summary import Outcome, Status, outcome_of
from wsi_pipeline.run.work import Work
from wsi_pipeline.slide.probe import Probe, probe
from wsi_pipeline.stitch.result import Result

log = logging.getLogger(__name__)

_SKIPPED: Status = "skipped"
#: Slides on their way: one is being written, one has its last regions computed, one begins.
_IN_FLIGHT = 3


class BatchObserver(Protocol):
    """Told of each slide of a run, from the thread that drives the run."""

    def begins(self, entry: Entry) -> Observer:
        """A slide's turn has come, in order; the returned observer watches it from its thread.

        The one before it may not be through yet.
        """
        ...

    def ended(self, outcome: Outcome) -> None:
        """A slide is through, one way or another; told in the order of the slides."""
        ...


def run_batch(
    entries: Sequence[Entry],
    out: Path,
    work: Work,
    observer: BatchObserver,
    *,
    overwrite: bool = False,
    prober: Callable[[Path], Probe] = probe,
    finish: Callable[[Path], str] = lambda _: "",
    journal: Journal = NOT_KEPT,
) -> Iterator[Outcome]:
    """Analyse slides into ``out``; yields what became of each, in order.

    ``finish`` is called with each result that is there and says what files it wrote beside it;
    where it fails, so has the slide. ``journal`` is told of each slide, and says which ones crashed
    the process before: those under suspicion come first, with no other beside them.

    Slides without a result come first, so that a run started again gets to its work at once;
    then the checksums of what is there are compared.

    Memory: of one slide that is classified, of the last regions of the one before, and of one that
    is written.

    Raises:
        PackageError: the model cannot be used at all.
        UsageError: device, precision and runtime do not go together.
    """
    run = _Run(out, work, overwrite, prober, finish, journal)
    waiting, flying = deque(sorted(entries, key=run.order)), deque[_Flight]()
    with (
        ThreadPoolExecutor(1, thread_name_prefix="prepare") as ahead,
        ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix="slide") as threads,
    ):
        try:
            following: Future[Preparation | Result] | None = None
            while waiting or flying:
                if flying and flying[0].done:
                    outcome = flying.popleft().outcome.result()
                    observer.ended(outcome)
                    yield outcome
                elif waiting and _may_begin(flying, alone=run.is_alone(waiting[0])):
                    entry = waiting.popleft()
                    prepared = following or ahead.submit(run.prepare, entry)
                    beside = waiting and not run.is_alone(entry) and not run.is_alone(waiting[0])
                    following = ahead.submit(run.prepare, waiting[0]) if beside else None
                    flight = _Flight(entry, run, observer.begins(entry))
                    flight.starts(threads, prepared)
                    flying.append(flight)
                else:
                    run.happened.get()
        finally:
            run.stop.set()
            if flying:
                # Left early: what was asked of the workers is of no use to anybody now.
                work.scheduler.cancel()
            ahead.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class _Run:
    """What the slides of a run share.

    Attributes:
        out: Folder for the results.
        work: Model, settings and scheduler.
        overwrite: Replace results that are there.
        prober: Looks at an unknown file first.
        finish: Called with each result; says what files it wrote beside it.
        journal: Told of each slide; says which ones crashed the process before.
        happened: Gets an item whenever the run may go on.
        stop: Set when it is over before its end.
        writing: Held by the slide that is being written.
    """

    out: Path
    work: Work
    overwrite: bool
    prober: Callable[[Path], Probe]
    finish: Callable[[Path], str]
    journal: Journal
    happened: "SimpleQueue[None]" = field(default_factory=SimpleQueue)
    stop: threading.Event = field(default_factory=threading.Event)
    writing: threading.Lock = field(default_factory=threading.Lock)

    def order(self, entry: Entry) -> tuple[bool, bool]:
        """What comes first: suspects of a crash, then slides without a result."""
        there = self.keeps(entry) and entry.result(self.out).exists()
        return not self.is_alone(entry), there

    def keeps(self, entry: Entry) -> bool:
        """Whether a result that is there is not replaced: this run may have made it."""
        return not self.overwrite or self.journal.is_done(entry.path)

    def found(self, entry: Entry) -> Status:
        """What is said of a slide whose result is there."""
        return "done" if self.journal.is_done(entry.path) else _SKIPPED

    def is_alone(self, entry: Entry) -> bool:
        """Whether no other slide may be under way beside this one."""
        return self.journal.is_suspect(entry.path)

    def prepare(self, entry: Entry) -> Preparation | Result:
        """The valid result that is there, or the slide ready to be classified.

        Raises:
            DamagedSlideError: it crashed the process before.
        """
        blame = self.journal.blame(entry.path)
        if blame:
            raise DamagedSlideError(entry.path, blame)
        self.journal.begins(entry.path)
        final, work = entry.result(self.out), self.work
        if final.exists() and self.keeps(entry):
            finished = earlier_result(entry, final, work)
            if finished is not None:
                return finished
        return prepare(
            entry.path, work.package, work.analysis, prober=self.prober, profile=work.profile
        )


class _Flight:
    """A slide on its way through the run, on a thread of its own.

    Is its :class:`~wsi_pipeline.run.turn.Turn`.
    """

    def __init__(self, entry: Entry, run: _Run, watching: Observer) -> None:
        self._entry, self._run = entry, run
        self._watching = Stoppable(watching, run.stop)
        self._handed_over = self._classified = False
        self.outcome: Future[Outcome]

    def starts(self, threads: ThreadPoolExecutor, prepared: "Future[Preparation | Result]") -> None:
        """Begin, as soon as the slide is prepared."""
        self.outcome = threads.submit(self._through, prepared)
        self.outcome.add_done_callback(lambda _: self._run.happened.put(None))

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.outcome.done()

    @property
    def is_alone(self) -> bool:
        """Whether no other slide may be under way beside it."""
        return self._run.is_alone(self._entry)

    @property
    def asks(self) -> bool:
        """Whether regions of it have yet to be given to the workers."""
        return not (self._handed_over or self.done)

    @property
    def is_classified(self) -> bool:
        """Whether the model is through with it."""
        return self._classified or self.done

    def handed_over(self) -> None:
        """See :meth:`Turn.handed_over`."""
        self._handed_over = True
        self._run.happened.put(None)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """See :meth:`Turn.writing`."""
        self._classified = True
        self._run.happened.put(None)
        with self._run.writing:
            yield

    def _through(self, preparing: "Future[Preparation | Result]") -> Outcome:
        done = False
        try:
            outcome = self._outcome(preparing)
            done = outcome.status == "done"
            return outcome
        finally:
            self._run.journal.ended(self._entry.path, done=done)

    def _outcome(self, preparing: "Future[Preparation | Result]") -> Outcome:
        entry, run = self._entry, self._run
        began = time.perf_counter()
        try:
            self._watching.stage("checking")
            prepared = preparing.result()
            result, status = (
                (prepared, run.found(entry))
                if isinstance(prepared, Result)
                else self._analyse(prepared, entry.result(run.out))
            )
            files = run.finish(result.path)
            seconds = time.perf_counter() - began
            return replace(outcome_of(entry.path, result, run.out, status, seconds), files=files)
        except (PackageError, UsageError):
            raise
        except Exception as error:  # one bad slide never stops the others
            if run.stop.is_set():
                raise
            if isinstance(error, SlideError):
                # The slide will not get better: what was begun is of no use.
                shutil.rmtree(partial_folder(entry.result(run.out)), ignore_errors=True)
            return _failure(entry, error, time.perf_counter() - began)

    def _analyse(self, prepared: Preparation, final: Path) -> tuple[Result, Status]:
        work, overwrite = self._run.work, self._run.overwrite
        try:
            result = analyse_slide(
                prepared, final, work, overwrite=overwrite, observer=self._watching, turn=self
            )
        except ResultExistsError:
            # Another run was faster.
            finished = earlier_result(self._entry, final, work)
            if finished is None:
                raise
            return finished, _SKIPPED
        return result, "done"


def _may_begin(flying: Sequence[_Flight], *, alone: bool) -> bool:
    """Whether the next slide may join those on their way."""
    under_way = [flight for flight in flying if not flight.done]
    if alone or any(flight.is_alone for flight in under_way):
        return not under_way
    computed = sum(not flight.is_classified for flight in under_way)
    written = len(under_way) - computed
    return not any(flight.asks for flight in under_way) and computed < 2 and written < 2


def _failure(entry: Entry, error: Exception, seconds: float) -> Outcome:
    if isinstance(error, WsiError):
        reason = str(error)
    elif isinstance(error, OSError):
        # Full disks and lost mounts: the message of the system says it, with the file.
        reason = f"{entry.path}: {error}"
    else:
        log.error("unexpected failure on %s", entry.path, exc_info=error)
        reason = f"{entry.path}: unexpected {type(error).__name__}: {error}"
    reason = " ".join(reason.split())
    return Outcome(str(entry.path), "failed", reason, seconds=round(seconds, 2))
