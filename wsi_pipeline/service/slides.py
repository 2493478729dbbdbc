"""Slides as the service knows them: a name, a state, and where the bytes lie."""

import enum
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa

from wsi_pipeline.service.access import Access
from wsi_pipeline.service.asking import forget_tiles
from wsi_pipeline.service.audit import SYSTEM, note
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.drawings import forget_drawings
from wsi_pipeline.service.jobs.job import Job, JobState
from wsi_pipeline.service.jobs.requests import ConflictError, NotThereError
from wsi_pipeline.service.jobs.transitions import tell
from wsi_pipeline.service.tables import jobs, new_id, slides

#: Begins the location of a slide that is used where it lies.
LINKED = "file:"


class SlideState(enum.StrEnum):
    """States of a slide: checking → ready | rejected, and deleted from any."""

    #: All bytes are here; they are hashed and tried in a child process.
    CHECKING = "checking"
    #: Can be shown and analysed.
    READY = "ready"
    #: Is no slide, or a damaged one; its bytes are gone, the reason is kept.
    REJECTED = "rejected"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Slide:
    """One slide of a workspace. Fields as in the table ``slides``."""

    id: str
    workspace_id: str
    name: str
    state: SlideState
    problem: dict[str, Any] | None
    source: str | None
    location: str | None
    size_bytes: int | None
    sha256: str | None
    info: dict[str, Any] | None
    created_at: float
    created_by: str | None

    @classmethod
    def of(cls, row: sa.RowMapping) -> Self:
        """From a row of the table."""
        facts = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**{**facts, "state": SlideState(row["state"])})


