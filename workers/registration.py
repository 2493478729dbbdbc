"""A worker among the others: its row in the database, and a sign of life every few seconds."""

import logging
import os
import socket
import threading

import sqlalchemy as sa

from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.tables import new_id, workers

log = logging.getLogger(__name__)

_BEAT_SECONDS = 5.0


class Registration:
    """Says that this process is there, until :meth:`end`.

    Args:
        database: The service's.
    """

    def __init__(self, database: Database) -> None:
        self.worker_id = new_id()
        self._database = database
        self._job_id: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beats", daemon=True)

    def begin(self) -> None:
        """Say so for the first time."""
        with self._database.write() as connection:
            connection.execute(
                workers.insert().values(
                    id=self.worker_id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    started_at=now(),
                    seen_at=now(),
                )
            )
        self._thread.start()

    def works_on(self, job_id: str | None) -> None:
        """Say, with the next sign of life, what is worked on."""
        self._job_id = job_id

    def end(self) -> None:
        """Take the row away."""
        self._stop.set()
        if self._thread.ident is None:
            return
        self._thread.join()
        try:
            with self._database.write() as connection:
                connection.execute(workers.delete().where(workers.c.id == self.worker_id))
        except sa.exc.SQLAlchemyError as error:  # it will be seen to be gone
            log.warning("the worker could not sign off", exc_info=error)

    def _run(self) -> None:
        while not self._stop.wait(_BEAT_SECONDS):
            try:
                with self._database.write() as connection:
                    connection.execute(
                        workers.update()
                        .where(workers.c.id == self.worker_id)
                        .values(seen_at=now(), job_id=self._job_id)
                    )
            except sa.exc.SQLAlchemyError as error:
                log.warning("the database cannot be reached", exc_info=error)
