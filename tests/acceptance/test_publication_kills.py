"""Publications killed on their way, while a reader looks."""

import json
import random
import shutil
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fleet_support import fleet, token_of, until
from forks_support import Forked, Nursery, nursery
from polling_support import Poller
from servers_support import s3_server
from workers_support import Crew, crew, draw_slide

from wsi_pipeline.export.findings import find
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.jobs.job import Job, JobState
from wsi_pipeline.stitch.verification import verify

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

PUBLICATIONS = 50


@pytest.fixture(scope="module")
def store(
    package: ModelPackage, model_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A real result."""
    folder = tmp_path_factory.mktemp("published")
    with crew(package, model_cache) as made:
        made.start()
        slide = made.add(draw_slide(folder / "slide.tiff", 1))
        (job,) = made.succeeded(made.submit([slide], stride=16, precision="fp32"), 600)
        shutil.copytree(made.result(job), folder / "mask.zarr")
    return folder / "mask.zarr"


@pytest.mark.parametrize("where", ["folder", "object store"])
def test_a_reader_never_sees_part_of_a_result(
    where: str,
    package: ModelPackage,
    model_cache: Path,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fifty publications, each killed on its way and done again by the next process."""
    if where == "folder":
        _publish_fifty(crew(package, model_cache), store, tmp_path)
        return
    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        made = crew(package, model_cache, storage_url="s3://slides/service")
        _publish_fifty(made, store, tmp_path)


@dataclass
class Press:
    """A process that publishes, replaced at once when it is killed."""

    crew: Crew
    started_by: Nursery
    arguments: tuple[str, ...]

    def __post_init__(self) -> None:
        self._running = self._start()

    def kill(self) -> None:
        self._running.kill()
        self._running = self._start()

    def _start(self) -> Forked:
        log = self.crew.folder / "publisher.log"
        environment = self.crew.environment
        return self.started_by.start(
            "publisher_support", *self.arguments, environment=environment, log=log
        )

    def begins(self, job: Job) -> None:
        """Wait until it has the job."""
        until(lambda: self.crew.store.now(job).fence > 0, self.logs, 60)

    def finished(self, job: Job) -> bool:
        return self.crew.store.now(job).state is JobState.SUCCEEDED

    def finishes(self, job: Job) -> None:
        """Wait until it, or the one after it, has published the job."""
        until(lambda: self.finished(job), self.logs, 60)

    def logs(self) -> str:
        return (self.crew.folder / "publisher.log").read_text()


def _publish_fifty(making: AbstractContextManager[Crew], store: Path, folder: Path) -> None:
    chance = random.Random(50)
    summary = folder / "summary.json"
    summary.write_text(json.dumps(find(verify(store)).to_json()))
    with (
        making as service,
        fleet(service, ("api",)) as running,
        nursery("publisher_support", "wsi_pipeline.storage.objects") as presses,
        Poller(running.url, token_of(service), {}, folder) as poller,
    ):

        def queue() -> Job:
            made = service.store.job(service.access)
            poller.expect(made.id, store)
            return made

        press = Press(
            service, presses, (service.url, service.storage_url, str(store), str(summary))
        )
        queued = [queue()]
        press.begins(queued[0])
        began = time.monotonic()
        press.finishes(queued[0])
        seconds = time.monotonic() - began
        late = 0
        for number in range(PUBLICATIONS):
            queued.append(queue())
            press.begins(queued[-1])
            time.sleep(chance.uniform(0, seconds))
            press.kill()
            late += press.finished(queued[-1])
            if number % 5 == 0:
                running.kill("api")
            press.finishes(queued[-1])
            poller.check()
        until(lambda: poller.seen() == {job.id for job in queued}, poller.check, 300)
        kept = {service.location(job) for job in queued}
        sys.stdout.write(
            f"{late} of {PUBLICATIONS} kills came too late, {len(service.trees() - kept)} stores "
            f"were left unpublished, a publication takes {seconds:.2f} s; {poller.told()}\n"
        )
        assert len(kept) == len(service.store.results()) == len(queued)
        assert late < PUBLICATIONS
        assert poller.absent
        assert poller.whole == len(queued)
