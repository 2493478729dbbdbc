"""The composition as processes of this machine: each part told what docker-compose.yml tells it.

Commands, variables and volumes come from the file itself, and from the images' Dockerfiles. Only
names of hosts become this machine's addresses, and paths of containers folders.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml
from nginx_support import NGINX, proxy_command
from servers_support import PostgresServer, S3Server, free_port

from wsi_pipeline.model.package import ModelPackage

ROOT = Path(__file__).parents[2]
MODEL = "small"
#: What somebody would write into ``.env``.
FILLED_IN = {
    "POSTGRES_PASSWORD": "7a1b0c5e",
    "S3_ACCESS_KEY": "93ac41d2",
    "S3_SECRET_KEY": "e0f2a67b",
    "WSI_TOKEN": "wsi_b62c58f01d9e47a3",
}
_VARIABLE = re.compile(r"\$\{(\w+):(?:-([^}]*)|\?[^}]*)\}")


@dataclass
class Part:
    """A running service of the composition."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        """As ``docker compose stop`` does; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def lines(self) -> str:
        return self.log.read_text(encoding="utf-8")


@dataclass
class Composition:
    """Reads docker-compose.yml and starts its parts.

    Args:
        folder: Holds a folder for each volume.
        postgres: Is the host ``database``.
        s3: Is the host ``objects``.
        package: The model package in the volume ``models``.
    """

    folder: Path
    postgres: PostgresServer
    s3: S3Server
    package: ModelPackage
    api_port: int = field(default_factory=free_port)
    proxy_port: int = field(default_factory=free_port)
    started: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        text = (ROOT / "docker-compose.yml").read_text()
        self.services: dict[str, dict[str, Any]] = _filled(yaml.safe_load(text))["services"]
        database = sa.make_url(self.variables("api")["WSI_DATABASE"])
        self._database = self._make_database(database)
        self._make_bucket(self.variables("api")["WSI_STORAGE"].split("/")[2])
        (self._volume("models") / MODEL).symlink_to(self.package.folder)

    @property
    def database_url(self) -> str:
        """The database, as this machine reaches it."""
        return self._database

    @property
    def api_url(self) -> str:
        """The API itself, as only the proxy reaches it."""
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def proxy_url(self) -> str:
        """What the composition shows to the outside."""
        return f"http://127.0.0.1:{self.proxy_port}"

    @property
    def url(self) -> str:
        """Where users come in: the proxy, if there can be one."""
        return self.api_url if NGINX is None else self.proxy_url

    @property
    def token(self) -> str:
        """The first administrator's key."""
        return self.variables("api")["WSI_TOKEN"]

    def variables(self, name: str) -> dict[str, str]:
        """What a container is told: by its image, and on top by the composition."""
        service = self.services[name]
        image = (ROOT / service["build"]["dockerfile"]).read_text()
        told = dict(re.findall(r"\b(WSI_\w+)=(\S+)", image))
        return {**told, **service.get("environment", {})}

    def environment(self, name: str) -> dict[str, str]:
        """The same with this machine's addresses and folders."""
        told = self.variables(name)
        ours = {
            "WSI_DATABASE": self._database,
            "AWS_ENDPOINT_URL": told.get("AWS_ENDPOINT_URL", "").replace(
                "objects:8333", f"127.0.0.1:{self.s3.port}"
            ),
            "WSI_HOST": "127.0.0.1",
            "WSI_PORT": str(self.api_port),
        }
        told |= {key: value for key, value in ours.items() if key in told}
        mounts = {"/data": f"data-of-{name}", "/models": "models"}
        for volume in self.services[name].get("volumes", ()):
            source, path = volume.split(":")[:2]
            mounts[path] = source
        for key, value in told.items():
            for path, volume in mounts.items():
                if value == path or value.startswith(f"{path}/"):
                    told[key] = str(self._volume(volume)) + value.removeprefix(path)
        system = {k: v for k, v in os.environ.items() if not k.startswith(("WSI_", "AWS_"))}
        return {**system, **told}

    def start(self, name: str, *arguments: str) -> Part:
        """Start a service as its container would."""
        command = [sys.executable, "-m", "wsi_pipeline.cli", *self.services[name]["command"]]
        return self._start(name, [*command, *arguments], self.environment(name))

    def run(self, name: str) -> int:
        """Run a service that ends by itself; the exit code."""
        return self.start(name).process.wait(600)

    def start_proxy(self) -> Part:
        """nginx with its own file."""
        command = proxy_command(self._volume("proxy"), self.api_port, self.proxy_port)
        return self._start("proxy", command, dict(os.environ))

    def wait_until(self, path: str, seconds: float = 600) -> None:
        """Wait until a path is answered well, at the address users have."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}{path}", timeout=10):
                    return
            except OSError:
                assert time.monotonic() < deadline, self.logs()
                time.sleep(0.5)

    def access_log(self) -> str:
        """What the proxy wrote about requests."""
        return (self._volume("proxy") / "access.log").read_text()

    def logs(self) -> str:
        """What all parts have said."""
        return "\n".join(f"== {part.log.name}\n{part.lines()}" for part in self.started)

    def close(self) -> None:
        """End whatever still runs."""
        for part in reversed(self.started):
            if part.process.poll() is None:
                part.kill()

    def _start(self, name: str, command: list[str], environment: dict[str, str]) -> Part:
        log = self.folder / f"{len(self.started)}-{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.started.append(Part(process, log))
        return self.started[-1]

    def _volume(self, name: str) -> Path:
        folder = self.folder / "volumes" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _make_database(self, wanted: sa.URL) -> str:
        """User and database as PostgreSQL's image makes them; their address on this machine."""
        theirs = self.services["database"]["environment"]
        assert wanted.username == theirs["POSTGRES_USER"]
        assert wanted.password == theirs["POSTGRES_PASSWORD"]
        assert wanted.database == theirs["POSTGRES_DB"]
        assert wanted.host == "database"
        server = sa.make_url(self.postgres.database())
        engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(
                f"CREATE ROLE {wanted.username} LOGIN PASSWORD '{wanted.password}'"
            )
            connection.exec_driver_sql(f"CREATE DATABASE {wanted.database} OWNER {wanted.username}")
        engine.dispose()
        here = wanted.set(host=server.host, port=server.port, query=server.query)
        return here.render_as_string(hide_password=False)

    def _make_bucket(self, name: str) -> None:
        """moto, unlike the composition's store, does not make it with the first object."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.s3.port}/{name}", method="PUT")
        with urllib.request.urlopen(request, timeout=10):
            pass


def _filled(value: Any) -> Any:
    """With variables put in, after the YAML is read: an empty one is an empty text."""
    if isinstance(value, dict):
        return {key: _filled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner) for inner in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: FILLED_IN.get(found[1]) or found[2], value)
    return value


@contextlib.contextmanager
def composed(
    folder: Path, postgres: PostgresServer, s3: S3Server, package: ModelPackage
) -> Iterator[Composition]:
    """The composition without any part started; none is left afterwards."""
    composition = Composition(folder, postgres, s3, package)
    try:
        yield composition
    finally:
        composition.close()
