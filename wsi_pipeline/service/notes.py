"""Notes on the tumour regions of a result: one for each user and region.

A note belongs to a result within a workspace. Jobs of identical work share their result, whosever
they are: whoever opens another job of it in the same workspace sees the same notes on the same
regions, and in another workspace nobody learns of them. They go with the last job through which
the workspace sees the result. A user is an API key; a revoked key's notes stay, with its name.
"""

import enum
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa

from wsi_pipeline.service.access import Access
from wsi_pipeline.service.audit import note as audit_line
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.jobs.requests import ConflictError, NotThereError
from wsi_pipeline.service.tables import api_keys, jobs, notes, results

#: Characters of a comment.
MAX_COMMENT = 2000
#: Notes of one user on one result; nobody looks at more regions one by one.
MAX_NOTES = 1000


class Verdict(enum.StrEnum):
    """What somebody thinks of a region the model found."""

    AGREE = "agree"
    DISAGREE = "disagree"


@dataclass(frozen=True, slots=True)
class Note:
    """One user's note on one region.

    Attributes:
        region: Its number in the result, 1 is the most suspicious.
        verdict: None where there is only a comment.
        comment: Free text.
        key_id: Of the API key that wrote it.
        key_name: What the key is called.
        changed_at: When it was written as it is, s since 1970.
    """

    region: int
    verdict: Verdict | None
    comment: str
    key_id: str
    key_name: str
    changed_at: float

    @classmethod
    def of(cls, row: sa.RowMapping) -> Self:
        """From a row of notes joined with their keys."""
        facts = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**{**facts, "verdict": facts["verdict"] and Verdict(facts["verdict"])})


class NoteStore:
    """Notes; each call sees the caller's workspace only.

    Args:
        database: Holds them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_job(self, access: Access, job_id: str) -> list[Note]:
        """All of the workspace on a job's result, by region, then the oldest first.

        Raises:
            NotThereError: there is no such job.
            ConflictError: it has no result.
        """
        with self._database.read() as connection:
            result_id = _result_of(connection, access, job_id)
            wanted = (
                _shown()
                .where(_about(result_id, access))
                .order_by(notes.c.region, notes.c.changed_at, notes.c.key_id)
            )
            return [Note.of(row) for row in connection.execute(wanted).mappings()]

    def write(
        self, access: Access, job_id: str, region: int, verdict: Verdict | None, comment: str
    ) -> Note | None:
        """Write the caller's note on a region, in place of the one before.

        The same again changes nothing, not its time either. One that says nothing is removed.

        Returns:
            The note; None where it says nothing.

        Raises:
            NotThereError: there is no such job, or no such region.
            ConflictError: the job has no result, or the caller too many notes on it.
        """
        if verdict is None and not comment:
            self.remove(access, job_id, region)
            return None
        with self._database.write() as connection:
            result_id = _result_of(connection, access, job_id, region, lock=True)
            mine = _about(result_id, access) & (notes.c.key_id == access.key_id)
            of_region = mine & (notes.c.region == region)
            found = connection.execute(_shown().where(of_region)).mappings().first()
            if found is not None and (found["verdict"], found["comment"]) == (verdict, comment):
                return Note.of(found)
            values: dict[str, Any] = {"verdict": verdict, "comment": comment, "changed_at": now()}
            if found is not None:
                connection.execute(notes.update().where(of_region).values(**values))
            else:
                _check_room(connection, mine)
                values |= {"result_id": result_id, "region": region}
                values |= {"workspace_id": access.workspace_id, "key_id": access.key_id}
                connection.execute(notes.insert().values(**values))
            row = connection.execute(_shown().where(of_region)).mappings().one()
            audit_line(connection, access, "note.write", job_id, region=region, verdict=verdict)
            return Note.of(row)

    def remove(self, access: Access, job_id: str, region: int) -> None:
        """Remove the caller's note on a region, if there is one.

        Raises:
            NotThereError: there is no such job, or no such region.
            ConflictError: the job has no result.
        """
        with self._database.write() as connection:
            result_id = _result_of(connection, access, job_id, region, lock=True)
            mine = _about(result_id, access) & (notes.c.key_id == access.key_id)
            gone = connection.execute(notes.delete().where(mine & (notes.c.region == region)))
            if gone.rowcount:
                audit_line(connection, access, "note.delete", job_id, region=region)


def _result_of(
    connection: sa.Connection,
    access: Access,
    job_id: str,
    region: int | None = None,
    *,
    lock: bool = False,
) -> str:
    """The result a job's notes are about; who writes locks the job, so that it stays till then."""
    wanted = (
        sa.select(jobs.c.state, jobs.c.result_id, results.c.summary["regions"].as_integer())
        .outerjoin(results, results.c.id == jobs.c.result_id)
        .where(jobs.c.id == job_id, jobs.c.workspace_id == access.workspace_id)
    )
    row = connection.execute(wanted.with_for_update(of=jobs) if lock else wanted).first()
    if row is None:
        raise NotThereError(f"there is no job {job_id}")
    state, result_id, regions = row
    if result_id is None:
        raise ConflictError(f"job {job_id} is {state} and has no result")
    if region is not None and not 1 <= region <= (regions or 0):
        raise NotThereError(f"the result of job {job_id} has no region {region}")
    return str(result_id)


def _about(result_id: str, access: Access) -> sa.ColumnElement[bool]:
    return (notes.c.result_id == result_id) & (notes.c.workspace_id == access.workspace_id)


def _check_room(connection: sa.Connection, mine: sa.ColumnElement[bool]) -> None:
    counted = sa.select(sa.func.count()).select_from(notes).where(mine)
    if connection.execute(counted).scalar_one() >= MAX_NOTES:
        raise ConflictError(f"one key writes at most {MAX_NOTES:,} notes on one result")


def _shown() -> sa.Select[Any]:
    return sa.select(notes, api_keys.c.name.label("key_name")).join(
        api_keys, api_keys.c.id == notes.c.key_id
    )
