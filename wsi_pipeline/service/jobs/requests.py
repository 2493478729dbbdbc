"""The users' side of the job store: ask, look, cancel, retry, delete."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from wsi_pipeline.errors import WsiError
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.audit import note
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.jobs.job import Job, JobState
from wsi_pipeline.service.jobs.queue import find_result
from wsi_pipeline.service.jobs.queue_order import QueuePlace, places
from wsi_pipeline.service.jobs.transitions import change, tell
from wsi_pipeline.service.tables import jobs, new_id, notes, slides, workspaces


class NotThereError(WsiError):
    """No such object in this workspace; whether another has it is not told."""


class ConflictError(WsiError):
    """The object is not in a state that allows this."""


class KeyReusedError(WsiError):
    """An idempotency key came again with another request."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One job to be created.

    Attributes:
        slide_id: The slide, of the same workspace.
        model: Name of the model package.
        model_sha256: Of the package.
        config: What differs from the default configuration.
        fingerprint: Of the configuration.
        priority: Higher is sooner.
        webhook: Address told when the job is through.
    """

    slide_id: str
    model: str
    model_sha256: str
    config: dict[str, Any]
    fingerprint: str
    priority: int = 0
    webhook: str | None = None


class JobRequests:
    """What users do with jobs; each call sees the caller's workspace only.

    Args:
        database: Holds them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, access: Access, wanted: Sequence[JobRequest], idempotency_key: str | None = None
    ) -> list[Job]:
        """Create jobs, all or none. Identical work that is done already succeeds at once.

        The same key and the same request again give the jobs of the first time.

        Raises:
            NotThereError: a slide is not there.
            ConflictError: a slide was rejected.
            KeyReusedError: the key came before with another request.
        """
        digest = _request_sha256(wanted)
        with self._database.write() as connection:
            if idempotency_key is not None:
                earlier = self._earlier(connection, access, idempotency_key, digest)
                if earlier:
                    return earlier
            return self._insert_all(connection, access, wanted, idempotency_key, digest)

    def create_in(
        self, connection: sa.Connection, access: Access, wanted: Sequence[JobRequest]
    ) -> list[Job]:
        """As :meth:`create`, in a transaction of the caller's.

        Raises:
            NotThereError: a slide is not there.
            ConflictError: a slide was rejected.
        """
        return self._insert_all(connection, access, wanted, None, _request_sha256(wanted))

    def get(self, access: Access, job_id: str) -> Job:
        """One job.

        Raises:
            NotThereError: there is none.
        """
        with self._database.read() as connection:
            return self._job(connection, access, job_id)

    def place(self, job: Job) -> QueuePlace:
        """Position in the queue and expected finish."""
        return self.places([job])[0]

    def places(self, wanted: Sequence[Job]) -> list[QueuePlace]:
        """As :meth:`place` for each of many jobs; the queue is looked through once."""
        with self._database.read() as connection:
            return places(connection, wanted)

    def cancel(self, access: Access, job_id: str) -> Job:
        """Ask that a job be given up; at once if it waits, within seconds if it runs.

        Raises:
            NotThereError: there is none.
            ConflictError: it is over already.
        """
        with self._database.write() as connection:
            job = self._job(connection, access, job_id, lock=True)
            if job.state is JobState.CANCELLED:
                return job
            if job.state.is_final:
                raise ConflictError(f"job {job_id} has {job.state} already")
            values: dict[str, Any] = {"cancel_requested": True}
            if job.state is JobState.QUEUED:
                values |= {"state": JobState.CANCELLED, "finished_at": now()}
                values |= {"webhook_due": now() if job.webhook else None}
            return self._change(connection, access, job, "job.cancel", **values)

    def retry(self, access: Access, job_id: str) -> Job:
        """Queue a failed or cancelled job again, with all its attempts.

        Raises:
            NotThereError: there is none.
            ConflictError: it is not over, or succeeded.
        """
        with self._database.write() as connection:
            job = self._job(connection, access, job_id, lock=True)
            if job.state not in (JobState.FAILED, JobState.CANCELLED):
                raise ConflictError(
                    f"job {job_id} is {job.state}; only a failed or cancelled one can be retried"
                )
            return self._change(
                connection,
                access,
                job,
                "job.retry",
                state=JobState.QUEUED,
                attempts=0,
                losses=0,
                cancel_requested=False,
                problem=sa.null(),
                due_at=now(),
                finished_at=None,
                webhook_tries=0,
            )

    def delete(self, access: Access, job_id: str) -> None:
        """Remove a job that is over. Its result stays for identical work until ``wsi gc``.

        The workspace's notes on the result go with the last of its jobs that have it.

        Raises:
            NotThereError: there is none.
            ConflictError: it still waits or runs.
        """
        with self._database.write() as connection:
            job = self._job(connection, access, job_id, lock=True)
            if not job.state.is_final:
                raise ConflictError(f"job {job_id} is {job.state}; cancel it first")
            connection.execute(jobs.delete().where(jobs.c.id == job_id))
            if job.result_id is not None:
                _forget_notes(connection, access, job.result_id)
            note(connection, access, "job.delete", job_id)

    def _job(
        self, connection: sa.Connection, access: Access, job_id: str, *, lock: bool = False
    ) -> Job:
        wanted = sa.select(jobs).where(
            jobs.c.id == job_id, jobs.c.workspace_id == access.workspace_id
        )
        if lock:
            wanted = wanted.with_for_update()
        row = connection.execute(wanted).mappings().first()
        if row is None:
            raise NotThereError(f"there is no job {job_id}")
        return Job.of(row)

    def _earlier(
        self, connection: sa.Connection, access: Access, key: str, digest: str
    ) -> list[Job]:
        # Two requests with one key at once: on PostgreSQL the second waits for this row.
        connection.execute(
            sa.select(workspaces.c.id)
            .where(workspaces.c.id == access.workspace_id)
            .with_for_update()
        )
        wanted = (
            sa.select(jobs)
            .where(jobs.c.workspace_id == access.workspace_id, jobs.c.idempotency_key == key)
            .order_by(jobs.c.batch_index)
        )
        rows = connection.execute(wanted).mappings().all()
        if any(row["request_sha256"] != digest for row in rows):
            raise KeyReusedError("this Idempotency-Key came before with another request")
        return [Job.of(row) for row in rows]

    def _insert_all(
        self,
        connection: sa.Connection,
        access: Access,
        wanted: Sequence[JobRequest],
        key: str | None,
        digest: str,
    ) -> list[Job]:
        made = []
        for index, request in enumerate(wanted):
            row = self._insert(connection, access, request, index, key, digest)
            made.append(Job.of(row))
            note(connection, access, "job.create", made[-1].id, slide=request.slide_id)
        return made

    def _insert(
        self,
        connection: sa.Connection,
        access: Access,
        request: JobRequest,
        index: int,
        key: str | None,
        digest: str,
    ) -> sa.RowMapping:
        slide = (
            connection.execute(
                sa.select(slides).where(
                    slides.c.id == request.slide_id,
                    slides.c.workspace_id == access.workspace_id,
                    slides.c.state != "deleted",
                )
            )
            .mappings()
            .first()
        )
        if slide is None:
            raise NotThereError(f"there is no slide {request.slide_id}")
        if slide["state"] == "rejected":
            raise ConflictError(f"slide {request.slide_id} was rejected and cannot be analysed")
        done = slide["sha256"] and find_result(
            connection, slide["sha256"], request.model_sha256, request.fingerprint
        )
        state = JobState.SUCCEEDED if done else JobState.QUEUED
        values = {
            "id": new_id(),
            "workspace_id": access.workspace_id,
            "slide_id": request.slide_id,
            "model": request.model,
            "model_sha256": request.model_sha256,
            "config": request.config,
            "fingerprint": request.fingerprint,
            "priority": request.priority,
            "state": state,
            "result_id": done or None,
            "idempotency_key": key,
            "request_sha256": digest,
            "batch_index": index,
            "webhook": request.webhook,
            "webhook_due": now() if done and request.webhook else None,
            "created_at": now(),
            "due_at": now(),
            "finished_at": now() if done else None,
        }
        row = connection.execute(jobs.insert().values(**values).returning(jobs)).mappings().one()
        tell(connection, Job.of(row))
        return row

    def _change(
        self, connection: sa.Connection, access: Access, job: Job, action: str, **values: Any
    ) -> Job:
        after = change(connection, job.id, **values)
        note(connection, access, action, job.id)
        return after

    def list(
        self,
        access: Access,
        *,
        state: JobState | None = None,
        slide_id: str | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[list[Job], int]:
        """Jobs, newest first, and how many there are in all."""
        where = [jobs.c.workspace_id == access.workspace_id]
        if state is not None:
            where.append(jobs.c.state == state)
        if slide_id is not None:
            where.append(jobs.c.slide_id == slide_id)
        wanted = (
            sa.select(jobs)
            .where(*where)
            .order_by(jobs.c.created_at.desc(), jobs.c.batch_index, jobs.c.id)
            .offset(offset)
            .limit(limit)
        )
        with self._database.read() as connection:
            count = connection.execute(
                sa.select(sa.func.count()).select_from(jobs).where(*where)
            ).scalar_one()
            return [Job.of(row) for row in connection.execute(wanted).mappings()], count


def _forget_notes(connection: sa.Connection, access: Access, result_id: str) -> None:
    """Remove the workspace's notes on a result that none of its jobs has any more."""
    # Of two such jobs deleted at once on PostgreSQL, the second waits here and finds itself last.
    connection.execute(
        sa.select(workspaces.c.id).where(workspaces.c.id == access.workspace_id).with_for_update()
    )
    others = sa.exists().where(
        jobs.c.result_id == result_id, jobs.c.workspace_id == access.workspace_id
    )
    connection.execute(
        notes.delete().where(
            notes.c.result_id == result_id, notes.c.workspace_id == access.workspace_id, ~others
        )
    )


def _request_sha256(wanted: Sequence[JobRequest]) -> str:
    facts = [
        [r.slide_id, r.model, r.model_sha256, r.config, r.fingerprint, r.priority, r.webhook]
        for r in wanted
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
