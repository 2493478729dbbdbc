"""The whole flow for one slide, on one screen: check, plan, classify, stitch, publish."""

import functools
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import ResultExistsError, UsageError
from wsi_pipeline.model.predictor import RuntimeInfo
from wsi_pipeline.run.checkpoint import Checkpoint
from wsi_pipeline.run.completed import Completed, complete
from wsi_pipeline.run.finished import Finished
from wsi_pipeline.run.hashing import MaskHashing
from wsi_pipeline.run.losses import Losses
from wsi_pipeline.run.observer import Observer, SilentObserver
from wsi_pipeline.run.preparation import Preparation
from wsi_pipeline.run.provenance import describe
from wsi_pipeline.run.regions import Region, RegionResult, RegionTask, cut_regions
from wsi_pipeline.run.resources import RESOURCES
from wsi_pipeline.run.shift import extras_of
from wsi_pipeline.run.slide_attention import look
from wsi_pipeline.run.spread import spread_extras
from wsi_pipeline.run.tile_probabilities import TileProbabilities
from wsi_pipeline.run.tile_values import TileValues
from wsi_pipeline.run.turn import Alone, Turn
from wsi_pipeline.run.work import Work
from wsi_pipeline.stitch.feature_array import FeatureArray
from wsi_pipeline.stitch.mask import LevelHash
from wsi_pipeline.stitch.record import TimingsRecord
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.writer import publish, write_store


def analyse_slide(
    prepared: Preparation,
    final: Path,
    work: Work,
    *,
    overwrite: bool = False,
    observer: Observer | None = None,
    turn: Turn | None = None,
) -> Result:
    """Analyse a prepared slide and write a complete result, checksums verified, at ``final``.

    Regions an earlier, killed run finished are not computed again. Where the control of the model's
    screen fails, the slide is analysed once more without it.

    Args:
        prepared: The slide.
        final: Where the result goes; its folder is made.
        work: Model, settings and scheduler.
        overwrite: Replace a result that is there.
        observer: Told of progress.
        turn: Between other slides of the run; None: there are none.

    Raises:
        DamagedSlideError: more tissue is unreadable than the settings allow.
        ResultExistsError: there is a result already.
        ResultBusyError: another process is making it.
        StoppedError: the analysis was asked to stop.
    """
    observer, turn = observer or SilentObserver(), turn or Alone()
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _analyse(prepared, final, work, observer, turn, overwrite=overwrite)
    except _ScreenFailedError as failed:
        again = prepared.unscreened(failed.wrong)
        return _analyse(again, final, work, observer, turn, overwrite=overwrite)


class _ScreenFailedError(Exception):
    """Controls of the screen are positive: its promise does not hold for this slide."""

    def __init__(self, wrong: int) -> None:
        super().__init__(f"{wrong} controls of the screen are positive")
        self.wrong = wrong


def _analyse(
    prepared: Preparation,
    final: Path,
    work: Work,
    observer: Observer,
    turn: Turn,
    *,
    overwrite: bool,
) -> Result:
    """One analysis, with the plan as it is prepared.

    Raises:
        _ScreenFailedError: the control of the screen failed; nothing was written.
    """
    plan = prepared.plan
    began = time.perf_counter()
    runtime = work.scheduler.describe(work.package, work.request, work.threshold)
    key = {
        "slide": prepared.sha256.result(),
        "model": work.package.sha256,
        "fingerprint": work.fingerprint,
        "plan": plan.sha256,
        "runtime": runtime.kind,
        **({} if prepared.stain is None else {"stain": asdict(prepared.stain)}),
    }
    with Checkpoint(final, key) as checkpoint:
        # Under the lock: another process may have finished the slide a moment ago.
        if final.exists() and not overwrite:
            checkpoint.discard()
            raise ResultExistsError(final, "exists already; remove it or use --overwrite")
        classes = work.package.classes
        extras = extras_of(work.package, runtime.features)
        kept = TileValues(
            work.package.description.answer,
            (*extras, *spread_extras(work.analysis, work.package.description)),
            runtime.features if work.keeps_features else 0,
        )
        regions = cut_regions(plan, kept)
        answers = TileProbabilities(plan, kept, classes.shape)
        missing: dict[int, Region] = {}
        losses = Losses(prepared.path, plan, work.analysis)
        losses.add(len(plan.unreadable), "found when looking for tissue")
        resumed = 0
        for region in regions:
            earlier = checkpoint.load(region.index, region.size(kept))
            if earlier is None:
                missing[region.index] = region
            else:
                losses.add(answers.take(region, earlier), "")
                resumed += region.tiles
        observer.planned(plan, resumed)
        observer.stage("classifying")
        read = wait = 0.0
        wanted = list(missing.values())
        finished = Finished(checkpoint, regions, kept)
        with _hashing(prepared, work, finished, answers, wanted) as hashing:
            for done in _classify(prepared, work, wanted, runtime, kept, turn.handed_over):
                region = missing[done.index]
                losses.add(answers.take(region, done.values), done.unreadable)
                with work.profile.span("write", "keep a region", prepared.name):
                    checkpoint.save(done.index, done.values)
                read, wait = read + done.read_seconds, wait + done.wait_seconds
                observer.advanced(region.tiles, done.bytes_read)
                hashing.answered(done.index)
        _check_screen(prepared, answers, work.threshold)
        classified = time.perf_counter()
        with turn.writing():
            observer.stage("writing")
            timings = TimingsRecord(
                classify_seconds=round(classified - began, 3),
                read_thread_seconds=round(read, 3),
                model_wait_seconds=round(wait, 3),
                resumed_tiles=resumed,
            )
            _write(prepared, work, finished, answers, runtime, timings, hashing.done)
            with work.profile.span("write", "publish", prepared.name):
                publish(checkpoint.store, final, overwrite=overwrite)
                checkpoint.discard()
    return Result(final)


