"""Real worker processes: what they finish, and what stopping and killing them leaves."""

import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from acceptance_support import assert_same_arrays
from workers_support import LEASE_SECONDS, Crew, WorkerProcess, crew, draw_slide

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.jobs.job import Job, JobState
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify

pytestmark = pytest.mark.slow

#: About 130 tiles: one region, a second or two.
BRIEF: dict[str, Any] = {"stride": 48, "precision": "fp32"}
#: About 2,000 tiles in eight regions: many seconds.
LONG: dict[str, Any] = {"stride": 12, "precision": "fp32"}


@pytest.fixture
def service(package: ModelPackage, model_cache: Path) -> Iterator[Crew]:
    with crew(package, model_cache) as made:
        yield made


@pytest.fixture
def any_service(
    package: ModelPackage, model_cache: Path, database_url: str | None
) -> Iterator[Crew]:
    """On SQLite, and on PostgreSQL."""
    with crew(package, model_cache, url=database_url) as made:
        yield made


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("slides")
    return [draw_slide(folder / f"Miller-{seed}.tiff", seed) for seed in range(4)]


@pytest.fixture(scope="module")
def undisturbed(
    package: ModelPackage,
    model_cache: Path,
    slides: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The first slide's result of a long analysis nobody disturbed."""
    with crew(package, model_cache) as service:
        service.start()
        (job,) = service.succeeded(service.submit([service.add(slides[0])], **LONG))
        kept = tmp_path_factory.mktemp("undisturbed") / "mask.zarr"
        shutil.copytree(service.result(job), kept)
        return kept


def wait_for(condition: object, seconds: float = 180) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def classifying(service: Crew, job: Job, tiles: int = 0) -> Job:
    """Wait until so many tiles of a job are done, and it still goes on."""
    (found,) = service.wait(
        [job], until=lambda j: j.stage == "classifying" and j.tiles_done >= tiles
    )
    return found


def gone(processes: list[psutil.Process]) -> bool:
    """Whether they end; those of a worker only do when they are killed."""
    _, alive = psutil.wait_procs(processes, timeout=30)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_a_batch(service: Crew, slides: list[Path], undisturbed: Path) -> None:
    worker = service.start()
    jobs = service.submit([service.add(path) for path in slides], **BRIEF)
    (long,) = service.submit([service.add(slides[0])], **LONG)
    found = service.succeeded([*jobs, long])
    for job in found:
        assert (job.attempts, job.losses, job.worker_id) == (0, 0, None)
        assert job.tiles_done == job.tiles_total
        assert job.tiles_done > 0
        verify(service.result(job))
    assert len({service.location(job) for job in found}) == len(found)
    assert service.trees() == {service.location(job) for job in found}
    assert_same_arrays(service.result(found[-1]), undisturbed)
    assert service.enlisted() == [worker.pid]
    wait_for(lambda: list(service.analyses.iterdir()) == [])
    assert worker.stop() == 0
    assert service.enlisted() == []


def test_results_and_logs_do_not_tell_names(service: Crew, slides: list[Path]) -> None:
    worker = service.start()
    uploaded, linked = service.add(slides[0]), service.add(slides[1], linked=True)
    missing = slides[2].with_name("Miller-missing.tiff")
    shutil.copyfile(slides[2], missing)
    lost = service.add(missing, linked=True)
    missing.unlink()
    *done, failed = service.wait(service.submit([uploaded, linked, lost], **BRIEF))
    assert [job.state for job in done] == [JobState.SUCCEEDED] * 2
    assert failed.state is JobState.FAILED
    assert failed.problem is not None
    assert failed.problem["type"] == "/problems/damaged-slide"
    for job in done:
        store = service.result(job)
        assert Result(store).name == Result(store).attributes["slide"]["sha256"][:16]
        assert b"Miller" not in b"".join(p.read_bytes() for p in store.rglob("*") if p.is_file())
    assert "Miller" not in json.dumps([failed.problem, *map(dict, service.store.results())])
    worker.stop()
    lines = worker.lines()
    assert "Miller" not in lines
    assert all(job.id in lines for job in (*done, failed))
    for line in lines.splitlines():
        assert json.loads(line)["worker_id" if "stopped" not in line else "message"]


def test_identical_work_is_done_once(service: Crew, slides: list[Path]) -> None:
    """Also for two workspaces and two workers, at the same time."""
    other = service.store.access("other")
    mine = service.submit([service.add(slides[0])], **BRIEF)
    theirs = service.submit([service.add(slides[0], access=other)], other, **BRIEF)
    workers = [service.start(), service.start()]
    found = service.succeeded([*mine, *theirs])
    assert len(service.trees()) == 1
    assert len({job.result_id for job in found}) == 1
    assert sum("by" in worker.lines() for worker in workers) >= 1


def test_a_changed_linked_file_is_noticed(
    service: Crew, slides: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "linked.tiff"
    shutil.copyfile(slides[0], path)
    slide = service.add(path, linked=True)
    shutil.copyfile(slides[1], path)
    service.start()
    (job,) = service.wait(service.submit([slide], **BRIEF))
    assert job.state is JobState.FAILED
    assert job.problem is not None
    assert "another file than the one" in job.problem["detail"]
    assert service.trees() == set()


def test_an_unknown_model_fails_after_three_attempts(service: Crew, slides: list[Path]) -> None:
    service.start()
    (job,) = service.submit([service.add(slides[0])], **BRIEF)
    (service.folder / "models" / "small").unlink()
    (job,) = service.wait([job])
    assert (job.state, job.attempts) == (JobState.FAILED, 3)
    assert job.problem is not None
    assert job.problem["type"] == "/problems/model-package"


# -- stopping


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_worker_gives_its_job_back(
    service: Crew, slides: list[Path], undisturbed: Path, how: signal.Signals
) -> None:
    (job,) = service.submit([service.add(slides[0])], **LONG)
    worker = service.start()
    classifying(service, job, tiles=256)
    children = worker.children()
    worker.send(how)
    assert worker.process.wait(timeout=30) == 0
    assert gone(children)
    (given,) = service.states([job])
    assert (given.state, given.worker_id, given.losses) == (JobState.QUEUED, None, 0)
    assert service.enlisted() == []
    service.start()
    (done,) = service.succeeded([job])
    facts = Result(service.result(done)).attributes
    assert facts["timings"]["resumed_tiles"] >= 256
    assert_same_arrays(service.result(done), undisturbed)


def test_cancelling_stops_the_computing(service: Crew, slides: list[Path]) -> None:
    (job,) = service.submit([service.add(slides[0])], **LONG)
    worker = service.start()
    classifying(service, job)
    children = worker.children()
    service.store.requests.cancel(service.access, job.id)
    (found,) = service.wait([job])
    assert found.state is JobState.CANCELLED
    assert gone(children), "it still computes"
    wait_for(lambda: list(service.analyses.iterdir()) == [])
    # The worker goes on with the next.
    service.succeeded(service.submit([service.add(slides[1])], **BRIEF))
    assert service.states([job])[0].state is JobState.CANCELLED


# -- killing


def test_a_killed_worker_takes_its_process_along(service: Crew, slides: list[Path]) -> None:
    (job,) = service.submit([service.add(slides[0])], **LONG)
    worker = service.start()
    classifying(service, job)
    children = worker.children()
    assert children
    worker.kill()
    assert gone(children)


def test_after_a_kill_another_goes_on_and_readers_see_nothing_or_all(
    service: Crew, slides: list[Path], undisturbed: Path
) -> None:
    (job,) = service.submit([service.add(slides[0])], **LONG)
    worker = service.start()
    with Reader(service, undisturbed) as reader:
        classifying(service, job, tiles=256)
        worker.kill()
        service.start()
        (done,) = service.succeeded([job])
        wait_for(lambda: reader.whole > 0)
    assert reader.absent > 0
    assert done.losses == 1
    assert Result(service.result(done)).attributes["timings"]["resumed_tiles"] >= 256
    assert_same_arrays(service.result(done), undisturbed)
    wait_for(lambda: list(service.analyses.iterdir()) == [])


class Reader:
    """Polls results as a viewer does: what the database names must be whole and right."""

    def __init__(self, service: Crew, expected: Path | None = None) -> None:
        self._service, self._expected = service, expected
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._errors: list[Exception] = []
        self.absent = self.whole = 0

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        assert self._errors == []

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                rows = self._service.store.results()
                for row in rows:
                    path = self._service.storage.local_path(
                        row["location"], self._service.folder / "reader"
                    )
                    verify(path)
                    if self._expected is not None:
                        assert_same_arrays(path, self._expected)
                    self.whole += 1
                self.absent += not rows
                time.sleep(0.02)
        except Exception as error:
            self._errors.append(error)


def test_a_finished_result_that_was_not_published_is_not_made_again(
    service: Crew, slides: list[Path]
) -> None:
    """Killed between the last tile and the publication: only that is left to do."""
    (job,) = service.submit([service.add(slides[0])], **LONG)
    worker = service.start()
    wait_for(lambda: list(service.analyses.glob("*/mask.zarr")), 60)
    worker.kill()
    (job,) = service.states([job])
    if job.state is not JobState.RUNNING:
        pytest.skip("this machine published it faster than it could be killed")
    (kept,) = service.analyses.glob("*/mask.zarr")
    written = (kept / "zarr.json").read_bytes()
    service.start()
    (done,) = service.succeeded([job])
    assert (service.result(done) / "zarr.json").read_bytes() == written


@pytest.mark.parametrize("with_process", [False, True])
def test_a_worker_stopped_past_its_lease_publishes_nothing(
    any_service: Crew, slides: list[Path], undisturbed: Path, with_process: bool
) -> None:
    """Also if its process finished the result meanwhile."""
    service = any_service
    (job,) = service.submit([service.add(slides[0])], **LONG)
    first = service.start()
    held = classifying(service, job)
    asleep: list[WorkerProcess | psutil.Process] = [*(first.children() if with_process else [])]
    first.send(signal.SIGSTOP)
    for process in asleep:
        assert isinstance(process, psutil.Process)
        process.suspend()
    time.sleep(LEASE_SECONDS + 0.5)
    service.start()
    (done,) = service.succeeded([job])
    assert done.fence == held.fence + 1
    row = service.store.results()
    if not with_process:
        wait_for(lambda: len(service.trees()) == 2)  # its process stored the result, too
    for process in asleep:
        assert isinstance(process, psutil.Process)
        process.resume()
    first.send(signal.SIGCONT)
    wait_for(lambda: "job lost" in first.lines())
    wait_for(lambda: service.trees() == {service.location(done)})
    assert service.states([job]) == [done]
    assert service.store.results() == row
    assert_same_arrays(service.result(done), undisturbed)
    # It is none the worse for it.
    service.succeeded(service.submit([service.add(path) for path in slides[1:]], **BRIEF))


CRASHING = """
import ctypes, sys
if "workers.analysis" in sys.orig_argv:
    from wsi_pipeline.tiles import patches
    read_patch = patches.read_patch
    def crash(reader, *rest):
        if reader.info.size.width == 666:
            ctypes.string_at(0)
        return read_patch(reader, *rest)
    patches.read_patch = crash
"""


def test_a_slide_that_crashes_its_reader_is_given_up_and_the_rest_go_on(
    package: ModelPackage,
    model_cache: Path,
    slides: list[Path],
    database_url: str | None,
    tmp_path: Path,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(CRASHING)
    bad = draw_slide(tmp_path / "bad.tiff", 9, side=666)
    extra = {"PYTHONPATH": str(tmp_path)}
    with crew(package, model_cache, url=database_url, extra=extra) as service:
        worker = service.start()
        ids = [service.add(path) for path in (bad, *slides)]
        broken, *sound = service.wait(service.submit(ids, **BRIEF))
        assert [job.state for job in sound] == [JobState.SUCCEEDED] * len(sound)
        assert (broken.state, broken.attempts) == (JobState.FAILED, 3)
        assert broken.problem is not None
        assert broken.problem["type"] == "/problems/crashed"
        assert "SIGSEGV" in broken.problem["detail"]
        assert worker.process.poll() is None, "the worker itself goes on"
        assert "in crash" in worker.lines(), "the log says where"
        wait_for(lambda: list(service.analyses.iterdir()) == [])


def test_a_clock_set_back_holds_nobody_up(service: Crew, slides: list[Path]) -> None:
    """While one job runs, others wait, and one is held by a worker that is dead."""
    if service.database.dialect != "sqlite":
        pytest.skip("on PostgreSQL it is the server's clock, which tests cannot set")
    ids = [service.add(slide) for slide in slides[:3]]
    (lost,) = service.submit(ids[:1], **LONG)
    dead = service.start()
    service.wait([lost], until=lambda job: job.state is JobState.RUNNING)
    dead.kill()
    waiting = service.submit(ids[1:])
    service.start()
    service.wait(waiting[:1], until=lambda job: job.state is not JobState.QUEUED)
    service.store.set_clock_back(3600)
    done = service.succeeded([lost, *waiting])
    assert [job.fence for job in done] == [2, 1, 1], "no job was claimed by two"
