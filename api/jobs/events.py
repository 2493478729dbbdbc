"""``/v1/jobs/{job_id}/events`` and ``/v1/events``: news of jobs as server-sent events.

Listeners that were cut off send ``Last-Event-ID`` and get what they missed. An event may then
come a second time; its id tells.
"""

import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse

from api.access import Viewer
from api.dependencies import Services
from api.jobs.event_feed import EventFeed
from api.jobs.routes import JobId
from api.problems import responses
from api.schemas import timestamp
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.jobs.events import (
    JobEvent,
    events_after,
    last_event,
    look_back,
    workspace_events_after,
)
from wsi_pipeline.service.jobs.requests import NotThereError

router = APIRouter(prefix="/v1", tags=["events"])

#: A comment this often keeps proxies from closing a quiet stream, and finds revoked keys.
_KEEP_ALIVE_SECONDS = 15.0
#: What a client waits before it connects again, ms.
_RETRY_MS = 2000
_PAGE = 500

_Services = Annotated[Services, Depends(Services.of)]
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern=r"^[0-9]{1,18}$",
        description="Id of the last event that was received; those after it follow",
    ),
]


class EventStream(StreamingResponse):
    """An unbuffered ``text/event-stream``."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncIterator[str]) -> None:
        super().__init__(content, headers={"X-Accel-Buffering": "no"})


_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `state` and `progress`, each with an id and a JSON object",
        "content": {"text/event-stream": {}},
    }
}


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a stream reads from.

    Attributes:
        read: Events after a number, oldest first, and whether none will follow.
        behind: How far back an event may still appear.
    """

    read: Callable[[int], tuple[list[JobEvent], bool]]
    behind: int = 0


@router.get(
    "/jobs/{job_id}/events",
    status_code=200,
    response_class=EventStream,
    responses=_STREAM
    | {204: {"description": "The job is finished, and the last event was received"}}
    | responses(404, 422),
)
async def listen_to_job(
    job_id: JobId,
    access: Viewer,
    services: _Services,
    request: Request,
    last_event_id: LastEventId = None,
) -> Response:
    """Follow one job: all its events so far, then what happens, until it is over.

    Progress is one event that is replaced by the next; who comes late gets the newest only.
    """
    feed: EventFeed = request.app.state.feed
    database = services.database

    def read(last: int) -> tuple[list[JobEvent], bool]:
        # In this order: whatever ended the job wrote its event in the same transaction.
        over = services.jobs.get(access, job_id).state.is_final
        return events_after(database, job_id, last, _PAGE), over

    last = await to_thread.run_sync(_start, services, last_event_id)
    events, over = await to_thread.run_sync(read, last or 0)
    if last is not None and over and not events:
        return Response(status_code=204)  # tells a browser not to connect again
    return EventStream(_stream(feed, services, access, job_id, _Source(read), last or 0))


@router.get(
    "/events",
    status_code=200,
    response_class=EventStream,
    responses=_STREAM | responses(422),
)
async def listen_to_workspace(
    access: Viewer,
    services: _Services,
    request: Request,
    last_event_id: LastEventId = None,
) -> Response:
    """Follow all jobs of the workspace from now on, or from ``Last-Event-ID``.

    The first event is ``start``: the list of jobs read after it misses nothing.
    """
    feed: EventFeed = request.app.state.feed
    database = services.database

    def read(last: int) -> tuple[list[JobEvent], bool]:
        return workspace_events_after(database, access.workspace_id, last, _PAGE), False

    last = await to_thread.run_sync(_start, services, last_event_id)
    source = _Source(read, look_back(database))
    return EventStream(_stream(feed, services, access, None, source, last))


async def _stream(
    feed: EventFeed,
    services: Services,
    access: Access,
    job_id: str | None,
    source: _Source,
    last: int | None,
) -> AsyncIterator[str]:
    sent: deque[int] = deque(maxlen=_PAGE + source.behind)
    with feed.listen(access.workspace_id, job_id) as listener:
        yield f"retry: {_RETRY_MS}\n"
        if last is None:
            last = await feed.read(partial(last_event, services.database))
            before, _ = await feed.read(partial(source.read, last - source.behind))
            sent.extend(event.id for event in before if event.id <= last)
            yield f"id: {last}\nevent: start\ndata: {{}}\n"
        yield "\n"
        asked_at = time.monotonic()
        while not services.stopping.is_set():
            # Also where there is always something to tell.
            if time.monotonic() - asked_at >= _KEEP_ALIVE_SECONDS:
                if not await feed.read(partial(services.sessions.is_good, access)):
                    return
                asked_at = time.monotonic()
            try:
                events, over = await feed.read(partial(source.read, last - source.behind))
            except NotThereError:
                return  # deleted meanwhile
            fresh = [event for event in events if event.id not in sent]
            for event in fresh:
                yield _written(event)
                sent.append(event.id)
                last = max(last, event.id)
            if fresh:
                continue
            if over:
                return
            if not await listener.wait(_KEEP_ALIVE_SECONDS):
                yield ": still here\n\n"


def _start(services: Services, last_event_id: str | None) -> int | None:
    """The number to go on from; one from a database that is no more counts from the beginning."""
    if last_event_id is None:
        return None
    last = int(last_event_id)
    return last if last <= last_event(services.database) else 0


def _written(event: JobEvent) -> str:
    data = dict(event.data)
    if event.kind == "progress":
        data["tiles"] = {"done": data.pop("tiles_done"), "total": data.pop("tiles_total")}
    told = {"job_id": event.job_id, "at": timestamp(event.at).isoformat(), **data}
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(told)}\n\n"
