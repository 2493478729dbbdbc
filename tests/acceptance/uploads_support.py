"""The service on a real socket, in this process or in one that can be killed."""

import base64
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import sqlalchemy as sa

from api.app import create_app
from api.dependencies import Services
from api.server import Server, listen
from wsi_pipeline.service.access import Access, Scope
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.schema import migrate
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.service.tables import audit, slides, uploads
from wsi_pipeline.testing.slides import write_pyramid

TUS = {"Tus-Resumable": "1.0.0"}
OCTETS = {"Content-Type": "application/offset+octet-stream"}
MIB = 2**20


def metadata(name: str) -> dict[str, str]:
    return {"Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()}"}


def write_slide(path: Path, seed: int = 0, size_bytes: int = 0) -> bytes:
    """A small real slide; what is missing to ``size_bytes`` is noise no directory refers to."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 255, (256, 320, 3), np.uint8)
    write_pyramid(path, image, compression="jpeg", tile=64, downsamples=(1, 2))
    with path.open("ab") as file:
        file.write(rng.bytes(max(0, size_bytes - path.stat().st_size)))
    return path.read_bytes()


@dataclass(frozen=True)
class Service:
    """A service that answers requests."""

    settings: ServiceSettings
    port: int
    keys: ApiKeys
    database: Database

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def key(self, workspace: str = "lab", scope: Scope = Scope.SUBMIT) -> str:
        return self.keys.create(workspace, "test", scope)[1]

    def client(self, workspace: str = "lab", scope: Scope = Scope.SUBMIT) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key(workspace, scope)}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=60)

    def spooled(self) -> dict[str, int]:
        """Files in the spool and their sizes in bytes."""
        folder = self.settings.spool_dir
        found = {}
        for path in folder.rglob("*") if folder.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    found[path.name] = path.stat().st_size
        return found

    def count(self, table: sa.Table) -> int:
        with self.database.read() as connection:
            return int(
                connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            )

    def upload_row(self, upload_id: str) -> dict[str, Any]:
        with self.database.read() as connection:
            wanted = sa.select(uploads).where(uploads.c.id == upload_id)
            return dict(connection.execute(wanted).mappings().one())

    def checked(self, client: httpx.Client, slide_id: str, limit: float = 60) -> dict[str, Any]:
        """The slide once it is ready or rejected."""
        deadline = time.monotonic() + limit
        while True:
            slide: dict[str, Any] = client.get(f"/v1/slides/{slide_id}").json()
            if slide["state"] != "checking":
                return slide
            assert time.monotonic() < deadline, "the slide is still being checked"
            time.sleep(0.05)

    def stored(self, slide_id: str) -> Path:
        """Where the bytes of a ready slide are."""
        with self.database.read() as connection:
            wanted = sa.select(slides.c.location).where(slides.c.id == slide_id)
            location: str = connection.execute(wanted).scalar_one()
        return Path(self.settings.storage_url) / location

    def actions(self) -> list[str]:
        with self.database.read() as connection:
            return list(
                connection.execute(sa.select(audit.c.action).order_by(audit.c.id)).scalars()
            )

    def create(self, client: httpx.Client, length: int, name: str = "a.tiff") -> str:
        """Begin an upload; its address."""
        headers = {**TUS, "Upload-Length": str(length), **metadata(name)}
        answer = client.post("/v1/uploads", headers=headers)
        assert answer.status_code == 201, answer.text
        location: str = answer.headers["location"]
        return location

    def patch(
        self, client: httpx.Client, location: str, offset: int, data: bytes, **headers: str
    ) -> httpx.Response:
        told = {**TUS, **OCTETS, "Upload-Offset": str(offset)}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        return client.patch(location, headers=told, content=data)

    def offset(self, client: httpx.Client, location: str) -> int:
        answer = client.head(location, headers=TUS)
        assert answer.status_code == 200
        return int(answer.headers["upload-offset"])

    def connect(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> socket.socket:
        """Send a request, or its beginning, as bytes of our own choice."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return connection


