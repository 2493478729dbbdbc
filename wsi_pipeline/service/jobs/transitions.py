"""Changes of a job's state, each told to those who listen, in a transaction of the caller's."""

from typing import Any

import sqlalchemy as sa

from wsi_pipeline.service.database import now
from wsi_pipeline.service.jobs.events import record
from wsi_pipeline.service.jobs.job import Job, JobState
from wsi_pipeline.service.tables import jobs


def change(connection: sa.Connection, job_id: str, **values: Any) -> Job:
    """Set columns of a job, and tell its state."""
    changed = jobs.update().where(jobs.c.id == job_id).values(**values).returning(jobs)
    job = Job.of(connection.execute(changed).mappings().one())
    tell(connection, job)
    return job


def requeue(connection: sa.Connection, job_id: str, **values: Any) -> None:
    """Let a job wait again; no worker has it any more."""
    change(
        connection,
        job_id,
        state=JobState.QUEUED,
        stage=None,
        worker_id=None,
        lease_until=None,
        **values,
    )


def finish(connection: sa.Connection, job: Job, state: JobState, **values: Any) -> None:
    """End a job; its webhook is due."""
    change(
        connection,
        job.id,
        state=state,
        stage=None,
        worker_id=None,
        lease_until=None,
        finished_at=now(),
        webhook_due=now() if job.webhook else None,
        **values,
    )


def tell(connection: sa.Connection, job: Job) -> None:
    """Tell listeners of a job's state."""
    event = {
        "state": job.state,
        "attempts": job.attempts,
        "problem": job.problem,
        "result_id": job.result_id,
    }
    record(connection, job.id, "state", event)
