"""Watched folders with a real database, real slides and a real check; the analysis is left out."""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from jobs_support import PROBLEM, Store
from pydantic import ValidationError

from workers import watched_folders as folders
from workers.watched_files import WatchedFiles
from workers.watched_folders import FolderWatch
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.jobs.job import Job, JobState
from wsi_pipeline.service.logs import facts_of
from wsi_pipeline.service.settings import ServiceSettings, WatchedFolder
from wsi_pipeline.service.tables import jobs, slides, watched_files, workspaces
from wsi_pipeline.slide.files import slide_sha256
from wsi_pipeline.storage import Storage, open_storage
from wsi_pipeline.testing import write_pyramid

MODEL = "stub"
STILL = 0.05


@dataclass
class Watched:
    """A watched folder, and everything around it."""

    folder: Path
    store: Store
    settings: ServiceSettings
    storage: Storage
    watch: FolderWatch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = self.another()

    def another(self) -> FolderWatch:
        """As another worker, or the same one started again."""
        return FolderWatch(self.settings, self.store.database, self.storage)

    def scan(self, times: int = 2, watch: FolderWatch | None = None) -> None:
        """Look, let it rest, look again."""
        for _ in range(times):
            (watch or self.watch).scan()
            time.sleep(2 * STILL)

    def slide(self, name: str = "a.tiff", tone: int = 200, folder: Path | None = None) -> Path:
        path = (folder or self.folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = path.with_name(f".{path.name}")
        write_pyramid(hidden, np.full((128, 128, 3), tone, np.uint8), downsamples=(1, 2))
        hidden.rename(path)
        return path

    def jobs(self) -> list[Job]:
        with self.store.database.read() as connection:
            found = connection.execute(sa.select(jobs).order_by(jobs.c.created_at)).mappings()
            return [Job.of(row) for row in found]

    def slides(self) -> list[sa.RowMapping]:
        with self.store.database.read() as connection:
            wanted = sa.select(slides).order_by(slides.c.created_at)
            return list(connection.execute(wanted).mappings())

    def finish(self, text: str = "one") -> str:
        """Do what a worker does, without computing anything; returns the job's id."""
        claim = self.store.claim()
        local = self.folder.parent / f"work-{claim.job.id}"
        local.mkdir()
        attributes = {"attributes": {"wsi_pipeline": {"text": text}}}
        (local / "zarr.json").write_text(json.dumps(attributes))
        key = f"results/{claim.job.id}/mask.zarr"
        self.storage.put_tree(key, local)
        assert self.store.queue.succeed(claim, key, {})[0]
        return claim.job.id

    def told(self, path: Path) -> str:
        attributes = json.loads((path / "zarr.json").read_text())["attributes"]
        return str(attributes["wsi_pipeline"]["text"])

    def rest(self) -> None:
        """Let what somebody works on be free again, as after a minute."""
        self.store.change(watched_files.update().values(still_since=0))


Watching = Callable[..., Watched]


@pytest.fixture
def watching(
    tmp_path: Path,
    database: Database,
    stub_package: ModelPackage,
    monkeypatch: pytest.MonkeyPatch,
) -> Watching:
    """With ``hurried``, files are free again at once; not for tests of several workers."""

    def make(*, hurried: bool = True, **values: Any) -> Watched:
        if hurried:
            monkeypatch.setattr(folders, "_LEAST_HOLD_SECONDS", 2 * STILL)
        folder = tmp_path / "in"
        folder.mkdir(exist_ok=True)
        facts = {"path": folder, "model": MODEL, "still_seconds": STILL} | values
        settings = ServiceSettings(
            data_dir=tmp_path / "data",
            models_dir=tmp_path / "models",
            watch=(WatchedFolder.model_validate(facts),),
            scan_seconds=0.05,
        )
        if not settings.models_dir.exists():
            shutil.copytree(stub_package.folder, settings.models_dir / MODEL)
        storage = open_storage(str(tmp_path / "store"))
        return Watched(folder, Store(database), settings, storage)

    return make


@pytest.fixture
def watched(watching: Watching) -> Watched:
    return watching()


def test_a_slide_is_queued_and_its_result_lies_beside_it(watched: Watched) -> None:
    path = watched.slide("deep/a.tiff")
    watched.scan()
    (job,) = watched.jobs()
    (slide,) = watched.slides()
    assert job.state is JobState.QUEUED
    assert (job.model, job.slide_id) == (MODEL, slide["id"])
    assert slide["state"] == "ready"
    assert slide["location"] == f"file:{path}"
    assert slide["sha256"] == slide_sha256([path])
    assert slide["info"]["levels"][0]["size"] == {"width": 128, "height": 128}
    assert "path" not in slide["info"]
    assert slide["name"] == "a.tiff"
    watched.finish()
    watched.scan()
    assert watched.told(path.parent / "a.zarr") == "one"
    assert sorted(file.name for file in path.parent.iterdir()) == ["a.tiff", "a.zarr"]
    watched.scan(4)
    assert len(watched.jobs()) == 1, "neither the slide nor its result is queued again"


def test_results_go_into_a_mirrored_tree(watching: Watching, tmp_path: Path) -> None:
    watched = watching(results=tmp_path / "out")
    watched.slide("deep/a.tiff")
    watched.scan()
    watched.finish()
    watched.scan(1)
    assert watched.told(tmp_path / "out" / "deep" / "a.zarr") == "one"
    assert [file.name for file in (watched.folder / "deep").iterdir()] == ["a.tiff"]


def test_slides_are_analysed_as_the_folder_says(watching: Watching) -> None:
    watched = watching(analysis={"stride": 64, "slide_mpp": 0.5})
    watched.slide("a.tiff")
    watched.scan()
    (job,) = watched.jobs()
    assert (job.config["stride"], job.config["slide_mpp"]) == (64, 0.5)


@pytest.mark.parametrize("analysis", [{"strid": 64}, {"slide_mpp": 352}, {"device": "cpu"}])
def test_a_folder_that_asks_for_nonsense_is_refused(
    watching: Watching, analysis: dict[str, object]
) -> None:
    with pytest.raises(ValidationError):
        watching(analysis=analysis)


def test_a_growing_file_waits(watched: Watched) -> None:
    whole = watched.slide("whole.svs", folder=watched.folder.parent).read_bytes()
    path = watched.folder / "a.tiff"
    for part in range(1, 6):
        path.write_bytes(whole[: len(whole) * part // 6])
        watched.watch.scan()
        time.sleep(STILL / 10)
    assert watched.slides() == []
    path.write_bytes(whole)
    watched.scan()
    (slide,) = watched.slides()
    assert slide["state"] == "ready"


def test_a_touched_file_is_not_another_slide_and_a_changed_one_is(watched: Watched) -> None:
    path = watched.slide()
    watched.scan()
    first = watched.finish()
    os.utime(path, (1000, 1000))
    watched.scan()
    again = next(job for job in watched.jobs() if job.id != first)
    assert again.state is JobState.SUCCEEDED, "the work was done already"
    assert len(watched.slides()) == 1
    watched.slide(tone=100)
    watched.scan()
    assert len(watched.slides()) == 2
    watched.finish("two")
    watched.scan()
    assert watched.told(watched.folder / "a.zarr") == "two"


def test_what_is_no_slide_is_told_once(watched: Watched) -> None:
    path = watched.folder / "a.tiff"
    path.write_bytes(b"this is no slide" * 100)
    watched.scan()
    (slide,) = watched.slides()
    assert slide["state"] == "rejected"
    assert slide["problem"]["status"] == 422
    watched.scan()
    told = json.loads((watched.folder / "a.error.json").read_text())
    assert told["job_id"] is None
    assert told["problem"] == slide["problem"]
    assert str(watched.folder) not in told["problem"]["detail"]
    watched.scan(4)
    assert len(watched.slides()) == 1
    watched.slide()
    watched.scan()
    watched.finish()
    watched.scan()
    assert watched.told(watched.folder / "a.zarr") == "one"
    assert not (watched.folder / "a.error.json").exists()


def test_a_name_that_no_slide_can_have_is_told_once(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """One that a database can keep, and one that is no text at all."""
    watched.slide("a\nb.tiff")
    odd = os.fsdecode(os.fsencode(watched.folder) + b"/c\xff.tiff")
    watched.slide().rename(odd)
    watched.scan(4)
    (slide,) = watched.slides()
    assert (slide["state"], slide["name"]) == ("rejected", "a\\nb.tiff")
    told = {
        name: json.loads((watched.folder / name).read_text())["problem"]["detail"]
        for name in ("a\nb.error.json", os.fsdecode(b"c\xff.error.json"))
    }
    assert list(told.values()) == [
        "a\\nb.tiff: the slide's name holds a line end (U+000A); rename it",
        "c\\udcff.tiff: the path is not text in UTF-8; rename it",
    ]
    assert sum("not text" in record.message for record in caplog.records) == 1
    before = {path: path.stat().st_mtime_ns for path in watched.folder.iterdir()}
    watched.scan(3)
    assert {path: path.stat().st_mtime_ns for path in watched.folder.iterdir()} == before
    assert watched.jobs() == []


def test_a_failed_job_is_told_and_a_retried_one_delivered(watched: Watched) -> None:
    watched.slide()
    watched.scan()
    (job,) = watched.jobs()
    watched.store.queue.fail(watched.store.claim().job, PROBLEM, final=True)
    watched.scan()
    told = json.loads((watched.folder / "a.error.json").read_text())
    assert told == {"job_id": job.id, "problem": PROBLEM}
    access = watched.store.access("default")
    watched.store.requests.retry(access, job.id)
    watched.finish()
    watched.scan()
    assert watched.told(watched.folder / "a.zarr") == "one"
    assert not (watched.folder / "a.error.json").exists()


def test_a_cancelled_job_is_told(watched: Watched) -> None:
    watched.slide()
    watched.scan()
    (job,) = watched.jobs()
    watched.store.requests.cancel(watched.store.access("default"), job.id)
    watched.scan()
    told = json.loads((watched.folder / "a.error.json").read_text())
    assert "cancelled" in told["problem"]["title"]


def test_several_workers_queue_each_slide_once(watching: Watching) -> None:
    watched = watching(hurried=False, still_seconds=0.0)
    for number in range(6):
        watched.slide(f"{number}.tiff", tone=100 + number)
    workers = [watched.another() for _ in range(4)]
    stop = threading.Event()
    threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in workers]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while len(watched.jobs()) < 6 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert sorted(slide["name"] for slide in watched.slides()) == [f"{n}.tiff" for n in range(6)]
    assert len(watched.jobs()) == 6


def test_a_file_somebody_works_on_is_left_to_them(watched: Watched) -> None:
    path = watched.slide()
    watched.watch.scan()
    files = WatchedFiles(watched.store.database)
    (row,) = files.below(watched.folder).values()
    mine = files.take(row)
    assert mine is not None
    assert files.take(row) is None, "another worker read the row before it was taken"
    time.sleep(2 * STILL)
    going_on = files.take(mine)
    assert going_on is not None
    assert files.take(mine) is None
    assert path.exists()
    watched.rest()
    watched.scan(1)
    assert len(watched.jobs()) == 1, "whoever took it died; another goes on"


def test_a_slow_check_keeps_the_others_off(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checking takes longer than a claim lasts; nobody else begins meanwhile."""
    watched = watching(hurried=False, still_seconds=1.5)
    watched.slide()
    watched.watch.scan()
    watched.rest()
    began: list[str] = []
    real = FolderWatch._check

    def slow(self: FolderWatch, path: Path) -> Any:
        began.append(path.name)
        time.sleep(4)
        return real(self, path)

    monkeypatch.setattr(FolderWatch, "_check", slow)
    first = threading.Thread(target=watched.watch.scan)
    first.start()
    while not began:
        time.sleep(0.01)
    other = watched.another()
    while first.is_alive():
        other.scan()
        time.sleep(0.1)
    first.join()
    assert began == ["a.tiff"]
    assert len(watched.jobs()) == 1


def test_a_file_that_changes_during_its_check_is_not_queued_as_it_was(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = watched.slide()
    real = FolderWatch._check

    def check(self: FolderWatch, given: Path) -> Any:
        found = real(self, given)
        watched.slide(tone=90)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(FolderWatch, "_check", check)
        watched.scan()
        assert watched.jobs() == []
    watched.scan(3)
    (slide,) = watched.slides()
    assert slide["sha256"] == slide_sha256([path])


def test_what_went_away_before_it_was_queued_is_forgotten(watched: Watched) -> None:
    path = watched.slide()
    watched.watch.scan()
    path.unlink()
    watched.scan()
    assert WatchedFiles(watched.store.database).below(watched.folder) == {}
    assert watched.jobs() == []


def test_the_result_of_a_slide_that_was_moved_away_is_delivered(watched: Watched) -> None:
    path = watched.slide("deep/a.tiff")
    watched.scan()
    path.unlink()
    watched.finish()
    watched.scan()
    assert watched.told(watched.folder / "deep" / "a.zarr") == "one"


def test_a_drive_that_is_away_and_comes_back_queues_nothing_twice(watched: Watched) -> None:
    watched.slide()
    watched.scan()
    away = watched.folder.with_name("away")
    watched.folder.rename(away)
    watched.scan()
    away.rename(watched.folder)
    watched.scan()
    assert len(watched.jobs()) == 1


def test_a_missing_model_is_told_once_and_results_still_come(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.slide()
    watched.scan()
    watched.finish()
    package = watched.settings.models_dir / MODEL
    package.rename(package.with_name("away"))
    watched.slide("b.tiff", tone=100)
    watched.rest()
    watched.scan(3)
    assert watched.told(watched.folder / "a.zarr") == "one"
    assert len(watched.jobs()) == 1
    assert sum("no package" in record.message for record in caplog.records) == 1
    package.with_name("away").rename(package)
    watched.scan(3)
    assert len(watched.jobs()) == 2


def test_what_the_model_cannot_do_is_told_once(
    watching: Watching, caplog: pytest.LogCaptureFixture
) -> None:
    watched = watching(analysis={"stride": 5000})
    watched.slide()
    watched.scan(3)
    assert watched.jobs() == []
    assert sum("stride 5000 is larger" in record.message for record in caplog.records) == 1


def test_a_result_that_cannot_be_put_in_place_says_why(watched: Watched) -> None:
    watched.slide()
    (watched.folder / "a.zarr").write_text("mine")
    watched.scan()
    watched.finish()
    watched.scan()
    assert (watched.folder / "a.zarr").read_text() == "mine"
    told = json.loads((watched.folder / "a.error.json").read_text())
    assert "move it away" in told["problem"]["detail"]
    (watched.folder / "a.zarr").unlink()
    watched.scan(3)
    assert watched.told(watched.folder / "a.zarr") == "one"
    assert not (watched.folder / "a.error.json").exists()


def test_the_workspace_is_made(watching: Watching) -> None:
    watched = watching(workspace="pathology")
    watched.slide()
    watched.scan()
    with watched.store.database.read() as connection:
        names = sa.select(workspaces.c.name).join(jobs, jobs.c.workspace_id == workspaces.c.id)
        assert connection.execute(names).scalars().all() == ["pathology"]


def test_logs_hold_no_names(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    watched.slide("Doe, Jane 1970-01-01.tiff")
    (watched.folder / "Roe, Richard.tiff").write_bytes(b"no slide")
    watched.scan(3)
    watched.finish()
    watched.scan(3)
    assert caplog.records
    for record in caplog.records:
        assert "Doe" not in str(record.__dict__)
        assert "Roe" not in str(record.__dict__)
    (queued,) = [facts for facts in map(facts_of, caplog.records) if "queued" in facts["message"]]
    assert queued["job_id"] == watched.jobs()[0].id, "ids are what a line is found by"


def test_without_folders_there_is_nothing_to_run(database: Database, tmp_path: Path) -> None:
    settings = ServiceSettings(data_dir=tmp_path)
    watch, stop = FolderWatch(settings, database, open_storage(str(tmp_path))), threading.Event()
    thread = threading.Thread(target=watch.run, args=(stop,))
    thread.start()
    thread.join(30)
    ended = not thread.is_alive()
    stop.set()
    assert ended, "it waits for folders that there are none of"