def until(happened: Callable[[], bool], limit: float = 30) -> None:
    deadline = time.monotonic() + limit
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def status_of(connection: socket.socket) -> int:
    """Status of the answer on a connection, which is closed."""
    with connection, connection.makefile("rb") as answer:
        found = re.match(rb"HTTP/1.1 (\d+)", answer.readline())
        assert found is not None
        return int(found[1])


@contextlib.contextmanager
def prepared(folder: Path, **told: Any) -> Iterator[Service]:
    """Settings and a database, and nobody who answers."""
    settings = ServiceSettings(data_dir=folder, models_dir=folder / "models", **told)
    database = Database(settings.database_url)
    folder.mkdir(parents=True, exist_ok=True)
    migrate(database)
    yield Service(settings, 0, ApiKeys(database), database)
    database.close()


@contextlib.contextmanager
def serving(folder: Path, **told: Any) -> Iterator[Service]:
    """The service in a thread of this process."""
    with prepared(folder, **told) as service:
        app = create_app(service.settings)
        with listen("127.0.0.1", 0) as sock:
            server = Server(app, service.settings)
            thread = threading.Thread(target=server.run, args=([sock],))
            thread.start()
            try:
                until(lambda: server.started or not thread.is_alive())
                port: int = sock.getsockname()[1]
                yield Service(service.settings, port, service.keys, service.database)
            finally:
                server.should_exit = True
                thread.join(60)
        assert not thread.is_alive(), "the server did not stop"


@contextlib.contextmanager
def services_of(service: Service) -> Iterator[Services]:
    """The parts of an application, without one."""
    services = Services.open(service.settings)
    yield services
    services.database.close()


def access_of(service: Service, workspace: str = "lab", scope: Scope = Scope.SUBMIT) -> Access:
    access = service.keys.find(service.key(workspace, scope))
    assert access is not None
    return access


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


class Killable:
    """API processes, one at a time, on one listening socket that outlives them.

    The next one is started ahead and waits at a pipe, so that a kill costs no time for imports.
    """

    def __init__(self, service: Service, limits: str = "") -> None:
        self._service = service
        self._limits = limits
        self._socket = listen("127.0.0.1", 0)
        self.port: int = self._socket.getsockname()[1]
        self._spare = self._start()
        self._running = self._go()

    @property
    def pid(self) -> int:
        """Of the one that answers."""
        return self._running.pid

    def kill(self) -> None:
        """SIGKILL, and another one takes over."""
        _end(self._running)
        self._running = self._go()

    def stop(self) -> int:
        """SIGTERM; the exit code. Nothing answers from then on."""
        self._running.send_signal(signal.SIGTERM)
        return self._running.wait(60)

    def close(self) -> None:
        for process in (self._running, self._spare):
            _end(process)
        self._socket.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        descriptor = self._socket.fileno()
        code = (
            f"import sys, runpy, api.app, api.server\n{self._limits}\n"
            f"sys.stdin.buffer.read(1)\nsys.argv = ['api', '--fd', '{descriptor}']\n"
            "runpy.run_module('api', run_name='__main__')"
        )
        settings = self._service.settings
        given = {"WSI_DATA_DIR": settings.data_dir, "WSI_MODELS_DIR": settings.models_dir}
        return subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[descriptor],
            env={**os.environ, **{name: str(value) for name, value in given.items()}},
        )

    def _go(self) -> "subprocess.Popen[bytes]":
        process = self._spare
        assert process.stdin is not None
        process.stdin.write(b"1")
        process.stdin.flush()
        self._spare = self._start()
        return process


@contextlib.contextmanager
def killable(folder: Path, limits: str = "") -> Iterator[tuple[Service, Killable]]:
    """The service in processes that can be killed.

    Args:
        folder: The data folder.
        limits: Python that each process runs first.
    """
    with prepared(folder) as service:
        processes = Killable(service, limits)
        try:
            yield (
                Service(service.settings, processes.port, service.keys, service.database),
                processes,
            )
        finally:
            processes.close()
