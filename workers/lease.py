"""Keeping a job while it is worked on: renews the lease on a thread, and learns when to stop."""

import contextvars
import logging
import threading
import time
from dataclasses import asdict

import sqlalchemy as sa

from workers.messages import Progress
from wsi_pipeline.service.jobs.job import Job, Renewal
from wsi_pipeline.service.jobs.queue import JobQueue

log = logging.getLogger(__name__)

#: Longest between two renewals, seconds: who cancels a job should not wait for long.
_MOST_SECONDS = 3.0
#: Progress is told at most so often, seconds.
_TELL_SECONDS = 1.0


class Lease:
    """The lease on one job. Use as a context manager; ends without giving the job up.

    Args:
        queue: The job store.
        job: As claimed.
        seconds: How long the lease is good without being renewed.
    """

    def __init__(self, queue: JobQueue, job: Job, seconds: float) -> None:
        self._queue = queue
        self._job = job
        self._seconds = seconds
        self._interval = min(seconds / 3, _MOST_SECONDS)
        self._changed = threading.Condition()
        self._news = Progress()
        self._stopping = False
        self._ended: Renewal | None = None
        # With the log's ids of the thread that makes it.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=lambda: context.run(self._run), name="lease")

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    @property
    def ended(self) -> Renewal | None:
        """``CANCEL`` or ``LOST`` once work has to stop, None until then."""
        return self._ended

    def tell(self, progress: Progress) -> None:
        """Pass on how far the work is, with the next renewal, which comes within a second."""
        told = {key: value for key, value in asdict(progress).items() if value is not None}
        with self._changed:
            self._news = Progress(**{**asdict(self._news), **told})
            self._changed.notify()

    def _run(self) -> None:
        renewed = time.monotonic()
        told = float("-inf")
        while True:
            with self._changed:
                self._wait(renewed, told)
                if self._stopping:
                    return
                news, self._news = self._news, Progress()
            at = time.monotonic()
            try:
                answer = self._queue.renew(self._job, **asdict(news))
            except sa.exc.SQLAlchemyError as error:
                # The database may be back before the lease ends.
                log.warning("the lease could not be renewed", exc_info=error)
                if at - renewed > self._seconds:
                    self._ended = Renewal.LOST
                    return
                time.sleep(min(1.0, self._interval / 2))
                continue
            renewed = at
            if news != Progress():
                told = at
            if answer is not Renewal.HELD:
                self._ended = answer
                if answer is Renewal.LOST:
                    return

    def _wait(self, renewed: float, told: float) -> None:
        """Until it is time: sooner if there is news."""
        while not self._stopping:
            due = renewed + self._interval
            if self._news != Progress():
                due = min(due, told + _TELL_SECONDS)
            left = due - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)
