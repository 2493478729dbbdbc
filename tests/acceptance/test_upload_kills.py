"""Uploads by a real client while the server is killed again and again."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
import tifffile
from forks_support import Forked, Nursery, nursery
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError
from uploads_support import MIB, OCTETS, TUS, Service, prepared, until, write_slide

from api.server import listen
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.slides import SlideState
from wsi_pipeline.service.tables import audit, jobs, slides, uploads

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

KILLS = 100
#: Of the large slide: what is sent in one request. The server makes safe 8 MiB at a time.
CHUNKS = (3 * MIB, 20 * MIB, 1000 * MIB)


class Api:
    """The server's process, and how it is killed: another one takes over the socket."""

    def __init__(self, service: Service, started_by: Nursery, descriptor: int) -> None:
        settings = service.settings
        self._nursery = started_by
        self._descriptor = descriptor
        self._log = settings.data_dir / "api.log"
        self._environment = {
            **os.environ,
            "WSI_DATA_DIR": str(settings.data_dir),
            "WSI_MODELS_DIR": str(settings.models_dir),
        }
        self._running = self._start()

    def kill(self) -> None:
        self._running.kill()
        self._running = self._start()

    def _start(self) -> Forked:
        arguments = ("--fd", str(self._descriptor))
        return self._nursery.start("api", *arguments, environment=self._environment, log=self._log)


@contextlib.contextmanager
def killable(folder: Path) -> Iterator[tuple[Service, Api]]:
    with prepared(folder) as made, listen("127.0.0.1", 0) as sock:
        service = Service(made.settings, sock.getsockname()[1], made.keys, made.database)
        with nursery("api.app", "api.server", inherit=[sock.fileno()]) as started_by:
            yield service, Api(service, started_by, sock.fileno())


class Killer(threading.Thread):
    """Kills the server as soon as a spooled file is longer than so many bytes."""

    def __init__(self, api: Api, path: Path, longer_than: int, pause: float = 0.0) -> None:
        super().__init__()
        self._api, self._path, self._longer_than = api, path, longer_than
        self._pause = pause
        self._over = threading.Event()
        self.killed = False

    def run(self) -> None:
        while not self._over.is_set():
            if length(self._path) > self._longer_than:
                time.sleep(self._pause)
                self._api.kill()
                self.killed = True
                return
            time.sleep(0.0005)

    def __enter__(self) -> "Killer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def _is_over(killer: Killer, spooled: Path) -> bool:
    return killer.killed or not spooled.exists()


