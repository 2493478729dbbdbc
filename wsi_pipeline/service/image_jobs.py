"""Jobs over images: one model asked about many, how far it got, and an end before its time."""

import enum
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from wsi_pipeline.service.access import Access
from wsi_pipeline.service.asking import cancel_questions, insert_questions
from wsi_pipeline.service.audit import note
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.image_tables import image_job_items, image_jobs, questions
from wsi_pipeline.service.images import CLASSIFY, find_images
from wsi_pipeline.service.jobs.requests import ConflictError, KeyReusedError, NotThereError
from wsi_pipeline.service.question import QuestionState
from wsi_pipeline.service.quota import lock_workspace
from wsi_pipeline.service.tables import new_id

#: Most images of one job.
MAX_IMAGES = 5000
#: Rows of one statement.
_CHUNK = 500
_OPEN = (QuestionState.QUEUED, QuestionState.RUNNING)


class ImageJobState(enum.StrEnum):
    """States of a job over images: running → finished | cancelled."""

    RUNNING = "running"
    #: Every image has its answer, or the reason why there is none.
    FINISHED = "finished"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ImageJobRequest:
    """A job to be created.

    Attributes:
        name: Of the folder, for instance; shown to the workspace.
        model: Name of the model package.
        model_sha256: Of the package.
        image_ids: The images, none of them twice.
    """

    name: str
    model: str
    model_sha256: str
    image_ids: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Of all that makes it another request."""
        facts = [self.name, self.model, self.model_sha256, self.image_ids]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ImageJob:
    """A job and how far it got.

    Attributes:
        id: Of the job.
        name: As it was given.
        model: Name of the model package.
        model_sha256: Of the package.
        state: See :class:`ImageJobState`.
        total: Images, but for those deleted since.
        answered: Those with an answer.
        failed: Those without one, for a reason that is kept with each.
        review: Those that a person has to look at again.
        created_at: s since 1970.
    """

    id: str
    name: str
    model: str
    model_sha256: str
    state: ImageJobState
    total: int
    answered: int
    failed: int
    review: int
    created_at: float

    @classmethod
    def of(cls, row: sa.RowMapping) -> "ImageJob":
        """From a row of jobs with the counts of their questions."""
        state = ImageJobState.RUNNING if row["open"] else ImageJobState.FINISHED
        if row["cancelled_at"] is not None:
            state = ImageJobState.CANCELLED
        facts = {name: row[name] for name in cls.__dataclass_fields__ if name != "state"}
        return cls(state=state, **facts)


class ImageJobStore:
    """Jobs over images; each call sees the caller's workspace only.

    Args:
        database: Holds them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, access: Access, wanted: ImageJobRequest, idempotency_key: str | None = None
    ) -> ImageJob:
        """Ask a model about images; what it was asked before is not asked again.

        The same key and the same request again give the job of the first time.

        Raises:
            NotThereError: an image is not there.
            KeyReusedError: the key came before with another request.
        """
        with self._database.write() as connection:
            if idempotency_key is not None:
                # Two requests with one key at once: the second waits here.
                lock_workspace(connection, access.workspace_id)
                earlier = _earlier(connection, access, idempotency_key, wanted.sha256)
                if earlier is not None:
                    return _job(connection, access, earlier)
            found = find_images(connection, access, wanted.image_ids, lock=True)
            job_id = new_id()
            values = {
                "id": job_id,
                "workspace_id": access.workspace_id,
                "name": wanted.name,
                "model": wanted.model,
                "model_sha256": wanted.model_sha256,
                "idempotency_key": idempotency_key,
                "request_sha256": wanted.sha256,
                "created_at": now(),
                "created_by": access.key_id,
            }
            connection.execute(image_jobs.insert().values(**values))
            asked = [one.question(CLASSIFY, wanted.model, wanted.model_sha256) for one in found]
            ids = insert_questions(connection, access, asked)
            items = [
                {"job_id": job_id, "position": place, "image_id": image, "question_id": question}
                for place, (image, question) in enumerate(zip(wanted.image_ids, ids, strict=True))
            ]
            for start in range(0, len(items), _CHUNK):
                connection.execute(image_job_items.insert(), items[start : start + _CHUNK])
            note(connection, access, "images.job.create", job_id, images=len(items))
            return _job(connection, access, job_id)

    def get(self, access: Access, job_id: str) -> ImageJob:
        """One job.

        Raises:
            NotThereError: there is none.
        """
        with self._database.read() as connection:
            return _job(connection, access, job_id)

    def cancel(self, access: Access, job_id: str) -> ImageJob:
        """Give up what waits; what is being answered is finished, and answers stay.

        Images that another running job has, or somebody waits for, are still answered.

        Raises:
            NotThereError: there is none.
            ConflictError: it has finished.
        """
        with self._database.write() as connection:
            job = _job(connection, access, job_id)
            if job.state is ImageJobState.CANCELLED:
                return job
            if job.state is ImageJobState.FINISHED:
                raise ConflictError(f"job {job_id} has finished already")
            connection.execute(
                image_jobs.update().where(image_jobs.c.id == job_id).values(cancelled_at=now())
            )
            cancel_questions(connection, _only_of(connection, job_id))
            note(connection, access, "images.job.cancel", job_id)
            return _job(connection, access, job_id)

    def list(
        self, access: Access, *, offset: int = 0, limit: int = 50
    ) -> tuple[Sequence[ImageJob], int]:
        """Jobs, newest first, and how many there are in all."""
        mine = image_jobs.c.workspace_id == access.workspace_id
        wanted = (
            _counted()
            .where(mine)
            .order_by(image_jobs.c.created_at.desc(), image_jobs.c.id)
            .offset(offset)
            .limit(limit)
        )
        count = sa.select(sa.func.count()).select_from(image_jobs).where(mine)
        with self._database.read() as connection:
            total = connection.execute(count).scalar_one()
            return [ImageJob.of(row) for row in connection.execute(wanted).mappings()], total


