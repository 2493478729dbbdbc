"""What is known of files in watched folders, in the database, so that all workers agree on it.

``still_since`` is the one clock of a row: when the file last changed, or when a worker last said
that it works on it. Who moves it on from the value it read has the file to itself until it is
``still_seconds`` old again; whoever dies leaves it to the others.
"""

import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa

from wsi_pipeline.service.access import Access, Scope
from wsi_pipeline.service.audit import SYSTEM, note
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.jobs.job import JobState
from wsi_pipeline.service.jobs.requests import JobRequest, JobRequests
from wsi_pipeline.service.keys import workspace_id
from wsi_pipeline.service.slides import LINKED, SlideState, insert_slide
from wsi_pipeline.service.tables import jobs, results, slides, watched_files
from wsi_pipeline.service.text import shown

#: Ends the names of files that say why a slide has no result.
FAILURE_SUFFIX = ".error.json"
#: The actor in the audit log.
_WATCH = "watch"
#: As ``still_since``: nobody works on the file.
_FREE = 0.0


@dataclass(frozen=True, slots=True)
class Look:
    """What a file looks like from outside; it is another file when this changes.

    Attributes:
        size_bytes: Of all files of the slide.
        modified_at: The latest of their times of change, s since 1970, by their file system.
    """

    size_bytes: int
    modified_at: float


@dataclass(frozen=True, slots=True)
class WatchedFile:
    """One row; see the table ``watched_files``."""

    path: str
    look: Look
    still_since: float
    slide_id: str | None

    @classmethod
    def of(cls, row: sa.RowMapping) -> Self:
        """From a row of the table."""
        look = Look(row["size_bytes"], row["modified_at"])
        return cls(row["path"], look, row["still_since"], row["slide_id"])


@dataclass(frozen=True, slots=True)
class Ended:
    """A file whose analysis is over and has not been told of beside it.

    Attributes:
        job_id: None where the slide did not pass its check.
        location: Key of the result in storage; None if there is none.
        problem: Why there is none.
    """

    file: WatchedFile
    job_id: str | None
    location: str | None
    problem: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Checked:
    """A slide that passed its check: its hash, and its facts without paths."""

    sha256: str
    info: dict[str, Any]


