"""Finished results without an hour of computing: slides analysed by a formula instead of a model.

Slide, tissue, plan, stitching, result and publication are the real ones; only the probabilities of
the tiles come from a formula of their place, so that no pixel is read for them. What they say of
the slide means nothing.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.export.findings import find
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import RuntimeInfo
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.classification import run_region
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.regions import RegionResult, RegionTask
from wsi_pipeline.run.tile_values import RegionValues
from wsi_pipeline.run.work import Work
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.jobs.queue import JobQueue
from wsi_pipeline.service.jobs.requests import JobRequests
from wsi_pipeline.service.jobs.submission import make_request
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.shift.sampling import SAMPLE_VALUES
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.storage import open_storage

#: Probabilities of tiles by the middle of their patch as shares of the slide, ``(n, 2)``: x, y.
Formula = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_RUNTIME = RuntimeInfo("formula 1", "cpu", "fp32")


def foci(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Some foci of different size with ragged borders, and little elsewhere."""
    rng = np.random.default_rng(11)
    x, y = places[:, 0], places[:, 1]
    waves = sum(
        np.sin(x * u + y * v + phase) / np.hypot(u, v) ** 0.5
        for (u, v), phase in zip(rng.normal(0, 90, (24, 2)), rng.uniform(0, 7, 24), strict=True)
    )
    near = np.zeros(len(places))
    for cx, cy, radius in rng.uniform((0.2, 0.2, 0.02), (0.8, 0.8, 0.08), (14, 3)):
        near = np.maximum(near, 1.6 - np.hypot(x - cx, y - cy) / radius)
    noise = rng.normal(0, 0.35, len(places))
    logits = 4.5 * near + 0.9 * np.asarray(waves) + noise - 3.2
    known: NDArray[np.float64] = 1 / (1 + np.exp(-logits))
    return known


class FormulaScheduler:
    """A :class:`~wsi_pipeline.run.scheduler.Scheduler` that answers regions by a formula.

    Args:
        formula: The probabilities.
    """

    remote = False

    def __init__(self, formula: Formula) -> None:
        self._formula = formula

    def cancel(self) -> None:
        """Nothing is under way."""

    def describe(self, *_: object) -> RuntimeInfo:
        """Nothing computes."""
        return _RUNTIME

    def run(
        self,
        tasks: Iterable[RegionTask],
        run: Callable[[RegionTask], RegionResult] = run_region,  # noqa: ARG002 - nothing is run
    ) -> Iterator[RegionResult]:
        """The regions in their order."""
        for task in tasks:
            size = np.array((task.grid.level_size.width, task.grid.level_size.height))
            middles = (task.region.cells + 0.5) * (task.grid.step.x, task.grid.step.y) / size
            nothing = np.empty((len(middles), 0), np.float32)
            yield RegionResult(
                index=task.region.index,
                tiles=RegionValues(self._formula(middles).astype(np.float32), nothing, nothing),
                samples=np.full((len(task.region.sampled), SAMPLE_VALUES), 0.3, np.float32),
                runtime_kind=_RUNTIME.kind,
                read_seconds=0.0,
                wait_seconds=0.0,
                bytes_read=0,
                unreadable="",
            )


@dataclass(frozen=True)
class Running:
    """A running service.

    Attributes:
        url: Its address.
        token: Signs in.
        settings: Its settings.
    """

    url: str
    token: str
    settings: ServiceSettings

    def client(self) -> httpx.Client:
        """Talks to it."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=600)


@contextlib.contextmanager
def serving(
    folder: Path, *, workers: int, demo: bool = True, models: Path | None = None
) -> Iterator[Running]:
    """``wsi serve`` on a free port, with its data below a folder.

    Args:
        folder: Database, slides, results, log.
        workers: How many it starts.
        demo: Build the demo model first where it is not there.
        models: Folder of the model packages; None takes the usual one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "wsi_pipeline.cli", "serve", "--port", "0", "--print-token"]
    command += ["--data-dir", str(folder), "--workers", str(workers)]
    command += [] if demo else ["--no-demo"]
    command += [] if models is None else ["--models-dir", str(models)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            address = urlsplit(process.stdout.readline().strip())
            if not address.netloc:
                raise SystemExit(f"wsi serve did not start: {(folder / 'log').read_text()}")
            (token,) = parse_qs(address.query)["token"]
            settings = ServiceSettings(data_dir=folder)
            yield Running(f"{address.scheme}://{address.netloc}", token, settings)
        finally:
            process.terminate()
            process.wait(60)


def upload(service: Running, slide: Path, name: str | None = None) -> str:
    """Id of a slide, once it is checked."""
    with service.client() as client, slide.open("rb") as file:
        answer = client.put("/v1/slides", params={"name": name or slide.name}, content=file)
        slide_id: str = answer.raise_for_status().json()["id"]
        while (told := client.get(f"/v1/slides/{slide_id}").json())["state"] == "checking":
            time.sleep(0.2)
    if told["state"] != "ready":
        raise SystemExit(f"the slide was rejected: {told['problem']}")
    return slide_id


def finish(
    service: Running,
    slide_id: str,
    slide: Path,
    package: ModelPackage,
    work_dir: Path,
    formula: Formula = foci,
    **settings: Any,
) -> str:
    """Id of a job whose result is made by a formula and published as a worker does.

    Args:
        service: Has no worker that could take the job.
        slide_id: The slide.
        slide: Its file.
        package: Model the result says it is of, installed under its name.
        work_dir: Where results of the same slide and settings are kept for the next time.
        formula: The probabilities.
        **settings: Of the analysis.
    """
    analysis = AnalysisSettings.model_validate(settings)
    database = Database(service.settings.database_url)
    try:
        access = ApiKeys(database).find(service.token)
        assert access is not None
        request = make_request(slide_id, package.description.name, package, analysis)
        (job,) = JobRequests(database).create(access, [request])
        queue = JobQueue(database, lease_seconds=3600)
        claim = queue.claim("formula")
        assert claim is not None
        assert claim.job.id == job.id
        result = _analysed(slide, package, analysis, work_dir, formula)
        destination = f"results/{job.id}/mask.zarr"
        open_storage(service.settings.storage_url).put_tree(destination, result.path)
        published, _ = queue.succeed(claim, destination, find(result).to_json())
        assert published
        return job.id
    finally:
        database.close()


def _analysed(
    slide: Path, package: ModelPackage, analysis: AnalysisSettings, work_dir: Path, formula: Formula
) -> Result:
    runtime = RuntimeRequest("cpu", "fp32", work_dir)
    work = Work(package, analysis, runtime, FormulaScheduler(formula))
    final = work_dir / f"{slide.stem}-{formula.__name__}-{work.fingerprint[:12]}.zarr"
    if final.exists():
        return Result(final)
    return analyse_slide(prepare(slide, package, analysis), final, work)
