"""Results as jobs see them: where the mask lies and what it says."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from wsi_pipeline.service.access import Access
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.jobs.requests import ConflictError, NotThereError
from wsi_pipeline.service.tables import jobs, results


@dataclass(frozen=True, slots=True)
class JobResult:
    """The result of a job.

    Attributes:
        id: Of the result; jobs of identical work share it, whosever they are.
        job_id: The job.
        slide_id: The slide of the job.
        location: Key of the mask store in storage; what lies there never changes.
        created_at: When it was published, s since 1970.
    """

    id: str
    job_id: str
    slide_id: str
    location: str
    created_at: float


class ResultStore:
    """What is known of results.

    Args:
        database: Holds it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_job(self, access: Access, job_id: str) -> JobResult:
        """The result of a job of the caller's workspace.

        Raises:
            NotThereError: there is no such job.
            ConflictError: it has no result, or none yet.
        """
        wanted = (
            sa.select(
                jobs.c.state,
                jobs.c.id.label("job_id"),
                jobs.c.slide_id,
                results.c.id,
                results.c.location,
                results.c.created_at,
            )
            .outerjoin(results, results.c.id == jobs.c.result_id)
            .where(jobs.c.id == job_id, jobs.c.workspace_id == access.workspace_id)
        )
        with self._database.read() as connection:
            row = connection.execute(wanted).mappings().first()
        if row is None:
            raise NotThereError(f"there is no job {job_id}")
        if row["id"] is None:
            raise ConflictError(f"job {job_id} is {row['state']} and has no result")
        return JobResult(**{name: row[name] for name in JobResult.__dataclass_fields__})

    def summary(self, result_id: str) -> dict[str, Any]:
        """What a result says: :class:`~wsi_pipeline.export.findings.Findings` as JSON.

        Raises:
            NotThereError: there is no such result.
        """
        wanted = sa.select(results.c.summary).where(results.c.id == result_id)
        with self._database.read() as connection:
            found: dict[str, Any] | None = connection.execute(wanted).scalar_one_or_none()
        if found is None:
            raise NotThereError(f"there is no result {result_id}")
        return found

    def summaries(self, result_ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """As :meth:`summary`, of many; those that are not there are left out."""
        if not result_ids:
            return {}
        wanted = sa.select(results.c.id, results.c.summary).where(results.c.id.in_(result_ids))
        with self._database.read() as connection:
            return {row.id: row.summary for row in connection.execute(wanted)}