def _job(connection: sa.Connection, access: Access, job_id: str) -> ImageJob:
    wanted = _counted().where(
        image_jobs.c.id == job_id, image_jobs.c.workspace_id == access.workspace_id
    )
    row = connection.execute(wanted).mappings().first()
    if row is None:
        raise NotThereError(f"there is no job {job_id} over images")
    return ImageJob.of(row)


def _earlier(connection: sa.Connection, access: Access, key: str, digest: str) -> str | None:
    wanted = sa.select(image_jobs.c.id, image_jobs.c.request_sha256).where(
        image_jobs.c.workspace_id == access.workspace_id, image_jobs.c.idempotency_key == key
    )
    row = connection.execute(wanted).first()
    if row is None:
        return None
    if row.request_sha256 != digest:
        raise KeyReusedError("this Idempotency-Key came before with another request")
    return str(row.id)


def _only_of(connection: sa.Connection, job_id: str) -> list[str]:
    """Ids of the questions that no other job waits for."""
    others = image_job_items.alias()
    theirs = (
        sa.exists()
        .where(others.c.question_id == image_job_items.c.question_id, others.c.job_id != job_id)
        .where(others.c.job_id == image_jobs.c.id, image_jobs.c.cancelled_at.is_(None))
    )
    wanted = sa.select(image_job_items.c.question_id).where(
        image_job_items.c.job_id == job_id,
        image_job_items.c.question_id.is_not(None),
        ~theirs,
    )
    return [str(one) for one in connection.execute(wanted).scalars()]


def _counted() -> sa.Select[tuple[object, ...]]:
    """Jobs with the counts of their questions by state."""
    state = questions.c.state
    counts = {
        "total": image_job_items.c.image_id.is_not(None),
        "open": state.in_(_OPEN),
        "answered": state == QuestionState.ANSWERED,
        "failed": state == QuestionState.FAILED,
        "review": (state == QuestionState.ANSWERED) & questions.c.review.is_(True),
    }
    return (
        sa.select(
            image_jobs,
            *(
                sa.func.coalesce(sa.func.sum(sa.case((those, 1), else_=0)), 0).label(name)
                for name, those in counts.items()
            ),
        )
        .select_from(
            image_jobs.outerjoin(
                image_job_items, image_job_items.c.job_id == image_jobs.c.id
            ).outerjoin(questions, questions.c.id == image_job_items.c.question_id)
        )
        .group_by(image_jobs.c.id)
    )
