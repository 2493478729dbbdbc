"""The whole composition as processes: PostgreSQL, S3, nginx, the API and two workers."""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
import zarr
from acceptance_support import Wsi, assert_same_arrays
from composition_support import MODEL, Composition, composed
from nginx_support import NGINX
from servers_support import postgres_server, s3_server
from uploads_support import MIB, OCTETS, TUS, metadata, write_slide
from workers_support import draw_slide

from wsi_pipeline.client import Client, JobRecord
from wsi_pipeline.client.event_stream import read_events
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.tables import jobs, uploads, workers
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2700)]
behind_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

#: Of slides of so many px about 1,200 tiles in five regions: seconds.
SIDE, STRIDE = 480, 12
#: Long enough for a machine that has much else to do; only a hang takes so long.
LIMIT = 900


@pytest.fixture(scope="module")
def composition(
    tmp_path_factory: pytest.TempPathFactory, package: ModelPackage
) -> Iterator[Composition]:
    """All of it is up and ready; afterwards all that still runs stops in good order."""
    folder = tmp_path_factory.mktemp("composition")
    with (
        postgres_server() as postgres,
        s3_server() as s3,
        composed(folder, postgres, s3, package) as made,
    ):
        assert made.run("migrate") == 0, made.logs()
        # The API's image has no torch; here the server would find it, and train for a minute.
        made.start("api", "--no-demo")
        made.start("worker")
        made.start("worker")
        if NGINX is not None:
            made.start_proxy()
        made.wait_until("/readyz")
        yield made
        left = [part for part in made.started if part.process.poll() is None]
        assert {part.stop() for part in reversed(left)} == {0}, made.logs()


@pytest.fixture
def client(composition: Composition, tmp_path: Path) -> Iterator[Client]:
    # Small pieces: an upload has many of them.
    state = tmp_path / "state"
    with Client(
        composition.url, composition.token, state_dir=state, chunk_bytes=64 * 1024
    ) as client:
        yield client


@pytest.fixture
def http(composition: Composition) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {composition.token}"}
    with httpx.Client(base_url=composition.url, headers=headers, timeout=300) as client:
        yield client


@pytest.fixture
def database(composition: Composition) -> Iterator[Database]:
    opened = Database(composition.database_url)
    yield opened
    opened.close()


def until(happened: Callable[[], bool], composition: Composition, seconds: float = LIMIT) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, composition.logs()
        time.sleep(0.05)


