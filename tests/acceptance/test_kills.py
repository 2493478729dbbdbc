"""Workers and the server killed at random while slides are analysed and results are read."""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fleet_support import fleet, token_of, until
from polling_support import Poller
from workers_support import MODEL, Crew, crew, draw_slide

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service import audit
from wsi_pipeline.service.jobs.job import Job, JobState
from wsi_pipeline.service.tables import jobs
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify

pytestmark = [pytest.mark.long, pytest.mark.timeout(2700)]

KILLS = 100
SLIDES = 20
#: About 700 tiles in three regions: what a kill costs at most is one of them.
WORK: dict[str, Any] = {"stride": 20, "precision": "fp32"}
#: Of all tiles, those at which the last kill has come.
_LAST = 0.97
#: A bound that catches a hang, seconds.
_LONG = 2400.0
_DAY = 86_400.0


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("slides")
    return [draw_slide(folder / f"{seed}.tiff", seed) for seed in range(SLIDES)]


@pytest.fixture(scope="module")
def undisturbed(
    package: ModelPackage,
    model_cache: Path,
    slides: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Path]:
    """Results of all slides, made by a worker nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with crew(package, model_cache) as made:
        made.start()
        done = made.succeeded(made.submit([made.add(path) for path in slides], **WORK), _LONG)
        stores = [folder / str(number) / "mask.zarr" for number in range(SLIDES)]
        for job, store in zip(done, stores, strict=True):
            shutil.copytree(made.result(job), store)
    return stores


@pytest.fixture
def service(package: ModelPackage, model_cache: Path, database_url: str | None) -> Iterator[Crew]:
    with crew(package, model_cache, url=database_url) as made:
        yield made


def tiles_in(store: Path) -> int:
    count: int = Result(store).attributes["tiles"]
    return count


def insist(url: str, token: str, key: str, orders: Sequence[dict[str, Any]]) -> list[str]:
    """Create jobs, over and over until the server lives long enough to answer; their ids."""
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    while True:
        try:
            answer = httpx.post(
                f"{url}/v1/jobs", json={"jobs": orders}, headers=headers, timeout=60
            )
        except httpx.TransportError:
            continue
        assert answer.status_code in (200, 201), answer.text
        return [job["id"] for job in answer.json()["jobs"]]


def done_tiles(service: Crew) -> int:
    with service.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.sum(jobs.c.tiles_done))).scalar_one() or 0)


def all_jobs(service: Crew, ids: Sequence[str]) -> list[Job]:
    with service.database.read() as connection:
        rows = connection.execute(sa.select(jobs)).mappings().all()
    found = {row["id"]: Job.of(row) for row in rows}
    assert found.keys() == set(ids), "a job was made twice, or lost"
    return [found[job_id] for job_id in ids]


def test_a_hundred_kills_during_twenty_slides(
    service: Crew, slides: list[Path], undisturbed: list[Path], tmp_path: Path
) -> None:
    """Each at a random place of the work, of a process taken at random."""
    chance = random.Random(20)
    total = sum(map(tiles_in, undisturbed))
    marks = sorted(chance.uniform(0, _LAST * total) for _ in range(KILLS))
    token = token_of(service)
    orders = [{"slide_id": service.add(p), "model": MODEL, **WORK} for p in slides]
    with fleet(service) as running:
        # Killed while it takes the jobs, too: asked again, it makes none twice.
        killed = dict.fromkeys(running.names, 0)
        with_it = threading.Timer(0.05, running.kill, ["api"])
        with_it.start()
        ids = insist(running.url, token, "a-batch", orders)
        with_it.join()
        expected = dict(zip(ids, undisturbed, strict=True))
        with Poller(running.url, token, expected, tmp_path) as poller:
            progress = 0
            for mark in marks:
                name = chance.choice(("api", *running.names))
                pause = chance.uniform(0, 0.3)

                def reached(mark: float = mark) -> bool:
                    nonlocal progress
                    progress = max(progress, done_tiles(service))
                    return progress >= mark

                until(reached, running.logs, _LONG)
                poller.check()
                time.sleep(pause)
                running.kill(name)
                killed[name] += 1
            assert insist(running.url, token, "a-batch", orders) == ids
            until(
                lambda: all(job.state.is_final for job in all_jobs(service, ids)),
                running.logs,
                _LONG,
            )
            found = all_jobs(service, ids)
            until(lambda: poller.seen() == set(ids), poller.check, 300)
        # Those that start anew look for what was left lying about.
        for name in running.names[1:]:
            running.kill(name)
        until(lambda: list(service.analyses.iterdir()) == [], running.logs, 120)
    assert [job.state for job in found] == [JobState.SUCCEEDED] * SLIDES, (
        [job.problem for job in found],
        running.logs(),
    )
    assert {job.attempts for job in found} == {0}
    claims = sum(job.fence for job in found)
    sys.stdout.write(
        f"killed {killed}; {claims} claims for {SLIDES} jobs, losses "
        f"{[job.losses for job in found]}; {poller.told()}\n"
    )
    assert sum(killed.values()) == KILLS
    assert claims >= 2 * SLIDES, "hardly a kill hit an analysis"
    assert poller.absent
    assert poller.broken_off
    _assert_each_result_is_there_once(service, found, undisturbed)


def _assert_each_result_is_there_once(
    service: Crew, found: Sequence[Job], undisturbed: Sequence[Path]
) -> None:
    rows = service.store.results()
    assert len(rows) == len(found) == len({job.result_id for job in found})
    for job, store in zip(found, undisturbed, strict=True):
        kept = verify(service.result(job))
        assert kept.attributes["arrays"] == Result(store).attributes["arrays"]
    audit.verify_chain(service.database)
    _let_a_day_pass(Path(service.storage_url))
    command = [sys.executable, "-m", "wsi_pipeline.cli", "gc", "--json"]
    done = subprocess.run(
        command, env=service.environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert {waste["kind"] for waste in json.loads(done.stdout)["removed"]} <= {"result bytes"}
    assert service.trees() == {service.location(job) for job in found}
    assert service.store.results() == rows
    for job in found:
        verify(service.result(job))
    service.storage.check()
    assert list((Path(service.storage_url) / ".new").iterdir()) == []


def _let_a_day_pass(folder: Path) -> None:
    then = time.time() - 2 * _DAY
    for path in folder.rglob("*"):
        os.utime(path, (then, then))