def length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tuspy(service: Service) -> TusClient:
    return TusClient(f"{service.address}/v1/uploads", {"Authorization": f"Bearer {service.key()}"})


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide of 200 MB, every byte of which is px or says where they are."""
    rng = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("large") / "large.tiff"
    with tifffile.TiffWriter(path) as tiff:
        for side in (7168, 3584):
            image = rng.integers(0, 255, (side, side, 3), np.uint8)
            tiff.write(
                image,
                tile=(256, 256),
                photometric="rgb",
                subfiletype=int(side < 7168),
                resolution=(20_000, 20_000),
                resolutionunit="CENTIMETER",
            )
    assert path.stat().st_size > 190e6
    return path


def test_a_server_killed_a_hundred_times_loses_no_byte(
    large: Path, tmp_path: Path, stub_package: ModelPackage
) -> None:
    size = large.stat().st_size
    rng = np.random.default_rng(100)
    # In order, all over the file but its last part: a late kill must not find it complete.
    marks = np.sort(rng.integers(0, size * 8 // 10, KILLS)).tolist()
    with killable(tmp_path / "service") as (service, api), service.client() as client:
        tus = tuspy(service)
        with large.open("rb") as file:
            begun = tus.uploader(file_stream=file, metadata={"filename": "large.tiff"})
            url = begun.create_url()
        spooled = service.settings.spool_dir / url.rpartition("/")[2]
        kills = unanswered = acknowledged = 0
        with large.open("rb") as file:
            for number, mark in enumerate(marks):
                for _ in range(20):
                    before = length(spooled)
                    uploader = tus.uploader(
                        file_stream=file,
                        url=url,
                        chunk_size=CHUNKS[number % len(CHUNKS)],
                        upload_checksum=number % 6 == 0,
                    )
                    assert uploader.offset >= acknowledged, "bytes were acknowledged and lost"
                    with Killer(api, spooled, max(mark, before)) as killer:
                        with contextlib.suppress(TusCommunicationError):
                            uploader.upload(stop_at=min(size - MIB, max(mark, before) + 32 * MIB))
                            acknowledged = uploader.offset
                            continue  # through before the server could be killed
                        killer.join()
                    acknowledged = uploader.offset
                    kills += 1
                    # More on disk than the last answer said: of a request that got none.
                    unanswered += length(spooled) > acknowledged
                    break
            assert kills == KILLS
            assert unanswered > KILLS // 4, "of most, no byte was written that was not answered"
            assert service.upload_row(spooled.name)["state"] == "open"
            last = tus.uploader(file_stream=file, url=url, chunk_size=50 * MIB)
            last.upload()
        # Being checked, it is killed too.
        slide_id = client.head(url, headers=TUS).headers["wsi-slide-id"]
        for pause in rng.uniform(0, 0.5, 5):
            time.sleep(pause)
            api.kill()
        found = service.checked(client, slide_id, limit=240)
        assert (found["state"], found["sha256"]) == (SlideState.READY, sha256(large))
        assert sha256(service.stored(slide_id)) == sha256(large)
        until(lambda: service.spooled() == {}, limit=120)
        assert (service.count(slides), service.count(uploads)) == (1, 1)
        _assert_a_repeated_end_changes_nothing(service, client, url, large, stub_package)


def _assert_a_repeated_end_changes_nothing(
    service: Service, client: httpx.Client, url: str, path: Path, stub_package: ModelPackage
) -> None:
    service.settings.models_dir.mkdir(exist_ok=True)
    (service.settings.models_dir / "small").symlink_to(stub_package.folder)
    (slide,) = client.get("/v1/slides").json()["slides"]
    order = {"slide_id": slide["id"], "model": "small"}
    answer = client.post("/v1/jobs", json=order)
    assert answer.status_code == 201, answer.text
    size = path.stat().st_size
    before = [service.count(table) for table in (slides, uploads, jobs, audit)]
    with path.open("rb") as file:
        file.seek(size - MIB)
        tail = file.read()
    for offset, data, status in ((size - MIB, tail, 409), (size, b"", 204)):
        told = {**TUS, **OCTETS, "Upload-Offset": str(offset)}
        assert client.patch(url, headers=told, content=data).status_code == status
    assert [service.count(table) for table in (slides, uploads, jobs, audit)] == before
    assert service.spooled() == {}


def test_a_kill_around_the_last_byte_makes_one_slide_each(tmp_path: Path) -> None:
    """Whether it came before the end was made safe, between that and the answer, or after."""
    uploaded = 12
    rng = np.random.default_rng(7)
    answered = 0
    with killable(tmp_path / "service") as (service, api), service.client() as client:
        tus = tuspy(service)
        expected = {}
        for number in range(uploaded):
            path = tmp_path / f"{number}.tiff"
            write_slide(path, seed=number, size_bytes=2 * MIB)
            with path.open("rb") as file:
                uploader = tus.uploader(file_stream=file, metadata={"filename": path.name})
                url = uploader.create_url()
                uploader.set_url(url)
                uploader.offset = 0
                spooled = service.settings.spool_dir / url.rpartition("/")[2]
                nearly = path.stat().st_size - 1
                pause = float(rng.uniform(0, 0.03))
                with Killer(api, spooled, nearly, pause) as killer:
                    try:
                        uploader.upload()
                        answered += 1
                    except TusCommunicationError:
                        again = tus.uploader(file_stream=file, url=url)
                        if again.offset < path.stat().st_size:
                            again.upload()
                    # Checked and gone before it was looked at, it gets nobody killed.
                    until(partial(_is_over, killer, spooled))
            slide_id = client.head(url, headers=TUS).headers["wsi-slide-id"]
            expected[slide_id] = sha256(path)
        found = {slide_id: service.checked(client, slide_id)["sha256"] for slide_id in expected}
        assert found == expected
        assert service.count(slides) == uploaded
        until(lambda: service.spooled() == {}, limit=120)
    assert answered < uploaded, "no kill came before the answer"


@contextlib.contextmanager
def _serve(folder: Path, port: int) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """``wsi serve``, and the address it prints."""
    command = [sys.executable, "-m", "wsi_pipeline.cli", "serve", "--workers", "0", "--no-demo"]
    command += ["--print-token"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--data-dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_whole_service_killed_and_started_again(large: Path, tmp_path: Path) -> None:
    """Supervisor and all; on the same port, with the same token."""
    folder, url, port = tmp_path / "service", None, 0
    size = large.stat().st_size
    for share in (0.1, 0.4, 0.7, None):
        with _serve(folder, port) as (process, address):
            base, token = address.split("/?token=")
            port = httpx.URL(base).port or 0
            tus = TusClient(f"{base}/v1/uploads", {"Authorization": f"Bearer {token}"})
            with large.open("rb") as file:
                uploader = tus.uploader(file_stream=file, url=url, metadata={"filename": "a.tiff"})
                if url is None:
                    url = uploader.create_url()
                    uploader.set_url(url)
                    uploader.offset = 0
                if share is None:
                    uploader.upload()
                    _assert_ready(base, token, sha256(large))
                    process.send_signal(signal.SIGTERM)
                    assert process.wait(60) == 0
                    return
                spooled = folder / "uploads" / url.rpartition("/")[2]
                kill = threading.Thread(
                    target=_kill_beyond, args=(process, spooled, int(share * size))
                )
                kill.start()
                with pytest.raises(TusCommunicationError):
                    uploader.upload()
                kill.join()


def _kill_beyond(process: "subprocess.Popen[str]", path: Path, longer_than: int) -> None:
    until(lambda: length(path) > longer_than)
    process.kill()


def _assert_ready(base: str, token: str, digest: str) -> None:
    with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}) as client:

        def states() -> list[str]:
            return [slide["state"] for slide in client.get("/v1/slides").json()["slides"]]

        until(lambda: states() == ["ready"], limit=120)
        (slide,) = client.get("/v1/slides").json()["slides"]
        assert slide["sha256"] == digest
