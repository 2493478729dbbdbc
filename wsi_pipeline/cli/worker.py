"""``wsi worker``: one more worker process, on this or another host."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from wsi_pipeline.cli.extras import require
from wsi_pipeline.cli.service import (
    DatabaseUrl,
    DataDir,
    StorageUrl,
    as_variables,
    check_storage,
    load_settings,
    open_database,
)

#: The program; the library itself knows no workers.
WORKER = (sys.executable, "-m", "workers")


def worker(
    database: DatabaseUrl = None,
    storage: StorageUrl = None,
    data_dir: DataDir = None,
    models_dir: Annotated[
        Path | None, typer.Option(help="Model packages found by name. [dim]\\[WSI_MODELS_DIR][/]")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda:N.")] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler, tcp://HOST:PORT. Use TLS or a private network."
        ),
    ] = None,
    log_format: Annotated[
        Literal["json", "text"] | None, typer.Option(help="json, or text for people.")
    ] = None,
) -> None:
    """Take jobs from the queue and analyse them, until told to stop.

    On another host it needs a database and storage that both hosts reach, and the same model
    packages. SIGTERM and Ctrl-C give the job back, with what is finished of it kept on this host.

    [bold]Examples[/]

    One more beside a running [bold]wsi serve[/]:

        wsi worker

    On a host with GPUs:

        wsi worker --database postgresql+psycopg://wsi@db/wsi --storage s3://lab/wsi
    """
    flags = {
        "database": database,
        "storage": storage,
        "data_dir": data_dir,
        "models_dir": models_dir,
        "device": device,
        "scheduler": scheduler,
        "log_format": log_format,
    }
    require("openvino")
    settings = load_settings(**flags)
    check_storage(settings.storage_url)
    with open_database(settings):
        pass  # wrong settings and a wrong schema are told here, in one line
    sys.stdout.flush()
    os.execve(WORKER[0], WORKER, {**os.environ, **as_variables(flags)})  # noqa: S606 - no shell is wanted