def put(http: httpx.Client, path: Path) -> str:
    """As ``curl -T`` does; the slide's id."""
    with path.open("rb") as body:
        answer = http.put("/v1/slides", params={"name": path.name}, content=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_a_batch_survives_the_death_of_a_worker(
    composition: Composition,
    client: Client,
    http: httpx.Client,
    database: Database,
    wsi: Wsi,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    paths = [draw_slide(folder / f"Miller-{seed}.tiff", seed, SIDE) for seed in range(4)]
    slides = [client.upload(path).id for path in paths[:2]]
    slides += [put(http, path) for path in paths[2:]]
    batch = client.submit_all(slides, MODEL, stride=STRIDE, precision="fp32")

    killed = _kill_one_at_work(composition, database, batch)
    done = [client.wait(job.id, timeout_seconds=LIMIT) for job in batch]
    assert [job.state for job in done] == ["succeeded"] * len(batch), composition.logs()
    rows = _rows(database, batch)
    assert [row["id"] for row in rows if row["losses"]] == [killed]
    assert len({row["result_id"] for row in rows}) == len(batch)

    fetched = [client.fetch(job.id, "mask", tmp_path / f"{job.id}.zarr") for job in done]
    # It went on inside the slide: both workers see the work folder.
    lost = [job.id for job in done].index(killed)
    assert Result(fetched[lost]).attributes["timings"]["resumed_tiles"] > 0
    options = ("--stride", STRIDE, "--precision", "fp32", "--device", "cpu")
    code, summary = wsi.run(folder, "-o", tmp_path / "undisturbed", *options, limit=LIMIT)
    assert code == 0, summary
    for path, store in zip(paths, fetched, strict=True):
        verify(store)
        assert_same_arrays(store, tmp_path / "undisturbed" / f"{path.stem}.zarr")
    _other_ways_to_read(composition, http, done[lost], fetched[lost])
    if NGINX is not None:
        told = composition.access_log()
        assert f"GET /v1/jobs/{killed}" in told
        assert "Miller" not in told


def _kill_one_at_work(composition: Composition, database: Database, batch: list[JobRecord]) -> str:
    """SIGKILL a worker in the middle of a slide; returns the job it had."""
    busy = (
        sa.select(jobs.c.id, workers.c.pid)
        .join(workers, jobs.c.worker_id == workers.c.id)
        .where(
            jobs.c.id.in_([job.id for job in batch]),
            jobs.c.stage == "classifying",
            jobs.c.tiles_done >= 256,
            jobs.c.tiles_done < jobs.c.tiles_total - 400,
        )
    )
    found: list[tuple[str, int]] = []

    def is_busy() -> bool:
        with database.read() as connection:
            found[:] = [(row.id, row.pid) for row in connection.execute(busy)]
        return bool(found)

    until(is_busy, composition)
    job, pid = found[0]
    (part,) = [part for part in composition.started if part.process.pid == pid]
    part.kill()
    assert part.process.returncode == -signal.SIGKILL
    (row,) = [row for row in _rows(database, batch) if row["id"] == job]
    assert row["state"] == "running", "the worker was through before it was killed"
    # As `restart: unless-stopped` has it.
    composition.start("worker")
    return job


def _rows(database: Database, batch: list[JobRecord]) -> list[sa.RowMapping]:
    wanted = sa.select(jobs).where(jobs.c.id.in_([job.id for job in batch]))
    with database.read() as connection:
        return list(connection.execute(wanted).mappings())


def _other_ways_to_read(
    composition: Composition, http: httpx.Client, job: JobRecord, store: Path
) -> None:
    """What viewers ask for arrives through the proxy as it is in the store."""
    path = f"/v1/jobs/{job.id}/mask.zarr"
    whole = (store / "zarr.json").read_bytes()
    part = http.get(f"{path}/zarr.json", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    again = {"If-None-Match": part.headers["etag"]}
    assert http.get(f"{path}/zarr.json", headers=again).status_code == 304
    remote = zarr.open_group(
        zarr.storage.FsspecStore.from_url(
            f"{composition.url}{path}",
            storage_options={"headers": {"Authorization": f"Bearer {composition.token}"}},
        ),
        mode="r",
    )
    local = Result(store)
    for name in local.attributes["arrays"]:
        remote_array = remote[name]
        assert isinstance(remote_array, zarr.Array)
        read = np.asarray(remote_array[...])
        assert read.tobytes() == np.asarray(local.array(name)[...]).tobytes(), name
    assert http.get(f"/v1/jobs/{job.id}/heatmap.png").content.startswith(b"\x89PNG")
    outlines = http.get(f"/v1/jobs/{job.id}/regions.geojson").json()
    assert outlines["type"] == "FeatureCollection"
    assert outlines["features"]


@behind_nginx
def test_events_come_as_they_happen(
    composition: Composition,
    client: Client,
    http: httpx.Client,
    database: Database,
    tmp_path: Path,
) -> None:
    """Held back by the proxy, the first ones would come with the last."""
    slide = put(http, draw_slide(tmp_path / "slide.tiff", seed=11, side=SIDE))
    job = client.submit(slide, MODEL, stride=STRIDE, precision="fp32")
    with http.stream("GET", f"/v1/jobs/{job.id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = read_events(answer.iter_lines())
        first = next(events)
        (row,) = _rows(database, [job])
        assert row["state"] in ("queued", "running"), "no event came before the job was over"
        assert first.data["state"] in ("queued", "running")
        *_, last = [event.data for event in events]
    assert last["state"] == "succeeded"


@behind_nginx
def test_uploads_are_not_held_back(
    composition: Composition, http: httpx.Client, database: Database, tmp_path: Path
) -> None:
    """Bytes are safe at the API while the request that brings them is still under way."""
    data = write_slide(tmp_path / "slide.tiff", seed=5, size_bytes=4 * MIB)
    headers = {**TUS, "Upload-Length": str(len(data)), **metadata("slide.tiff")}
    location = http.post("/v1/uploads", headers=headers).headers["location"]
    path = urlsplit(location).path
    wanted = sa.select(uploads.c.offset).where(uploads.c.id == path.rsplit("/", 1)[-1])

    def offset() -> int:
        with database.read() as connection:
            return int(connection.execute(wanted).scalar_one())

    def stands_at(wanted_offset: int) -> bool:
        return offset() == wanted_offset

    told = {
        **TUS,
        **OCTETS,
        "Host": f"127.0.0.1:{composition.proxy_port}",
        "Authorization": f"Bearer {composition.token}",
        "Upload-Offset": "0",
        "Content-Length": str(len(data)),
    }
    lines = [f"PATCH {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
    with socket.create_connection(("127.0.0.1", composition.proxy_port), timeout=300) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode())
        for part in (data[: 2 * MIB], data[2 * MIB : 3 * MIB]):
            before = offset()
            line.sendall(part)
            until(partial(stands_at, before + len(part)), composition)
        line.sendall(data[3 * MIB :])
        with line.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.1 204")
    assert stands_at(len(data))


@behind_nginx
def test_the_proxy_keeps_inside_what_is_not_for_users(
    composition: Composition, http: httpx.Client
) -> None:
    assert http.get("/metrics").status_code == 404
    headers = {"Authorization": f"Bearer {composition.token}"}
    inside = httpx.get(f"{composition.api_url}/metrics", headers=headers, timeout=30)
    assert inside.status_code == 200
    assert "wsi_" in inside.text
    assert httpx.get(f"{composition.proxy_url}/v1/slides", timeout=30).status_code == 401


@behind_nginx
def test_an_upload_goes_on_after_the_api_was_away(
    composition: Composition, http: httpx.Client
) -> None:
    """What the API has said to hold stands, and the proxy finds the new one by itself."""
    headers = {**TUS, "Upload-Length": "30", **metadata("slide.tiff")}
    path = urlsplit(http.post("/v1/uploads", headers=headers).headers["location"]).path
    sending = {**TUS, **OCTETS}
    first = http.patch(path, headers={**sending, "Upload-Offset": "0"}, content=b"x" * 10)
    assert first.headers["upload-offset"] == "10"
    (api,) = [
        part
        for part in composition.started
        if part.log.stem.endswith("api") and part.process.poll() is None
    ]
    api.kill()
    assert http.head(path, headers=TUS).status_code == 502
    composition.start("api", "--no-demo")
    composition.wait_until("/readyz")
    assert http.head(path, headers=TUS).headers["upload-offset"] == "10"
    second = http.patch(path, headers={**sending, "Upload-Offset": "10"}, content=b"y" * 20)
    assert second.headers["upload-offset"] == "30"
