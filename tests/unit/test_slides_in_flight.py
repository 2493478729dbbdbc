"""Slides of a run go on beside each other, and none can tell."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wsi_pipeline import pipeline
from wsi_pipeline.batch import run_batch
from wsi_pipeline.run import regions
from wsi_pipeline.run.checkpoint import partial_folder
from wsi_pipeline.run.inputs import Entry, expand
from wsi_pipeline.run.observer import Observer, SilentObserver
from wsi_pipeline.run.summary import Outcome
from wsi_pipeline.run.work import Work
from wsi_pipeline.slide.probe import Probe, probe
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.stitch.writer import write_store
from wsi_pipeline.testing import FakePredictor
from wsi_pipeline.tiles.plan import Plan

MakeSlide = Callable[..., Path]
MakeWork = Callable[..., Work]
#: What takes so long has locked up, seconds.
_LONG = 120


class Watching:
    """Notes what it is told, by slide."""

    def __init__(self) -> None:
        self.ended_slides: list[str] = []
        self.stages: dict[str, list[str]] = {}
        self.classifying: dict[str, threading.Event] = {}

    def event(self, name: str) -> threading.Event:
        return self.classifying.setdefault(name, threading.Event())

    def begins(self, entry: Entry) -> Observer:
        name, watching = entry.name.name, self
        told = self.stages.setdefault(name, [])

        class Slide(SilentObserver):
            def stage(self, name_of_stage: str) -> None:
                told.append(name_of_stage)

            def planned(self, plan: Plan, resumed_tiles: int) -> None:  # noqa: ARG002 - the interface
                watching.event(name).set()

        return Slide()

    def ended(self, outcome: Outcome) -> None:
        self.ended_slides.append(Path(outcome.slide).stem)


@pytest.fixture
def folder(make_slide: MakeSlide, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four slides of three regions each, no two alike."""
    monkeypatch.setattr(regions, "REGION_TILES", 8)
    paths = [make_slide(f"{name}.tiff", 64 * number) for number, name in enumerate("abcd")]
    return paths[0].parent


def run(folder: Path, out: Path, work: Work, watching: Watching | None = None) -> list[Outcome]:
    entries = expand([str(folder)]).slides
    return list(run_batch(entries, out, work, watching or Watching()))


def writing(monkeypatch: pytest.MonkeyPatch, before: Callable[[str], None]) -> None:
    """Call something with a slide's name before its store is written."""

    def write(folder: Path, *, name: str, **named: Any) -> None:
        before(name)
        write_store(folder, name=name, **named)

    monkeypatch.setattr(pipeline, "write_store", write)


