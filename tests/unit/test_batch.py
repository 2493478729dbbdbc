"""A run of many slides: none stops another, and what is there is used only if it is right."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.batch import run_batch
from wsi_pipeline.errors import ResultError
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run import regions
from wsi_pipeline.run.checkpoint import Checkpoint, partial_folder
from wsi_pipeline.run.inputs import Entry, expand
from wsi_pipeline.run.journal import Evidence, FileJournal
from wsi_pipeline.run.observer import Observer, SilentObserver
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.summary import Outcome
from wsi_pipeline.run.work import Work
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.testing import FakePredictor

MakeSlide = Callable[..., Path]
MakeWork = Callable[..., Work]


class Watching:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begins(self, entry: Entry) -> Observer:
        self.told.append(f"begins {entry.name}")
        return SilentObserver()

    def ended(self, outcome: Outcome) -> None:
        self.told.append(f"{outcome.status} {Path(outcome.slide).stem}")


def run(slides: Path, out: Path, work: Work, *, overwrite: bool = False) -> dict[str, Outcome]:
    entries = expand([str(slides)]).slides
    outcomes = run_batch(entries, out, work, Watching(), overwrite=overwrite)
    return {Path(outcome.slide).name: outcome for outcome in outcomes}


def test_bad_slides_stop_nobody(tmp_path: Path, make_slide: MakeSlide, make_work: MakeWork) -> None:
    good = make_slide("c.tiff")
    make_slide("z.tiff", tumour=0)
    folder = good.parent
    (folder / "a.svs").write_text("no slide")
    (folder / "b.tiff").write_bytes(good.read_bytes()[:-2000])
    (folder / "odd.svs").mkdir()
    out = tmp_path / "out"
    outcomes = run(folder, out, make_work())
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "a.svs": "failed",
        "b.tiff": "failed",
        "c.tiff": "done",
        "odd.svs": "failed",
        "z.tiff": "done",
    }
    for name in ("a.svs", "b.tiff", "odd.svs"):
        assert str(folder / name) in outcomes[name].reason
        assert "\n" not in outcomes[name].reason
    assert "truncated" in outcomes["b.tiff"].reason
    done = outcomes["c.tiff"]
    assert (done.result, done.slide_score, done.tiles) == ("c.zarr", 1.0, 24)
    assert done.tumour_percent == pytest.approx(100 / 3, abs=1e-4)
    assert outcomes["z.tiff"].slide_score == 0
    assert sorted(path.name for path in out.iterdir()) == ["c.zarr", "z.zarr"]


def test_valid_results_are_kept_and_damaged_ones_made_again(
    tmp_path: Path, make_slide: MakeSlide, make_work: MakeWork, fake: FakePredictor
) -> None:
    folder, out, work = make_slide("a.tiff").parent, tmp_path / "out", make_work()
    make_slide("b.tiff")
    assert {o.status for o in run(folder, out, work).values()} == {"done"}
    before = verify(out / "a.zarr").attributes["arrays"]
    fake.batches.clear()
    again = run(folder, out, work)
    assert {o.status for o in again.values()} == {"skipped"}
    assert again["a.tiff"].slide_score == 1
    assert fake.batches == []
    chunk = next(f for f in (out / "a.zarr" / "labels").rglob("c/*/*"))
    chunk.unlink()
    repaired = run(folder, out, work)
    assert {name: o.status for name, o in repaired.items()} == {
        "a.tiff": "done",
        "b.tiff": "skipped",
    }
    assert verify(out / "a.zarr").attributes["arrays"] == before
    assert sorted(path.name for path in out.iterdir()) == ["a.zarr", "b.zarr"]


def test_a_result_of_another_analysis_is_left_alone(
    tmp_path: Path, make_slide: MakeSlide, make_work: MakeWork
) -> None:
    slide, out = make_slide("a.tiff"), tmp_path / "out"
    run(slide, out, make_work())
    before = verify(out / "a.zarr").attributes
    refused = run(slide, out, make_work(stride=32))["a.tiff"]
    assert refused.status == "failed"
    assert "other settings" in refused.reason
    assert "--overwrite" in refused.reason
    make_slide("a.tiff", tumour=64)
    changed = run(slide, out, make_work())["a.tiff"]
    assert "another slide of this name" in changed.reason
    assert verify(out / "a.zarr").attributes == before
    replaced = run(slide, out, make_work(stride=32), overwrite=True)["a.tiff"]
    assert replaced.status == "done"
    assert verify(out / "a.zarr").attributes["grid"]["stride_px"] == 32
    assert [path.name for path in out.iterdir()] == ["a.zarr"]


def test_an_unforeseen_failure_is_one_slides_own(
    tmp_path: Path,
    make_slide: MakeSlide,
    make_work: MakeWork,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = make_slide("a.tiff").parent
    make_slide("b.tiff")

    def broken(*arguments: object, **named: object) -> object:
        if "a.tiff" in str(arguments[0]):
            raise ZeroDivisionError("a bug")
        return prepare(*arguments, **named)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr("wsi_pipeline.batch.prepare", broken)
    outcomes = run(folder, tmp_path / "out", make_work())
    assert "unexpected ZeroDivisionError: a bug" in outcomes["a.tiff"].reason
    assert outcomes["b.tiff"].status == "done"
    assert "a bug" in caplog.text  # with its trace, for whoever mends it


def test_what_cannot_be_finished_has_failed_and_keeps_its_result(
    tmp_path: Path, make_slide: MakeSlide, make_work: MakeWork
) -> None:
    folder, out = make_slide("a.tiff").parent, tmp_path / "out"
    make_slide("b.tiff")

    def finish(path: Path) -> str:
        if path.stem == "a":
            raise ResultError(path, "is complete, but a.h5 cannot be written")
        return f"{path.stem}.h5 written"

    entries, watching = expand([str(folder)]).slides, Watching()
    for status in ("done", "skipped"):
        outcomes = list(run_batch(entries, out, make_work(), watching, finish=finish))
        assert [one.status for one in outcomes] == ["failed", status]
        assert "a.zarr: is complete, but a.h5" in outcomes[0].reason
        assert [one.files for one in outcomes] == ["", "b.h5 written"]
        verify(out / "a.zarr")
    ended = [told for told in watching.told if not told.startswith("begins")]
    assert ended == ["failed a", "done b", "failed a", "skipped b"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_the_run_made_before_a_crash_is_done_and_not_made_again(
    tmp_path: Path,
    make_slide: MakeSlide,
    make_work: MakeWork,
    fake: FakePredictor,
    overwrite: bool,
) -> None:
    slide, out, work = make_slide("a.tiff"), tmp_path / "out", make_work()
    make_slide("b.tiff")
    run(slide.parent, out, work)
    once = len(fake.batches) // 2
    assert once
    fake.batches.clear()
    journal = FileJournal()
    journal.evidence = Evidence(done=frozenset({slide}))
    entries = expand([str(slide.parent)]).slides
    outcomes = list(run_batch(entries, out, work, Watching(), overwrite=overwrite, journal=journal))
    journal.close()
    status = {Path(one.slide).name: one.status for one in outcomes}
    assert status == {"a.tiff": "done", "b.tiff": "done" if overwrite else "skipped"}
    assert len(fake.batches) == (once if overwrite else 0)


def test_new_slides_come_first(tmp_path: Path, make_slide: MakeSlide, make_work: MakeWork) -> None:
    first, out, work = make_slide("a.tiff"), tmp_path / "out", make_work()
    run(first, out, work)
    make_slide("b.tiff")
    watching = Watching()
    list(run_batch(expand([str(first.parent)]).slides, out, work, watching))
    begun = [told for told in watching.told if told.startswith("begins")]
    assert begun == ["begins b", "begins a"]
    assert [told for told in watching.told if told not in begun] == ["done b", "skipped a"]


def test_an_interrupted_analysis_goes_on_where_it_was(
    tmp_path: Path,
    make_slide: MakeSlide,
    make_work: MakeWork,
    fake: FakePredictor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(regions, "REGION_TILES", 8)
    slide, work = make_slide("a.tiff"), make_work()
    whole = analyse_slide(
        prepare(slide, work.package, work.analysis), tmp_path / "whole" / "a.zarr", work
    )
    saved = Checkpoint.save
    kept: list[int] = []

    def save_two(self: Checkpoint, index: int, values: NDArray[np.float32]) -> None:
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(index)
        saved(self, index, values)

    final = tmp_path / "out" / "a.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", save_two)
        with pytest.raises(KeyboardInterrupt):
            analyse_slide(prepare(slide, work.package, work.analysis), final, work)
    assert not final.exists()
    fake.batches.clear()
    result = analyse_slide(prepare(slide, work.package, work.analysis), final, work)
    assert result.attributes["timings"]["resumed_tiles"] == 16
    assert sum(fake.batches) == 8
    assert result.attributes["arrays"] == whole.attributes["arrays"]
    assert not partial_folder(final).exists()


def test_a_result_in_the_way_is_refused(
    tmp_path: Path, make_slide: MakeSlide, make_work: MakeWork
) -> None:
    slide, work, final = make_slide("a.tiff"), make_work(), tmp_path / "out" / "a.zarr"
    analyse_slide(prepare(slide, work.package, work.analysis), final, work)
    with pytest.raises(ResultError, match="--overwrite"):
        analyse_slide(prepare(slide, work.package, work.analysis), final, work)
    analyse_slide(prepare(slide, work.package, work.analysis), final, work, overwrite=True)
    assert Result(final).name == "a"


def test_a_slide_someone_else_is_at_is_refused(
    tmp_path: Path, make_slide: MakeSlide, make_work: MakeWork
) -> None:
    slide, out = make_slide("a.tiff"), tmp_path / "out"
    out.mkdir()
    with Checkpoint(out / "a.zarr", {"another": "run"}):
        refused = run(slide, out, make_work())["a.tiff"]
    assert refused.status == "failed"
    assert "another process" in refused.reason
