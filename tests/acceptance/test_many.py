"""Many at once: five hundred event streams, and a thousand jobs over kills of everything."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
import psutil
import pytest
import sqlalchemy as sa
from jobs_support import Store
from service_process_support import TOKEN, Site
from streams_support import Audience
from uploads_support import MIB, access_of, killable
from workers_support import MODEL, draw_slide

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.jobs.job import JobState
from wsi_pipeline.service.tables import job_events, jobs

STREAMS = 500
#: Of the server for each stream: about 60 kB are measured, of which uvicorn's buffers are most.
STREAM_BYTES = 300_000
JOBS = 1000
#: Of a busy machine; a hang is longer.
_PATIENT_SECONDS = 120


@pytest.mark.slow
def test_five_hundred_listeners_hear_everything(tmp_path: Path) -> None:
    with killable(tmp_path / "data") as (service, processes), service.client() as client:
        store, access = Store(service.database), access_of(service)
        assert client.get("/v1/jobs").status_code == 200
        process = psutil.Process(processes.pid)
        before = process.memory_info().rss

        async def listen() -> None:
            audience = Audience(service.port, service.key(), "/v1/events")
            async with asyncio.timeout(4 * _PATIENT_SECONDS):
                await audience.come(STREAMS)
                told = []
                for _ in range(5):
                    job = await asyncio.to_thread(store.job, access)
                    await asyncio.to_thread(store.requests.cancel, access, job.id)
                    told += [(job.id, "queued"), (job.id, "cancelled")]
                    # Others are answered meanwhile.
                    answer = await asyncio.to_thread(client.get, f"/v1/jobs/{job.id}")
                    assert answer.json()["state"] == "cancelled"
                    await audience.until_all_heard(told[-1])
                assert all(heard == told for heard in audience.heard), "in order, and each once"
                assert process.memory_info().rss - before < STREAMS * STREAM_BYTES
                await audience.go()
            async with asyncio.timeout(_PATIENT_SECONDS):
                # Who left costs nothing any more.
                while len(process.net_connections("tcp")) > STREAMS / 10:
                    await asyncio.sleep(0.2)

        asyncio.run(listen())
        assert client.get("/healthz").status_code == 200
        assert process.memory_info().rss - before < STREAMS * STREAM_BYTES + 50 * MIB


def _finish(database: Database) -> Counter[str]:
    """How often each job was told to have succeeded."""
    wanted = sa.select(job_events.c.job_id, job_events.c.data).where(job_events.c.kind == "state")
    with database.read() as connection:
        rows = connection.execute(wanted).all()
    return Counter(job_id for job_id, data in rows if data["state"] == "succeeded")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_thousand_jobs_over_kills_of_everything(
    package: ModelPackage, model_cache: Path, tmp_path: Path
) -> None:
    """Server and worker are killed while jobs run; helpers that compute nothing do the rest."""
    models = tmp_path / "models"
    models.mkdir()
    (models / MODEL).symlink_to(package.folder)
    slide = draw_slide(tmp_path / "a.tiff", 3, side=300)
    site = Site(tmp_path, model_cache)
    site.start()
    try:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=site.url, headers=headers, timeout=_PATIENT_SECONDS) as client:
            sent = client.put("/v1/slides", params={"name": "a.tiff"}, content=slide.read_bytes())
            slide_id = sent.json()["id"]
            order = {"slide_id": slide_id, "model": MODEL, "precision": "fp32"}
            wanted = [{**order, "threshold": (n + 1) / (JOBS + 2)} for n in range(JOBS)]
            made = client.post("/v1/jobs", json={"jobs": wanted})
            assert made.status_code == 201, made.text
            ids = [job["id"] for job in made.json()["jobs"]]
            _wait_for(client, 2)
            before = client.get("/v1/jobs", params={"limit": 200}).json()
            site.kill()
            site.start()
            listed = client.get("/v1/jobs", params={"limit": 200}).json()
            assert listed["total"] == JOBS
            shown = [job["id"] for job in listed["jobs"]]
            assert shown == [job["id"] for job in before["jobs"]]
            place = {job_id: number for number, job_id in enumerate(ids)}
            waiting = [job for job in listed["jobs"] if job["state"] == "queued"]
            waiting.sort(key=lambda job: place[job["id"]])
            positions = [job["position"] for job in waiting]
            assert positions == sorted(set(positions)), "each stands where its batch has it"
            _wait_for(client, 4)
            site.kill()
    finally:
        site.stop()
    database = Database(f"sqlite:///{tmp_path / 'data' / 'service.db'}")
    # What was running is somebody's again once its lease is over.
    with database.write() as connection:
        connection.execute(jobs.update().where(jobs.c.state == "running").values(lease_until=1))
    helper = Path(__file__).with_name("claimer_support.py")
    command = [sys.executable, str(helper), str(database.engine.url)]
    claimers = [
        subprocess.Popen([*command, f"w{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for n in range(2)
    ]
    said = [claimer.communicate(b"\n")[0].decode().split() for claimer in claimers]
    with database.read() as connection:
        rows = connection.execute(sa.select(jobs.c.id, jobs.c.state, jobs.c.started_at)).all()
    assert {row.state for row in rows} == {JobState.SUCCEEDED}
    assert len(rows) == JOBS
    assert _finish(database) == dict.fromkeys(ids, 1), "each is done once"
    started = [row.id for row in sorted(rows, key=lambda row: row.started_at)]
    assert all(abs(place[job_id] - number) < 8 for number, job_id in enumerate(started))
    claims = [claim for words in said for claim in words[::2]]
    assert len(claims) == len(set(claims))
    database.close()


def _wait_for(client: httpx.Client, done: int) -> None:
    deadline = time.monotonic() + 2 * _PATIENT_SECONDS
    while client.get("/v1/jobs", params={"state": "succeeded"}).json()["total"] < done:
        assert time.monotonic() < deadline
        time.sleep(0.2)
