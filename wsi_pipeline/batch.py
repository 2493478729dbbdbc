"""A directory of slides: one after the other, the next prepared meanwhile, none stops another."""

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from wsi_pipeline.errors import (
    PackageError,
    ResultError,
    ResultExistsError,
    SlideError,
    UsageError,
    WsiError,
)
from wsi_pipeline.pipeline import Work, analyse_slide
from wsi_pipeline.run.checkpoint import partial_folder
from wsi_pipeline.run.inputs import Entry
from wsi_pipeline.run.observer import Observer
from wsi_pipeline.run.preparation import Preparation, prepare
from wsi_pipeline.run.summary import Outcome, Status, outcome_of
from wsi_pipeline.slide.files import slide_files, slide_sha256
from wsi_pipeline.slide.probe import Probe, probe
from wsi_pipeline.stitch.result import Result, verify

log = logging.getLogger(__name__)

_SKIPPED: Status = "skipped"
_CHOICE = "use another -o, or --overwrite to replace it"


class BatchObserver(Protocol):
    """Told of each slide of a run."""

    def begins(self, entry: Entry) -> Observer:
        """A slide's turn has come; the returned observer watches it."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """A slide is through, one way or another."""
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
) -> Iterator[Outcome]:
    """Analyse slides into ``out``; yields what became of each.

    ``finish`` is called with each result that is there and says what files it wrote beside it;
    where it fails, so has the slide.

    Slides without a result come first, so that a run started again gets to its work at once;
    then what is there is verified.

    Raises:
        PackageError: the model cannot be used at all.
        UsageError: device, precision and runtime do not go together.
    """
    order = sorted(entries, key=lambda entry: not overwrite and entry.result(out).exists())
    with ThreadPoolExecutor(1, thread_name_prefix="prepare") as ahead:
        following: Future[Preparation | Result] | None = None
        for position, entry in enumerate(order):
            watching = observer.begins(entry)
            began = time.perf_counter()
            current = following or ahead.submit(_prepare, entry, out, work, overwrite, prober)
            following = None
            try:
                watching.stage("checking")
                prepared = current.result()
                if position + 1 < len(order):
                    following = ahead.submit(
                        _prepare, order[position + 1], out, work, overwrite, prober
                    )
                result, status = (
                    (prepared, _SKIPPED)
                    if isinstance(prepared, Result)
                    else _analyse(prepared, entry, out, work, overwrite, watching)
                )
                files = finish(result.path)
                seconds = time.perf_counter() - began
                outcome = replace(outcome_of(entry.path, result, out, status, seconds), files=files)
            except (PackageError, UsageError):
                raise
            except Exception as error:  # one bad slide never stops the others
                outcome = _failure(entry, error, time.perf_counter() - began)
                if isinstance(error, SlideError):
                    # The slide will not get better: what was begun is of no use.
                    shutil.rmtree(partial_folder(entry.result(out)), ignore_errors=True)
            observer.ended(outcome)
            yield outcome


def _analyse(
    prepared: Preparation,
    entry: Entry,
    out: Path,
    work: Work,
    overwrite: bool,  # noqa: FBT001 - passed on as it is
    observer: Observer,
) -> tuple[Result, Status]:
    final = entry.result(out)
    try:
        result = analyse_slide(prepared, final, work, overwrite=overwrite, observer=observer)
    except ResultExistsError:
        # Another run was faster.
        finished = _finished(entry, final, work)
        if finished is None:
            raise
        return finished, _SKIPPED
    return result, "done"


def _prepare(
    entry: Entry,
    out: Path,
    work: Work,
    overwrite: bool,  # noqa: FBT001 - passed on as submitted
    prober: Callable[[Path], Probe],
) -> Preparation | Result:
    """The valid result that is there, or the slide ready to be classified."""
    final = entry.result(out)
    if final.exists() and not overwrite:
        finished = _finished(entry, final, work)
        if finished is not None:
            return finished
    return prepare(entry.path, work.package, work.analysis, prober=prober)


def _finished(entry: Entry, final: Path, work: Work) -> Result | None:
    """The result at ``final`` if it is this analysis, whole; None if it is damaged.

    Raises:
        ResultError: it is sound but of another slide, model or configuration.
    """
    try:
        result = verify(final)
    except ResultError as error:
        log.warning("%s; it is computed again", error)
        damaged = partial_folder(final) / "damaged"
        damaged.parent.mkdir(exist_ok=True)
        shutil.rmtree(damaged, ignore_errors=True)
        final.rename(damaged)
        return None
    record = result.record
    if record.model.sha256 != work.package.sha256:
        other = record.model.name
        raise ResultError(final, f"was made with another model ({other}); {_CHOICE}")
    if record.fingerprint != work.fingerprint:
        raise ResultError(final, f"was made with other settings; {_CHOICE}")
    if record.slide.sha256 != slide_sha256(slide_files(entry.path)):
        raise ResultError(final, f"is of another slide of this name; {_CHOICE}")
    # A run may have been killed between publishing and tidying up.
    shutil.rmtree(partial_folder(final), ignore_errors=True)
    return result


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