def test_a_slide_is_classified_while_the_one_before_is_written(
    tmp_path: Path, folder: Path, make_work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching, following = Watching(), dict(zip("abc", "bcd", strict=True))

    def wait(name: str) -> None:
        if name in following:
            assert watching.event(following[name]).wait(_LONG), "the next slide waits for this one"

    writing(monkeypatch, wait)
    outcomes = run(folder, tmp_path / "out", make_work(), watching)
    assert [outcome.status for outcome in outcomes] == ["done"] * 4
    assert watching.ended_slides == list("abcd")
    assert set(map(tuple, watching.stages.values())) == {("checking", "classifying", "writing")}


def test_results_are_those_of_slides_one_by_one(
    tmp_path: Path, folder: Path, make_work: MakeWork
) -> None:
    together, alone = tmp_path / "together", tmp_path / "alone"
    run(folder, together, make_work())
    for slide in folder.iterdir():
        run(slide, alone, make_work())
    arrays = [
        {path.name: verify(path).attributes["arrays"] for path in sorted(out.glob("*.zarr"))}
        for out in (together, alone)
    ]
    assert len(arrays[0]) == 4
    assert arrays[0] == arrays[1]
    assert len({str(one) for one in arrays[0].values()}) == 4, "no two slides are alike"


def test_at_most_one_slide_is_written_at_a_time(
    tmp_path: Path, folder: Path, make_work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, most = 0, 0

    def write(folder: Path, **named: Any) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        write_store(folder, **named)
        inside -= 1

    monkeypatch.setattr(pipeline, "write_store", write)
    assert len(run(folder, tmp_path / "out", make_work())) == 4
    assert most == 1


def test_a_slide_that_cannot_be_written_harms_no_other(
    tmp_path: Path, folder: Path, make_work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = Watching()

    def fail(name: str) -> None:
        if name == "b":
            assert watching.event("c").wait(_LONG)  # so that another is under way
            raise OSError(28, "No space left on device")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        writing(patch, fail)
        outcomes = run(folder, out, make_work(), watching)
    assert [outcome.status for outcome in outcomes] == ["done", "failed", "done", "done"]
    assert "No space left" in outcomes[1].reason
    # What was computed of it is kept, so that the next run only has to write.
    assert len(list(partial_folder(out / "b.zarr").glob("region-*"))) == 3
    (again,) = (one for one in run(folder, out, make_work()) if one.status == "done")
    assert (Path(again.slide).stem, again.resumed_tiles) == ("b", again.tiles)


def test_a_slide_that_fails_early_is_told_of_in_its_turn(
    tmp_path: Path, folder: Path, make_work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "b.tiff").write_bytes((folder / "b.tiff").read_bytes()[:-2000])
    failed = threading.Event()

    def look(path: Path) -> Probe:
        try:
            return probe(path)
        except Exception:
            failed.set()
            raise

    writing(monkeypatch, lambda name: None if name != "a" else _assert(failed.wait(_LONG)))
    watching = Watching()
    entries = expand([str(folder)]).slides
    told = list(run_batch(entries, tmp_path / "out", make_work(), watching, prober=look))
    assert [one.status for one in told] == ["done", "failed", "done", "done"]
    assert watching.ended_slides == list("abcd")


def _assert(truth: bool) -> None:
    assert truth


@pytest.mark.parametrize("left", ["closed", "interrupted"])
def test_a_run_that_is_left_stops_its_slides_and_can_be_continued(
    tmp_path: Path,
    folder: Path,
    make_work: MakeWork,
    fake: FakePredictor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    left: str,
) -> None:
    out = tmp_path / "out"
    whole = tmp_path / "whole"
    run(folder, whole, make_work())

    class Leaving(Watching):
        def ended(self, outcome: Outcome) -> None:
            super().ended(outcome)
            if left == "interrupted":
                raise KeyboardInterrupt

    watching = Leaving()
    # The second slide cannot be done before the first is told of.
    writing(monkeypatch, lambda name: None if name == "a" else _until(watching.ended_slides))
    entries = expand([str(folder)]).slides
    outcomes: Iterator[Outcome] = run_batch(entries, out, make_work(), watching)
    if left == "interrupted":
        with pytest.raises(KeyboardInterrupt):
            next(outcomes)
    else:
        assert next(outcomes).status == "done"
        outcomes.close()  # type: ignore[attr-defined]  # a generator
    assert watching.ended_slides == ["a"]
    assert caplog.records == [], "to be stopped is no failure"
    assert not (out / "d.zarr").exists()
    assert threading.active_count() < 50
    monkeypatch.undo()
    monkeypatch.setattr(regions, "REGION_TILES", 8)
    caplog.set_level(logging.ERROR)
    again = run(folder, out, make_work())
    assert {one.status for one in again} <= {"done", "skipped"}
    for path in whole.glob("*.zarr"):
        assert Result(out / path.name).attributes["arrays"] == Result(path).attributes["arrays"]
    assert not list(out.glob(".*.partial"))


def _until(told: list[str]) -> None:
    deadline = threading.Event()
    for _ in range(_LONG * 100):
        if told:
            return
        deadline.wait(0.01)
    pytest.fail("nothing was told")
