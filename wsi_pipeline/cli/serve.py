"""``wsi serve``: the whole service on this machine, with no other server."""

import contextlib
import errno
import fcntl
import importlib.util
import ipaddress
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

import typer

from wsi_pipeline.cli import EXIT_FAILURE, EXIT_OK
from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.console_token import KEPT_TOKEN, token_in_force
from wsi_pipeline.cli.extras import require
from wsi_pipeline.cli.service import (
    DatabaseUrl,
    DataDir,
    StorageUrl,
    as_variables,
    check_storage,
    load_settings,
    plain_errors,
)
from wsi_pipeline.cli.supervisor import Program, StartError, Supervisor, die_with
from wsi_pipeline.cli.worker import WORKER
from wsi_pipeline.errors import PackageError, UsageError
from wsi_pipeline.provided import PROVIDED, is_built
from wsi_pipeline.service import logs, schema
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.settings import ServiceSettings

log = logging.getLogger(__name__)

#: The HTTP server; the library itself knows none.
_API = (sys.executable, "-m", "api")
_COMPUTE = "Computing"
_LISTEN = "Listening"


def serve(
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on. [dim]\\[default: 127.0.0.1][/]", rich_help_panel=_LISTEN
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port; 0 takes a free one. [dim]\\[default: 8000][/]", rich_help_panel=_LISTEN
        ),
    ] = None,
    data_dir: DataDir = None,
    database: DatabaseUrl = None,
    storage: StorageUrl = None,
    models_dir: Annotated[
        Path | None,
        typer.Option(
            help="Model packages found by name. [dim]\\[WSI_MODELS_DIR][/]",
            rich_help_panel=_COMPUTE,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Worker processes here; 0: none, use `wsi worker`. [dim]\\[default: 1][/]",
            min=0,
            rich_help_panel=_COMPUTE,
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu or cuda:N.", rich_help_panel=_COMPUTE)
    ] = None,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo/--no-demo",
            help="Build lymph-node and demo, the models that come with the program, where missing; "
            "takes about a minute, once.",
            rich_help_panel=_COMPUTE,
        ),
    ] = True,
    print_token: Annotated[
        bool,
        typer.Option(
            "--print-token",
            help="Print the address with the token even where standard output is no terminal.",
            rich_help_panel=_LISTEN,
        ),
    ] = False,
    log_format: Annotated[
        Literal["json", "text"] | None, typer.Option(help="json, or text for people.")
    ] = None,
) -> None:
    """Start the service: uploads, queue, workers and masks over HTTP.

    Prints the address to open, in a terminal with the token that signs in; elsewhere, where it
    would end up in a log, it names the file that holds the token. The token is also good as
    [bold]Authorization: Bearer TOKEN[/]. It is kept in the data folder and stays the same.

    [bold]Examples[/]

    On this machine, for this machine:

        wsi serve

    Elsewhere, with two workers:

        wsi serve --data-dir /srv/wsi --port 9000 --workers 2

    All settings: [bold]wsi config[/]. Ctrl-C stops in good order: uploads and jobs go on where
    they were with the next start.
    """
    flags = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "database": database,
        "storage": storage,
        "models_dir": models_dir,
        "workers": workers,
        "device": device,
        "log_format": log_format,
    }
    settings = load_settings(**flags)
    require("fastapi", *(["openvino"] if settings.workers else []))
    logs.set_up(settings.log_format)
    with _only_one(settings.data_dir), _listen(settings) as listening:
        check_storage(settings.storage_url)
        token = _prepare(settings)
        if demo:
            _ensure_provided(settings)
        environment = {**os.environ, **as_variables({**flags, "token": token})}
        api = Program(
            "api",
            [*_API, "--fd", str(listening.fileno())],
            environment,
            inherit=(listening.fileno(),),
            tells=True,
        )
        crew = [
            Program(f"worker {number}", WORKER, environment)
            for number in range(1, settings.workers + 1)
        ]
        supervisor = Supervisor([api, *crew], settings.stop_seconds)
        try:
            supervisor.run(
                when_ready=lambda: _say_address(
                    settings,
                    listening.getsockname()[1],
                    token if print_token or sys.stdout.isatty() else None,
                ),
                # Nobody may come in while those inside are shown out.
                when_stopping=listening.close,
            )
        except StartError as error:
            sys.stderr.write(f"wsi: the {error} process could not start; see above\n")
            raise typer.Exit(EXIT_FAILURE) from error
    raise typer.Exit(EXIT_OK)