class WatchedFiles:
    """The rows of all watched folders.

    Args:
        database: Holds them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._requests = JobRequests(database)

    def below(self, folder: Path) -> dict[str, WatchedFile]:
        """Files known in a folder and below it, by their paths."""
        wanted = sa.select(watched_files).where(_below(folder))
        with self._database.read() as connection:
            rows = connection.execute(wanted).mappings()
            return {row["path"]: WatchedFile.of(row) for row in rows}

    def still(self, folder: Path, seconds: float) -> list[WatchedFile]:
        """Files that wait to be queued, have not changed for so long, and nobody works on."""
        wanted = (
            sa.select(watched_files)
            .where(
                _below(folder),
                watched_files.c.slide_id.is_(None),
                watched_files.c.still_since <= now() - seconds,
            )
            .order_by(watched_files.c.still_since, watched_files.c.path)
        )
        with self._database.read() as connection:
            return [WatchedFile.of(row) for row in connection.execute(wanted).mappings()]

    def saw(self, path: str, look: Look) -> None:
        """A file is new, or looks otherwise than it did: it is to be queued when it rests."""
        values: dict[str, Any] = {"size_bytes": look.size_bytes, "modified_at": look.modified_at}
        changed = sa.or_(
            watched_files.c.size_bytes != look.size_bytes,
            watched_files.c.modified_at != look.modified_at,
        )
        fresh = {"still_since": now(), "slide_id": None, "job_id": None, "delivered": None}
        try:
            with self._database.write() as connection:
                known = sa.select(watched_files.c.path).where(watched_files.c.path == path)
                if connection.execute(known).first() is None:
                    connection.execute(watched_files.insert().values(path=path, **values, **fresh))
                else:
                    connection.execute(
                        watched_files.update()
                        .where(watched_files.c.path == path, changed)
                        .values(**values, **fresh)
                    )
        except sa.exc.IntegrityError:
            return  # another worker saw it a moment ago

    def gone(self, file: WatchedFile) -> None:
        """A file went away before it was queued."""
        with self._database.write() as connection:
            connection.execute(watched_files.delete().where(*_as_read(file)))

    def take(self, file: WatchedFile) -> WatchedFile | None:
        """Say that this worker works on a file, or goes on doing so; None if another one does."""
        with self._database.write() as connection:
            taken = connection.execute(
                watched_files.update()
                .where(*_as_read(file))
                .values(still_since=now())
                .returning(watched_files)
            )
            row = taken.mappings().first()
            return None if row is None else WatchedFile.of(row)

    def queue(
        self, file: WatchedFile, workspace: str, request: JobRequest, checked: Checked
    ) -> str | None:
        """Make the slide and its job, once; returns the job's id, None if it was done already.

        Args:
            file: As it was taken; if it has changed since, nothing happens.
            workspace: Name of the slide's and the job's; it is made if new.
            request: The job; its slide is filled in.
            checked: What the check found.
        """
        with self._database.write() as connection:
            if not self._unqueued(connection, file):
                return None
            actor = _actor(connection, workspace)
            slide_id = self._slide(connection, file, actor, checked)
            wanted = [replace(request, slide_id=slide_id)]
            job = self._requests.create_in(connection, actor, wanted)[0]
            self._settle(connection, file, slide_id, job.id)
            return job.id

    def reject(self, file: WatchedFile, workspace: str, problem: dict[str, Any]) -> None:
        """Keep that a file did not pass its check; it is looked at again when it changes."""
        with self._database.write() as connection:
            if not self._unqueued(connection, file):
                return
            values = {"state": SlideState.REJECTED, "problem": problem}
            actor = _actor(connection, workspace)
            slide_id = self._insert(connection, file, actor, values)
            self._settle(connection, file, slide_id, None)

    def ended(self, folder: Path, seconds: float) -> list[Ended]:
        """Files of a folder whose outcome is to be told beside them, and nobody works on."""
        over = jobs.c.state.in_([state for state in JobState if state.is_final])
        rejected = jobs.c.id.is_(None) & (slides.c.state == SlideState.REJECTED)
        untold = watched_files.c.delivered.is_(None) & sa.or_(over, rejected)
        # A job that failed, was told of, and was then retried by hand.
        mended = watched_files.c.delivered.endswith(FAILURE_SUFFIX) & (
            jobs.c.state == JobState.SUCCEEDED
        )
        wanted = (
            sa.select(
                watched_files,
                jobs.c.state.label("job_state"),
                sa.func.coalesce(jobs.c.problem, slides.c.problem).label("problem"),
                results.c.location,
            )
            .join(slides, slides.c.id == watched_files.c.slide_id)
            .join(jobs, jobs.c.id == watched_files.c.job_id, isouter=True)
            .join(results, results.c.id == jobs.c.result_id, isouter=True)
            .where(_below(folder), watched_files.c.still_since <= now() - seconds, untold | mended)
            .order_by(watched_files.c.path)
        )
        with self._database.read() as connection:
            return [_ended(row) for row in connection.execute(wanted).mappings()]

    def delivered(self, held: WatchedFile, where: Path) -> None:
        """The outcome lies beside the file, or where it belongs."""
        with self._database.write() as connection:
            connection.execute(
                watched_files.update()
                .where(*_as_read(held), watched_files.c.slide_id == held.slide_id)
                .values(delivered=str(where))
            )

    def _unqueued(self, connection: sa.Connection, file: WatchedFile) -> bool:
        wanted = sa.select(watched_files.c.path).where(
            *_as_read(file), watched_files.c.slide_id.is_(None)
        )
        return connection.execute(wanted.with_for_update()).first() is not None

    def _slide(
        self, connection: sa.Connection, file: WatchedFile, actor: Access, checked: Checked
    ) -> str:
        """The slide at this path with these bytes: one that is there, or a new one."""
        location = LINKED + file.path
        wanted = sa.select(slides.c.id).where(
            slides.c.workspace_id == actor.workspace_id,
            slides.c.location == location,
            slides.c.sha256 == checked.sha256,
            slides.c.state == SlideState.READY,
        )
        known: str | None = connection.execute(wanted.limit(1)).scalar_one_or_none()
        if known is not None:
            return known  # the file was touched, or copied over itself
        return self._insert(
            connection,
            file,
            actor,
            {
                "state": SlideState.READY,
                "location": location,
                "sha256": checked.sha256,
                "info": checked.info,
            },
        )

    def _insert(
        self, connection: sa.Connection, file: WatchedFile, actor: Access, values: dict[str, Any]
    ) -> str:
        # One that no slide can have was refused; then it is only to be recognised.
        name = shown(unicodedata.normalize("NFC", Path(file.path).name))
        slide = insert_slide(connection, actor, name, file.path, file.look.size_bytes)
        # Checked before it was made, here, where the file can be read: the API's host may not
        # see it at all.
        connection.execute(
            slides.update()
            .where(slides.c.id == slide.id)
            .values(source=None, checked_at=now(), **values)
        )
        note(connection, SYSTEM, f"slide.{values['state']}", slide.id)
        return slide.id

    def _settle(
        self, connection: sa.Connection, file: WatchedFile, slide_id: str, job_id: str | None
    ) -> None:
        connection.execute(
            watched_files.update()
            .where(watched_files.c.path == file.path)
            .values(slide_id=slide_id, job_id=job_id, delivered=None, still_since=_FREE)
        )


def _actor(connection: sa.Connection, workspace: str) -> Access:
    return Access(workspace_id(connection, workspace), _WATCH, Scope.SUBMIT)


def _below(folder: Path) -> sa.ColumnElement[bool]:
    return watched_files.c.path.startswith(f"{folder}/", autoescape=True)


def _as_read(file: WatchedFile) -> tuple[sa.ColumnElement[bool], ...]:
    """That nobody changed or took the row since it was read."""
    return (
        watched_files.c.path == file.path,
        watched_files.c.still_since == file.still_since,
        watched_files.c.size_bytes == file.look.size_bytes,
        watched_files.c.modified_at == file.look.modified_at,
    )


def _ended(row: sa.RowMapping) -> Ended:
    problem = row["problem"]
    if row["location"] is None and problem is None:
        problem = {"title": f"The job was {row['job_state']}", "detail": "nothing was computed"}
    return Ended(WatchedFile.of(row), row["job_id"], row["location"], problem)
