"""A worker's process: analyses on the main thread, and what goes on beside them on others."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

import sqlalchemy as sa

from workers.answerer import Answerer
from workers.watched_folders import FolderWatch
from workers.webhooks import Webhooks
from workers.worker import Worker
from wsi_pipeline.errors import WsiError
from wsi_pipeline.service import logs, schema
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.storage import open_storage

log = logging.getLogger(__name__)


def main(settings: ServiceSettings) -> int:
    """Work until SIGTERM or SIGINT; returns the exit code.

    Also answers questions, looks after watched folders and sends webhooks, on threads.
    """
    logs.set_up(settings.log_format)
    try:
        database = Database(settings.database_url)
        schema.check(database)
        worker = Worker(settings, database, open_storage(settings.storage_url))
        answerer = Answerer(settings, database, open_storage(settings.storage_url))
        beside: tuple[Callable[[threading.Event], None], ...] = (
            FolderWatch(settings, database, open_storage(settings.storage_url)).run,
            Webhooks(database, settings).run,
        )
    except (WsiError, OSError, sa.exc.SQLAlchemyError) as error:
        log.exception("the worker cannot start")
        sys.stderr.write(f"wsi: {error if isinstance(error, WsiError) else type(error)}\n")
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=_guard, args=(stop, settings.stop_seconds), daemon=True).start()
    for run in beside:
        threading.Thread(target=run, args=(stop,), daemon=True).start()
    answering = threading.Thread(target=answerer.run, args=(stop,), name="answers", daemon=True)
    answering.start()
    worker.run(stop)
    answering.join()
    log.info("worker stopped")
    database.close()
    return 0


def _guard(stop: threading.Event, seconds: float) -> None:
    """End the process if it does not stop in time; the kernel then kills its analysis."""
    stop.wait()
    time.sleep(seconds)
    log.error("the worker did not stop in time")
    os._exit(1)