def _write(
    prepared: Preparation,
    work: Work,
    finished: Finished,
    answers: TileProbabilities,
    runtime: RuntimeInfo,
    timings: TimingsRecord,
    hashed: Callable[[], LevelHash],
) -> None:
    """Write the store of a slide beside its final name."""
    plan, kept, checkpoint = prepared.plan, finished.kept, finished.checkpoint
    with work.profile.span("write", "stitch", prepared.name):
        completed = _completed(prepared, work, finished, answers)
        cells = completed.cells
        record = describe(
            prepared,
            work.package,
            work.analysis,
            work.fingerprint,
            runtime,
            cells,
            answers,
            timings,
        )
        attention = None
        if work.package.needs_features:
            looked = look(work.package, finished.features(), record)
            record, attention = looked.record, looked.attention
    with work.profile.span("write", "hash and write", prepared.name):
        write_store(
            checkpoint.store,
            name=record.slide.name,
            plan=prepared.whole,
            probabilities=completed.probabilities,
            extras=completed.extras,
            features=FeatureArray(
                len(plan), kept.features, work.analysis.features, finished.features()
            )
            if work.analysis.features != "off"
            else None,
            attention=attention,
            cells=cells,
            threshold=work.threshold,
            levels=prepared.info.levels,
            attributes=record.to_json(),
            quality=None if prepared.marks is None else prepared.marks.grid,
            hashed=hashed,
        )


def _hashing(
    prepared: Preparation,
    work: Work,
    finished: Finished,
    answers: TileProbabilities,
    wanted: list[Region],
) -> MaskHashing:
    """Hashes the mask while the wanted regions are computed."""

    def decide() -> NDArray[np.uint8]:
        return _completed(prepared, work, finished, answers).cells.decision(work.threshold)

    grid, classes = prepared.plan.grid, work.package.classes
    # Maps are stitched from what is on disk, an encoder has no mask.
    ahead = wanted if classes.members and finished.kept.answer == classes.shape else []
    timed = functools.partial(work.profile.span, "write", "hash the mask", prepared.name)
    return MaskHashing(grid, prepared.info.levels[grid.level], ahead, decide, timed)


def _completed(
    prepared: Preparation, work: Work, finished: Finished, answers: TileProbabilities
) -> Completed:
    """The answers of model and screen, stitched; tiles without one count as unreadable."""
    stitched = finished.stitched(prepared.plan, answers, work.package.classes)
    return complete(prepared.screening, stitched, answers)


def _check_screen(prepared: Preparation, answers: TileProbabilities, threshold: float) -> None:
    """Look at the controls of the screen, if there was one.

    Raises:
        _ScreenFailedError: some are positive.
    """
    screening = prepared.screening
    wrong = 0 if screening is None else screening.wrong(answers.probabilities, threshold)
    if wrong:
        raise _ScreenFailedError(wrong)


def _classify(
    prepared: Preparation,
    work: Work,
    missing: list[Region],
    runtime: RuntimeInfo,
    kept: TileValues,
    handed_over: Callable[[], None],
) -> Iterator[RegionResult]:
    """Run the missing regions; they arrive in any order."""
    slide, stop = prepared.path.resolve(), uuid.uuid4().hex

    def tasks() -> Iterator[RegionTask]:
        for region in missing:
            yield RegionTask(
                region=region,
                slide=slide,
                grid=prepared.plan.grid,
                package=work.package.folder.resolve(),
                package_sha256=work.package.sha256,
                runtime=work.request,
                threshold=work.threshold,
                stop=stop,
                kept=kept,
                stain=prepared.stain,
                profiled=work.profile.records,
            )
        handed_over()

    RESOURCES.lend(stop, prepared.kept)
    RESOURCES.hold(slide, prepared.reader)
    try:
        for done in work.scheduler.run(tasks()):
            if done.runtime_kind != runtime.kind:
                raise UsageError(
                    f"one worker computes with {done.runtime_kind}, another with {runtime.kind}; "
                    "choose one kind with --device and --precision"
                )
            work.profile.add(replace(span, slide=prepared.name) for span in done.spans)
            yield done
    finally:
        # Regions still running, if any, are of no use to anybody now.
        RESOURCES.stop(stop)
        RESOURCES.forget(slide)
