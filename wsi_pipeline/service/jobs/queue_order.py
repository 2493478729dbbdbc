"""Whose turn it is: the order in which jobs are claimed, and where each waiting one stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from wsi_pipeline.service.database import now
from wsi_pipeline.service.jobs.job import Job, JobState
from wsi_pipeline.service.tables import jobs, workers, workspaces

#: Waiting this long is worth one step of priority, seconds.
AGEING_SECONDS = 300.0
#: Within a workspace: priority raised by waiting. The time that passes is the same for all, so it
#: need not be known: a step of priority counts as having come :data:`AGEING_SECONDS` sooner.
_WITHIN = (
    jobs.c.created_at - AGEING_SECONDS * jobs.c.priority,
    jobs.c.created_at,
    jobs.c.batch_index,
    jobs.c.id,
)


def claim_order() -> tuple[sa.ColumnElement[Any], ...]:
    """Who comes first: the workspace served longest ago, then priority raised by waiting.

    Workspaces take turns, so that nobody's thousand jobs, however old or urgent, keep another
    workspace's one waiting for longer than a turn.
    """
    return (workspaces.c.served_at, *_WITHIN)


def queue_order() -> tuple[sa.ColumnElement[Any], ...]:
    """As :func:`claim_order`, for all that wait: each workspace's first, then the second ones."""
    turn = sa.func.row_number().over(partition_by=jobs.c.workspace_id, order_by=_WITHIN)
    return (turn, *claim_order())


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Where a waiting job stands.

    Attributes:
        position: 1 is next; None where it does not wait.
        expected_at: When it is expected to finish, s since 1970; None if nobody can tell.
    """

    position: int | None
    expected_at: float | None


@dataclass(frozen=True, slots=True)
class _Queue:
    """Positions of waiting jobs, 1 is next, and seconds the workers together take for one."""

    positions: dict[str, int]
    pace: float | None

    def place(self, job: Job, at: float) -> QueuePlace:
        if job.state is JobState.RUNNING:
            return QueuePlace(None, _expected(job, at))
        position = self.positions.get(job.id)
        if position is None or self.pace is None:
            return QueuePlace(position, None)
        return QueuePlace(position, at + self.pace * (position + 0.5))


def places(connection: sa.Connection, wanted: Sequence[Job]) -> list[QueuePlace]:
    """Where jobs stand; the queue is looked through once."""
    if all(job.state.is_final for job in wanted):
        return [QueuePlace(None, None)] * len(wanted)
    at: float = connection.execute(sa.select(now())).scalar_one()
    waits = any(job.state is JobState.QUEUED for job in wanted)
    queue = _look(connection, at) if waits else _Queue({}, None)
    return [queue.place(job, at) for job in wanted]


def _look(connection: sa.Connection, at: float) -> _Queue:
    """The queue as it stands."""
    order = (
        sa.select(jobs.c.id)
        .join(workspaces, workspaces.c.id == jobs.c.workspace_id)
        .where(jobs.c.state == JobState.QUEUED)
        .order_by(*queue_order())
    )
    waiting = connection.execute(order).scalars()
    positions = {job_id: position for position, job_id in enumerate(waiting, start=1)}
    lately = (
        sa.select((jobs.c.finished_at - jobs.c.started_at).label("seconds"))
        .where(jobs.c.state == JobState.SUCCEEDED, jobs.c.started_at.is_not(None))
        .order_by(jobs.c.finished_at.desc())
        .limit(20)
        .subquery()
    )
    typical = connection.execute(sa.select(sa.func.avg(lately.c.seconds))).scalar_one()
    alive = connection.execute(
        sa.select(sa.func.count()).select_from(workers).where(workers.c.seen_at > at - 60)
    ).scalar_one()
    known = typical is not None and alive > 0
    return _Queue(positions, float(typical) / alive if known else None)


def _expected(job: Job, at: float) -> float | None:
    if job.tiles_total is None or not job.tiles_per_second:
        return None
    return at + (job.tiles_total - job.tiles_done) / job.tiles_per_second