class SlideStore:
    """What is known of slides.

    Args:
        database: Holds it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, actor: Access, name: str, source: str, size_bytes: int) -> Slide:
        """A slide whose bytes are all at ``source``, to be checked."""
        with self._database.write() as connection:
            return insert_slide(connection, actor, name, source, size_bytes)

    def get(self, access: Access, slide_id: str) -> Slide:
        """One slide of the caller's workspace.

        Raises:
            NotThereError: there is none.
        """
        with self._database.read() as connection:
            return self._slide(connection, access, slide_id)

    def checking(self) -> list[Slide]:
        """Slides that wait to be checked, oldest first, of all workspaces."""
        wanted = (
            sa.select(slides)
            .where(slides.c.state == SlideState.CHECKING)
            .order_by(slides.c.created_at)
        )
        with self._database.read() as connection:
            return [Slide.of(row) for row in connection.execute(wanted).mappings()]

    def accept(
        self,
        slide_id: str,
        *,
        location: str,
        sha256: str,
        info: dict[str, Any],
        size_bytes: int | None = None,
        shared: bool = False,
    ) -> bool:
        """A slide passed its check and lies at ``location``.

        Args:
            slide_id: The slide.
            location: Key in storage, or ``file:`` and a path.
            sha256: Of its bytes.
            info: ``SlideInfo`` as JSON, without its path.
            size_bytes: Of what is kept, if that is not what was uploaded.
            shared: The location is another slide's: accept only if that one is still there, which
                its deletion and this must agree on.

        Returns:
            False if nothing changed: the slide was deleted meanwhile, checked by another process,
            or there is no other slide to share with any more.
        """
        values: dict[str, Any] = {
            "state": SlideState.READY,
            "location": location,
            "sha256": sha256,
            "info": info,
            "source": None,
        }
        if size_bytes is not None:
            values["size_bytes"] = size_bytes
        return self._checked(slide_id, values, shared=shared)

    def reject(self, slide_id: str, problem: dict[str, Any]) -> bool:
        """A slide did not pass its check; jobs that waited for it fail with the reason."""
        values = {"state": SlideState.REJECTED, "problem": problem, "source": None}
        return self._checked(slide_id, values)

    def state_of(self, slide_id: str) -> SlideState | None:
        """Where a slide of any workspace stands; None if there is none."""
        wanted = sa.select(slides.c.state).where(slides.c.id == slide_id)
        with self._database.read() as connection:
            state = connection.execute(wanted).scalar_one_or_none()
            return None if state is None else SlideState(state)

    def known(self, sha256: str) -> str | None:
        """Location of stored bytes with this hash, whoever uploaded them; None without any."""
        wanted = sa.select(slides.c.location).where(
            slides.c.sha256 == sha256,
            slides.c.state == SlideState.READY,
            slides.c.location.not_like(f"{LINKED}%"),
        )
        with self._database.read() as connection:
            found: str | None = connection.execute(wanted.limit(1)).scalar_one_or_none()
            return found

    def twin(self, workspace_id: str, sha256: str, other_than: str) -> Slide | None:
        """A ready slide of the workspace with the same bytes."""
        wanted = sa.select(slides).where(
            slides.c.workspace_id == workspace_id,
            slides.c.sha256 == sha256,
            slides.c.state == SlideState.READY,
            slides.c.id != other_than,
        )
        with self._database.read() as connection:
            row = connection.execute(wanted.limit(1)).mappings().first()
            return None if row is None else Slide.of(row)

    def delete(self, access: Access, slide_id: str) -> str | None:
        """Take a slide away; returns its location if no other slide has the same bytes.

        Raises:
            NotThereError: there is none.
            ConflictError: a job of it waits or runs.
        """
        with self._database.write() as connection:
            slide = self._slide(connection, access, slide_id)
            busy = sa.select(jobs.c.id).where(
                jobs.c.slide_id == slide_id,
                jobs.c.state.in_([JobState.QUEUED, JobState.RUNNING]),
            )
            if connection.execute(busy.limit(1)).first():
                raise ConflictError(f"slide {slide_id} has queued or running jobs: cancel them")
            connection.execute(
                slides.update()
                .where(slides.c.id == slide_id)
                .values(state=SlideState.DELETED, name="", info=None)
            )
            forget_drawings(connection, slide_id)
            forget_tiles(connection, slide_id)
            note(connection, access, "slide.delete", slide_id)
            if slide.location is None or slide.location.startswith(LINKED):
                return None
            others = sa.select(slides.c.id).where(
                slides.c.location == slide.location, slides.c.state != SlideState.DELETED
            )
            return None if connection.execute(others.limit(1)).first() else slide.location

    def _slide(self, connection: sa.Connection, access: Access, slide_id: str) -> Slide:
        wanted = sa.select(slides).where(
            slides.c.id == slide_id,
            slides.c.workspace_id == access.workspace_id,
            slides.c.state != SlideState.DELETED,
        )
        row = connection.execute(wanted).mappings().first()
        if row is None:
            raise NotThereError(f"there is no slide {slide_id}")
        return Slide.of(row)

    def _checked(self, slide_id: str, values: dict[str, Any], *, shared: bool = False) -> bool:
        with self._database.write() as connection:
            if shared:
                # On PostgreSQL a deletion of the other waits for this transaction, or has won.
                others = sa.select(slides.c.id).where(
                    slides.c.location == values["location"], slides.c.state == SlideState.READY
                )
                if connection.execute(others.limit(1).with_for_update()).first() is None:
                    return False
            changed = connection.execute(
                slides.update()
                .where(slides.c.id == slide_id, slides.c.state == SlideState.CHECKING)
                .values(**values, checked_at=now())
            )
            if changed.rowcount == 0:
                return False  # deleted meanwhile, or checked by another process
            if values["state"] == SlideState.REJECTED:
                self._fail_waiting(connection, slide_id, values["problem"])
            # Last: on PostgreSQL the log is locked from here on, and nothing may be waited for.
            note(connection, SYSTEM, f"slide.{values['state']}", slide_id)
            return True

    def _fail_waiting(
        self, connection: sa.Connection, slide_id: str, problem: dict[str, Any]
    ) -> None:
        failed = (
            jobs.update()
            .where(jobs.c.slide_id == slide_id, jobs.c.state == JobState.QUEUED)
            .values(state=JobState.FAILED, problem=problem, finished_at=now())
            .returning(jobs)
        )
        for row in connection.execute(failed).mappings().all():
            job = Job.of(row)
            tell(connection, job)
            if job.webhook:
                connection.execute(
                    jobs.update().where(jobs.c.id == job.id).values(webhook_due=now())
                )

    def list(
        self,
        access: Access,
        *,
        search: str = "",
        state: SlideState | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[list[Slide], int]:
        """Slides whose name contains ``search``, newest first, and how many there are in all."""
        where = [slides.c.workspace_id == access.workspace_id, slides.c.state != "deleted"]
        if search:
            where.append(slides.c.name.icontains(search, autoescape=True))
        if state is not None:
            where.append(slides.c.state == state)
        wanted = (
            sa.select(slides)
            .where(*where)
            .order_by(slides.c.created_at.desc(), slides.c.id)
            .offset(offset)
            .limit(limit)
        )
        with self._database.read() as connection:
            count = connection.execute(
                sa.select(sa.func.count()).select_from(slides).where(*where)
            ).scalar_one()
            return [Slide.of(row) for row in connection.execute(wanted).mappings()], count


def insert_slide(
    connection: sa.Connection, actor: Access, name: str, source: str, size_bytes: int
) -> Slide:
    """As :meth:`SlideStore.add`, in a transaction of the caller's."""
    values = {
        "id": new_id(),
        "workspace_id": actor.workspace_id,
        "name": name,
        "state": SlideState.CHECKING,
        "source": source,
        "size_bytes": size_bytes,
        "created_at": now(),
        "created_by": actor.key_id,
    }
    row = connection.execute(slides.insert().values(**values).returning(slides)).mappings().one()
    note(connection, actor, "slide.create", row["id"], bytes=size_bytes)
    return Slide.of(row)
