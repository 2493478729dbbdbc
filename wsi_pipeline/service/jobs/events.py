"""What happened to jobs, numbered, for listeners that resume where they were cut off."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.tables import job_events, jobs


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One event. ``id`` grows; ``kind`` is ``state`` or ``progress``; ``at`` in s since 1970."""

    id: int
    job_id: str
    at: float
    kind: str
    data: dict[str, Any]


def record(connection: sa.Connection, job_id: str, kind: str, data: dict[str, Any]) -> None:
    """Add an event in the transaction of the change it tells of.

    A job's progress is one event, replaced by the next: who comes later wants only the last.
    """
    if kind == "progress":
        connection.execute(
            job_events.delete().where(job_events.c.job_id == job_id, job_events.c.kind == kind)
        )
    connection.execute(job_events.insert().values(job_id=job_id, at=now(), kind=kind, data=data))


def events_after(database: Database, job_id: str, last: int, limit: int = 500) -> list[JobEvent]:
    """Events of a job after the one numbered ``last``, oldest first."""
    wanted = (
        sa.select(job_events)
        .where(job_events.c.job_id == job_id, job_events.c.id > last)
        .order_by(job_events.c.id)
        .limit(limit)
    )
    with database.read() as connection:
        return [JobEvent(**row) for row in connection.execute(wanted).mappings()]


def workspace_events_after(
    database: Database, workspace_id: str, last: int, limit: int = 500
) -> list[JobEvent]:
    """Events of all jobs of a workspace after the one numbered ``last``, oldest first."""
    wanted = (
        sa.select(job_events)
        .join(jobs, jobs.c.id == job_events.c.job_id)
        .where(jobs.c.workspace_id == workspace_id, job_events.c.id > last)
        .order_by(job_events.c.id)
        .limit(limit)
    )
    with database.read() as connection:
        return [JobEvent(**row) for row in connection.execute(wanted).mappings()]


def news_after(database: Database, last: int) -> list[tuple[int, str, str]]:
    """Id, job and workspace of every event after the one numbered ``last``, in order."""
    wanted = (
        sa.select(job_events.c.id, job_events.c.job_id, jobs.c.workspace_id)
        .join(jobs, jobs.c.id == job_events.c.job_id)
        .where(job_events.c.id > last)
        .order_by(job_events.c.id)
        .limit(10_000)
    )
    with database.read() as connection:
        return [(row[0], row[1], row[2]) for row in connection.execute(wanted)]


def last_event(database: Database) -> int:
    """Number of the newest event; 0 if there is none."""
    with database.read() as connection:
        newest = connection.execute(sa.select(sa.func.max(job_events.c.id))).scalar_one()
        return int(newest or 0)


def look_back(database: Database) -> int:
    """How far behind the newest event an older one may still appear, in numbers.

    PostgreSQL numbers events when they are written, not when they are committed: of two workers'
    events the higher may be seen first. SQLite has one writer at a time.
    """
    return 64 if database.dialect == "postgresql" else 0
