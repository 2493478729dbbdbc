"""Wakes those who listen for news of jobs: one look at the database for all of them.

A listener costs no thread: it sleeps until the one poller has seen something of its job or its
workspace, then reads for itself from where it was.
"""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import sqlalchemy as sa
from anyio import CapacityLimiter, to_thread

from api.dependencies import Services
from wsi_pipeline.service.jobs.events import last_event, look_back, news_after

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_POLL_SECONDS = 0.5
#: Threads that read events, so that listeners never take those of other requests.
_READERS = 4


@dataclass(eq=False)
class Listener:
    """Somebody who waits for news of a job, or of all jobs of a workspace."""

    workspace_id: str
    job_id: str | None
    _news: anyio.Event = field(default_factory=anyio.Event)

    def concerns(self, job_id: str, workspace_id: str) -> bool:
        """Whether news are for this listener."""
        return workspace_id == self.workspace_id and self.job_id in (None, job_id)

    def wake(self) -> None:
        """There are news."""
        self._news.set()

    async def wait(self, seconds: float) -> bool:
        """Sleep until there are news, or so long; returns whether there are."""
        with anyio.move_on_after(seconds):
            await self._news.wait()
        if not self._news.is_set():
            return False
        self._news = anyio.Event()
        return True


class EventFeed:
    """Polls for events while somebody listens. Lives in the event loop.

    Args:
        services: Database, and whether the server stops.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._listeners: set[Listener] = set()
        self._limiter = CapacityLimiter(_READERS)

    @contextlib.contextmanager
    def listen(self, workspace_id: str, job_id: str | None) -> Iterator[Listener]:
        """Be woken by news until the end of the block."""
        listener = Listener(workspace_id, job_id)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def read(self, query: Callable[[], _T]) -> _T:
        """Run a query on one of the few threads listeners share."""
        return await to_thread.run_sync(query, limiter=self._limiter)

    async def run(self) -> None:
        """Poll until the server stops; then wake everybody, who end in turn."""
        database = self._services.database
        behind = look_back(database)
        top: int | None = None
        seen: set[int] = set()
        while not self._services.stopping.is_set():
            await anyio.sleep(_POLL_SECONDS)
            if not self._listeners:
                top = None
                continue
            try:
                if top is None:
                    # Nobody looked for a while: let everybody read, then follow from here.
                    top = await self.read(lambda: last_event(database))
                    seen = set()
                    self._wake_all()
                    continue
                news = await self.read(functools.partial(news_after, database, top - behind))
            except sa.exc.SQLAlchemyError as error:
                log.warning("events cannot be read", exc_info=error)
                top = None
                continue
            for number, job_id, workspace_id in news:
                if number > top or number not in seen:
                    self._tell(job_id, workspace_id)
                top = max(top, number)
            seen = {number for number, _, _ in news if number > top - behind}
        self._wake_all()

    def _tell(self, job_id: str, workspace_id: str) -> None:
        for listener in self._listeners:
            if listener.concerns(job_id, workspace_id):
                listener.wake()

    def _wake_all(self) -> None:
        for listener in self._listeners:
            listener.wake()
