"""A service without its HTTP side: database, storage, slides, jobs, and real worker processes."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil
import sqlalchemy as sa
from jobs_support import Store

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service import schema
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.jobs.job import Job, JobState
from wsi_pipeline.service.jobs.submission import make_request
from wsi_pipeline.service.tables import jobs, results, workers
from wsi_pipeline.slide.files import slide_files, slide_sha256
from wsi_pipeline.storage import Storage, open_storage
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.slides import write_pyramid

MODEL = "small"
LEASE_SECONDS = 3.0


def draw_slide(path: Path, seed: int, side: int = 600) -> Path:
    """Tissue in glass with a tumour in it, different for every seed; 0.5 µm/px."""
    rng = np.random.default_rng(seed)
    image = np.full((side, side, 3), 242, np.float64)
    edge = side // 12
    image[edge:-edge, edge:-edge] = NORMAL_COLOUR
    left, top = rng.integers(side // 6, side // 2, 2)
    image[top : top + side // 4, left : left + side // 3] = TUMOUR_COLOUR
    image += rng.normal(0, 8, image.shape)
    write_pyramid(
        path,
        image.clip(0, 255).astype(np.uint8),
        compression="jpeg",
        tile=256,
        downsamples=(1, 2, 4),
    )
    return path


@dataclass
class WorkerProcess:
    """A running worker."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def children(self) -> list[psutil.Process]:
        """Its analysis process, and what that started."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.process.wait(timeout=30)

    def stop(self) -> int:
        self.send(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def lines(self) -> str:
        return self.log.read_text(encoding="utf-8")


@dataclass
class Crew:
    """A service and the workers started for it; all of them are gone afterwards."""

    folder: Path
    package: ModelPackage
    cache: Path
    url: str
    storage_url: str
    extra: dict[str, str] = field(default_factory=dict)
    started: list[WorkerProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        models = self.folder / "models"
        models.mkdir(parents=True)
        (models / MODEL).symlink_to(self.package.folder)
        self.database = Database(self.url)
        schema.migrate(self.database)
        self.store = Store(self.database)
        self.access: Access = self.store.access()

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "WSI_DATA_DIR": str(self.folder / "data"),
            "WSI_MODELS_DIR": str(self.folder / "models"),
            "WSI_CACHE_DIR": str(self.cache),
            "WSI_DATABASE": self.url,
            "WSI_STORAGE": self.storage_url,
            "WSI_LEASE_SECONDS": str(LEASE_SECONDS),
            "WSI_DEVICE": "cpu",
            **self.extra,
        }

    @property
    def analyses(self) -> Path:
        """Where unfinished work lies."""
        return self.folder / "data" / "work" / "analyses"

    @property
    def storage(self) -> Storage:
        return open_storage(self.storage_url)

    def start(self, **variables: str) -> WorkerProcess:
        number, log = len(self.started), self.folder / f"worker-{len(self.started)}.log"
        with log.open("wb") as output:
            process = self._popen(output, {"WSI_WORKER": str(number), **variables})
        worker = WorkerProcess(process, log)
        self.started.append(worker)
        return worker

    def _popen(self, output: IO[bytes], variables: dict[str, str]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "workers"],
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
        )

    def add(self, path: Path, *, linked: bool = False, access: Access | None = None) -> str:
        """A slide that passed its check; returns its id."""
        access = access or self.access
        sha256 = slide_sha256(slide_files(path))
        slide = self.store.slides.add(access, path.name, str(path), path.stat().st_size)
        location = f"file:{path}"
        if not linked:
            location = f"slides/{sha256}/{slide.id}/slide{path.suffix}"
            self.storage.put_file(location, path)
        self.store.slides.accept(slide.id, location=location, sha256=sha256, info={})
        return slide.id

    def submit(
        self, slide_ids: Sequence[str], access: Access | None = None, **settings: Any
    ) -> list[Job]:
        config = AnalysisSettings.model_validate(settings)
        wanted = [make_request(slide, MODEL, self.package, config) for slide in slide_ids]
        return self.store.requests.create(access or self.access, wanted)

    def states(self, wanted: Sequence[Job]) -> list[Job]:
        rows = sa.select(jobs).where(jobs.c.id.in_([job.id for job in wanted]))
        with self.database.read() as connection:
            found = {row["id"]: Job.of(row) for row in connection.execute(rows).mappings()}
        return [found[job.id] for job in wanted]

    def wait(
        self,
        wanted: Sequence[Job],
        seconds: float = 120,
        until: Callable[[Job], bool] = lambda job: job.state.is_final,
    ) -> list[Job]:
        """Wait until all jobs fit; returns them."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.states(wanted)
            if all(until(job) for job in found):
                return found
            assert time.monotonic() < deadline, (found, [w.lines() for w in self.started])
            time.sleep(0.05)

    def succeeded(self, wanted: Sequence[Job], seconds: float = 120) -> list[Job]:
        found = self.wait(wanted, seconds)
        assert {job.state for job in found} == {JobState.SUCCEEDED}, (
            [job.problem for job in found],
            [worker.lines() for worker in self.started],
        )
        return found

    def location(self, job: Job) -> str:
        wanted = (
            sa.select(results.c.location)
            .join(jobs, jobs.c.result_id == results.c.id)
            .where(jobs.c.id == job.id)
        )
        with self.database.read() as connection:
            return str(connection.execute(wanted).scalar_one())

    def result(self, job: Job) -> Path:
        """The job's mask store, on this host."""
        return self.storage.local_path(self.location(job), self.folder / "read")

    def trees(self) -> set[str]:
        """Keys of everything stored as a result, published or not."""
        found = self.storage.list("results")
        return {"/".join(file.key.split("/")[:3]) for file in found}

    def enlisted(self) -> list[int]:
        """Process ids of the workers that say they are there."""
        with self.database.read() as connection:
            return list(connection.execute(sa.select(workers.c.pid)).scalars())

    def close(self) -> None:
        for worker in self.started:
            children = worker.children()
            worker.send(signal.SIGCONT)
            worker.kill()
            psutil.wait_procs(children, timeout=10)
        self.database.close()


@contextlib.contextmanager
def crew(
    package: ModelPackage,
    cache: Path,
    *,
    url: str | None = None,
    storage_url: str | None = None,
    extra: dict[str, str] | None = None,
) -> Iterator[Crew]:
    with tempfile.TemporaryDirectory(prefix="crew-") as name:
        folder = Path(name)
        made = Crew(
            folder,
            package,
            cache,
            url or f"sqlite:///{folder / 'service.db'}",
            storage_url or str(folder / "store"),
            extra or {},
        )
        try:
            yield made
        finally:
            made.close()
