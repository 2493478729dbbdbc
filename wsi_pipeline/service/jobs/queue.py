"""The workers' side of the job store: claim, renew, finish.

At-least-once execution with fenced publication: a claim carries a fencing token that grows with
every claim, and every later statement about the job names it. A worker that slept through its
lease, or was thought dead, changes nothing: its token is old.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.jobs.events import record
from wsi_pipeline.service.jobs.job import Claim, Job, JobState, Renewal
from wsi_pipeline.service.jobs.queue_order import claim_order
from wsi_pipeline.service.jobs.transitions import change, finish, requeue
from wsi_pipeline.service.tables import jobs, new_id, results, slides, workspaces

#: Failures of a job's own making after which it is quarantined.
MAX_ATTEMPTS = 3
#: Workers that may vanish with a job, one after the other, before it gets any further.
MAX_LOSSES = 10
#: Seconds a job waits after a failed attempt, doubled each time.
_BACKOFF_SECONDS = 2.0
#: Longest a job waits that lost several workers in a row, seconds: others come first meanwhile, so
#: that workers which keep dying for a reason of their own do not use up one job's patience.
_MOST_BACKOFF_SECONDS = 60.0


class JobQueue:
    """What workers do with jobs.

    Args:
        database: Holds them.
        lease_seconds: How long a claim is good without being renewed.
    """

    def __init__(self, database: Database, lease_seconds: float = 30.0) -> None:
        self._database = database
        self._lease_seconds = lease_seconds

    def claim(self, worker_id: str) -> Claim | None:
        """The most urgent job, now this worker's; None if nothing is due.

        A job waits while identical work is running: its result will be this one's, too.
        """
        if not self._is_any_due():
            return None  # idle workers write nothing
        with self._database.write() as connection:
            self._reclaim(connection)
            # As few as there are workers. Not a subquery: that is run for every waiting job.
            running = self._work(connection, JobState.RUNNING)
            wanted = (
                sa.select(
                    jobs,
                    slides.c.sha256.label("slide_sha256"),
                    slides.c.location.label("slide_location"),
                    slides.c.name.label("slide_name"),
                )
                .join(slides, slides.c.id == jobs.c.slide_id)
                .join(workspaces, workspaces.c.id == jobs.c.workspace_id)
                .where(
                    jobs.c.state == JobState.QUEUED,
                    jobs.c.due_at <= now(),
                    slides.c.state == "ready",
                    sa.tuple_(slides.c.sha256, jobs.c.model_sha256, jobs.c.fingerprint).not_in(
                        running
                    ),
                )
                .order_by(*claim_order())
                .limit(1)
                .with_for_update(skip_locked=True, of=jobs)
            )
            row = connection.execute(wanted).mappings().first()
            if row is None:
                return None
            changed = change(
                connection,
                row["id"],
                state=JobState.RUNNING,
                stage="checking",
                fence=jobs.c.fence + 1,
                worker_id=worker_id,
                lease_until=now() + self._lease_seconds,
                claimed_at_tiles=jobs.c.tiles_done,
                started_at=sa.func.coalesce(jobs.c.started_at, now()),
                problem=sa.null(),
            )
            connection.execute(
                workspaces.update()
                .where(workspaces.c.id == row["workspace_id"])
                .values(served_at=now())
            )
            return Claim(changed, row["slide_sha256"], row["slide_location"], row["slide_name"])

    def renew(
        self,
        job: Job,
        *,
        stage: str | None = None,
        tiles_done: int | None = None,
        tiles_total: int | None = None,
        tiles_per_second: float | None = None,
        resumed_tiles: int | None = None,
    ) -> Renewal:
        """Extend the lease and tell of progress; None leaves a figure as it is.

        Args:
            job: As claimed.
            stage: What is being done.
            tiles_done: Of the whole slide, those finished by earlier attempts too.
            tiles_total: Of the whole slide.
            tiles_per_second: Lately.
            resumed_tiles: What this attempt found finished; only more than that is progress.
        """
        told = {
            "stage": stage,
            "tiles_done": tiles_done,
            "tiles_total": tiles_total,
            "tiles_per_second": tiles_per_second,
        }
        values = {key: value for key, value in told.items() if value is not None}
        if resumed_tiles is not None:
            values["claimed_at_tiles"] = resumed_tiles
        with self._database.write() as connection:
            row = (
                connection.execute(
                    jobs.update()
                    .where(*_held(job))
                    .values(lease_until=now() + self._lease_seconds, **values)
                    .returning(jobs)
                )
                .mappings()
                .first()
            )
            if row is None:
                return Renewal.LOST
            if values:
                progress = {key: row[key] for key in told}
                record(connection, job.id, "progress", progress)
            return Renewal.CANCEL if row["cancel_requested"] else Renewal.HELD

    def known_result(self, claim: Claim) -> str | None:
        """Id of the result of identical work, if there is one."""
        with self._database.read() as connection:
            return find_result(
                connection, claim.slide_sha256, claim.job.model_sha256, claim.job.fingerprint
            )

    def succeed(
        self, claim: Claim, location: str, summary: dict[str, Any]
    ) -> tuple[bool, str | None]:
        """Publish a result, if the lease still holds.

        Args:
            claim: The right to do so.
            location: Key of the complete mask store.
            summary: What the API tells of it.

        Returns:
            Whether the job succeeded by this, and the location that serves it: another one where
            somebody published the same work first, None where the lease was lost.
        """
        with self._database.write() as connection:
            if not self._still_held(connection, claim.job):
                return False, None
            identity = {
                "slide_sha256": claim.slide_sha256,
                "model_sha256": claim.job.model_sha256,
                "fingerprint": claim.job.fingerprint,
            }
            result_id = find_result(connection, *identity.values())
            if result_id is None:
                # Two workers may do so at once, for jobs of two workspaces.
                insert = (
                    postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
                )
                connection.execute(
                    insert(results)
                    .values(
                        id=new_id(),
                        **identity,
                        location=location,
                        summary=summary,
                        created_at=now(),
                    )
                    .on_conflict_do_nothing(index_elements=list(identity))
                )
                result_id = find_result(connection, *identity.values())
            wanted = sa.select(results).where(results.c.id == result_id)
            result = connection.execute(wanted).mappings().one()
            self._succeed(connection, claim.job, result)
            return True, str(result["location"])

    def reuse(self, claim: Claim, result_id: str) -> bool:
        """Let a job succeed with a result that is there already; False if one of both is not."""
        with self._database.write() as connection:
            if not self._still_held(connection, claim.job):
                return False
            wanted = sa.select(results).where(results.c.id == result_id)
            result = connection.execute(wanted.with_for_update(read=True)).mappings().first()
            if result is None:
                return False
            self._succeed(connection, claim.job, result)
            return True

    def fail(self, job: Job, problem: dict[str, Any], *, final: bool) -> bool:
        """End an attempt without a result.

        Args:
            job: As claimed.
            problem: Why, as a problem detail.
            final: Trying again would end the same way.

        Returns:
            Whether the lease still held and the job was changed.
        """
        with self._database.write() as connection:
            row = self._still_held(connection, job)
            if row is None:
                return False
            attempts = row["attempts"] + 1
            if row["cancel_requested"]:
                finish(connection, job, JobState.CANCELLED)
            elif final or attempts >= MAX_ATTEMPTS:
                finish(connection, job, JobState.FAILED, attempts=attempts, problem=problem)
            else:
                wait = _BACKOFF_SECONDS * 2 ** (attempts - 1)
                requeue(connection, job.id, attempts=attempts, problem=problem, due_at=now() + wait)
            return True

    def release(self, job: Job, wait_seconds: float = 0.0) -> bool:
        """Give a job back untouched, for others to come first for so many seconds."""
        with self._database.write() as connection:
            row = self._still_held(connection, job)
            if row is None:
                return False
            if row["cancel_requested"]:
                finish(connection, job, JobState.CANCELLED)
            else:
                requeue(connection, job.id, due_at=now() + wait_seconds)
            return True

    def cancelled(self, job: Job) -> bool:
        """Confirm that work on a cancelled job has stopped."""
        with self._database.write() as connection:
            if not self._still_held(connection, job):
                return False
            finish(connection, job, JobState.CANCELLED)
            return True

    def unfinished_work(self) -> set[tuple[str, str, str]]:
        """Hashes of slide, model and configuration of jobs that wait or run."""
        with self._database.read() as connection:
            return set(self._work(connection, JobState.QUEUED, JobState.RUNNING))

    def _is_any_due(self) -> bool:
        due = sa.and_(jobs.c.state == JobState.QUEUED, jobs.c.due_at <= now())
        expired = sa.and_(jobs.c.state == JobState.RUNNING, jobs.c.lease_until < now())
        with self._database.read() as connection:
            found = connection.execute(sa.select(jobs.c.id).where(sa.or_(due, expired)).limit(1))
            return found.first() is not None

    def _work(self, connection: sa.Connection, *states: JobState) -> list[tuple[str, str, str]]:
        """Hashes of slide, model and configuration of jobs in these states."""
        wanted = (
            sa.select(slides.c.sha256, jobs.c.model_sha256, jobs.c.fingerprint)
            .join(slides, slides.c.id == jobs.c.slide_id)
            .where(jobs.c.state.in_(states), slides.c.sha256.is_not(None))
        )
        return [(row[0], row[1], row[2]) for row in connection.execute(wanted)]

    def _still_held(self, connection: sa.Connection, job: Job) -> sa.RowMapping | None:
        wanted = sa.select(jobs).where(*_held(job)).with_for_update()
        return connection.execute(wanted).mappings().first()

    def _reclaim(self, connection: sa.Connection) -> None:
        """Put jobs whose worker is gone back into the queue, or give them up."""
        expired = (
            sa.select(jobs)
            .where(jobs.c.state == JobState.RUNNING, jobs.c.lease_until < now())
            .with_for_update(skip_locked=True)
        )
        for row in connection.execute(expired).mappings().all():
            advanced = row["tiles_done"] > row["claimed_at_tiles"]
            losses = 1 if advanced else row["losses"] + 1
            if row["cancel_requested"]:
                finish(connection, Job.of(row), JobState.CANCELLED)
            elif losses >= MAX_LOSSES:
                finish(
                    connection,
                    Job.of(row),
                    JobState.FAILED,
                    losses=losses,
                    problem={
                        "type": "/problems/worker-lost",
                        "title": "The workers that ran this job stopped",
                        "status": 500,
                        "detail": f"{losses} workers in a row stopped without a message or "
                        "progress; look for the system's out-of-memory messages, then retry",
                    },
                )
            else:
                wait = min(_BACKOFF_SECONDS * 2 ** (losses - 2), _MOST_BACKOFF_SECONDS)
                due_at = now() + (wait if losses > 1 else 0.0)
                requeue(connection, row["id"], losses=losses, due_at=due_at)

    def _succeed(self, connection: sa.Connection, job: Job, result: sa.RowMapping) -> None:
        # The last progress may not have been told.
        tiles = result["summary"].get("tiles")
        done = {} if tiles is None else {"tiles_done": tiles, "tiles_total": tiles}
        finish(connection, job, JobState.SUCCEEDED, result_id=result["id"], **done)


def find_result(
    connection: sa.Connection, slide_sha256: str, model_sha256: str, fingerprint: str
) -> str | None:
    """Id of the result of this very work, if there is one."""
    wanted = sa.select(results.c.id).where(
        results.c.slide_sha256 == slide_sha256,
        results.c.model_sha256 == model_sha256,
        results.c.fingerprint == fingerprint,
    )
    found: str | None = connection.execute(wanted).scalar_one_or_none()
    return found


def _held(job: Job) -> tuple[sa.ColumnElement[bool], ...]:
    """That the claim is still good: nobody claimed since, and the lease has not run out."""
    return (
        jobs.c.id == job.id,
        jobs.c.fence == job.fence,
        jobs.c.state == JobState.RUNNING,
        jobs.c.lease_until >= now(),
    )