@contextlib.contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """Make and hold the data folder; the lock ends with the process.

    Raises:
        UsageError: another server holds it, or it cannot be written.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        opened = (data_dir / "serve.lock").open("w")
    except OSError as error:
        raise UsageError(
            f"the data folder {data_dir} cannot be used: {error.strerror}; name another with "
            "--data-dir"
        ) from error
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"another `wsi serve` runs with {data_dir}; stop it, or name another --data-dir"
            ) from error
        yield


def _listen(settings: ServiceSettings) -> socket.socket:
    """The listening socket, held here so that a new API process goes on with it.

    Raises:
        UsageError: the port is taken, or the address is not of this machine.
    """
    host, port = settings.host, settings.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except socket.gaierror as error:
        raise UsageError(f"--host {host} is no address: {error.strerror}") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} is taken by another program; name another with --port"
            ) from error
        raise UsageError(f"cannot listen on {host} port {port}: {error.strerror}") from error


def _prepare(settings: ServiceSettings) -> str:
    """Bring the database up to date and the token into it; returns the token.

    Raises:
        OSError: the database does not answer.
        SchemaError: it has other tables, and is PostgreSQL or newer.
        UsageError: the token of the settings is too short or was revoked.
    """
    database = Database(settings.database_url)
    try:
        with plain_errors():
            if database.dialect == "sqlite":
                schema.migrate(database)
            else:
                schema.check(database)
        return token_in_force(ApiKeys(database), settings)
    finally:
        database.close()


def _ensure_provided(settings: ServiceSettings) -> None:
    """Build packages that come with the program where they are missing.

    In a child: torch never comes into this process.
    """
    missing = [name for name in PROVIDED if not is_built(name, settings.models_dir)]
    if missing and importlib.util.find_spec("torch") is None:
        console.print(
            f"without the models {', '.join(missing)}: they are missing, and torch, which builds "
            "them, is not installed"
        )
        return
    for name in missing:
        console.print(f"building the model {name}; takes up to a minute, this first time only")
        command = [sys.executable, "-m", "wsi_pipeline.cli", "models", "show", name, "--json"]
        environment = {**os.environ, **as_variables({"models_dir": settings.models_dir})}
        done = subprocess.run(  # noqa: S603 - our own program
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            # Safe here: this process has one thread.
            preexec_fn=partial(die_with, os.getpid()),
            check=False,
        )
        if done.returncode:
            raise PackageError(name, "could not be built; see above, or start with --no-demo")


def _say_address(settings: ServiceSettings, port: int, token: str | None) -> None:
    """Print the address; with the token, or else where that is found."""
    host = settings.host
    with contextlib.suppress(ValueError):
        named = ipaddress.ip_address(host)
        if named.is_unspecified:
            host = "127.0.0.1"
        elif named.version == 6:
            host = f"[{host}]"
    url, file = f"http://{host}:{port}/", settings.data_dir / KEPT_TOKEN
    if token is not None:
        sys.stdout.write(f"{url}?token={quote(token)}\n")
    else:
        sys.stdout.write(f"{url}\nthe token that signs in is in {file}\n")
        log.info("the token is in a file", extra={"facts": {"file": str(file)}})
    sys.stdout.flush()
    if sys.stderr.isatty():
        console.print(f"all data are kept in {settings.data_dir}; Ctrl-C stops", highlight=False)
