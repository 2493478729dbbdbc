"""Single images as the service knows them: a name, their bytes, and what a model said of them."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa

from wsi_pipeline.service.access import Access
from wsi_pipeline.service.asking import forget_questions
from wsi_pipeline.service.audit import note
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.image_files import display_key, thumbnail_key
from wsi_pipeline.service.image_labels import forget_labels, is_labelled
from wsi_pipeline.service.image_tables import image_job_items, images, questions
from wsi_pipeline.service.jobs.requests import NotThereError
from wsi_pipeline.service.question import Asked, Question, QuestionState
from wsi_pipeline.service.quota import Quota, lock_workspace

#: What is asked of a model about an image.
CLASSIFY, EXPLAIN = "classify", "explain"
PRESENT, DELETED = "ready", "deleted"


class Sort(enum.StrEnum):
    """Orders of images."""

    #: Those to look at again first, then the least certain; without an answer last.
    DOUBT = "doubt"
    NAME = "name"
    NEWEST = "newest"


class Only(enum.StrEnum):
    """Parts of a list of images."""

    REVIEW = "review"
    LABELLED = "labelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image of a workspace. Fields as in the table ``images``."""

    id: str
    workspace_id: str
    name: str
    sha256: str
    location: str
    size_bytes: int
    created_at: float

    @classmethod
    def of(cls, row: sa.RowMapping) -> Self:
        """From a row of the table."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})

    def question(self, kind: str, model: str, model_sha256: str) -> Asked:
        """What is to be asked of a model about it.

        Args:
            kind: :data:`CLASSIFY` or :data:`EXPLAIN`.
            model: Name of the package.
            model_sha256: Of the package.
        """
        facts = {"location": self.location, "sha256": self.sha256, "name": self.name}
        return Asked(kind, self.id, facts, model, model_sha256)


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """Which images are wanted, and in which order.

    Attributes:
        job_id: Only those of this job.
        model_sha256: The model whose answers count for ``sort`` and ``only``; None: no answers.
        sort: The order.
        only: A part of them.
        search: Part of the name.
    """

    job_id: str | None = None
    model_sha256: str | None = None
    sort: Sort = Sort.NAME
    only: Only | None = None
    search: str = ""


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image with what the model said of it; None where it was not asked."""

    image: StoredImage
    question: Question | None


class ImageStore:
    """What is known of images; each call sees the caller's workspace only.

    Args:
        database: Holds it.
        quota_bytes: Most bytes of a workspace, slides and images together; 0 for no limit.
    """

    def __init__(self, database: Database, quota_bytes: int) -> None:
        self._database = database
        self._quota = Quota(quota_bytes)

    def find(self, access: Access, name: str, sha256: str) -> StoredImage | None:
        """The image of this name with these bytes, if there is one."""
        with self._database.read() as connection:
            return _find(connection, access, name, sha256)

    def add(self, access: Access, image: StoredImage) -> tuple[StoredImage, bool]:
        """Keep an image whose bytes lie at its location.

        Returns:
            The image, and whether it is new: the same bytes under the same name are the image
            that is there.

        Raises:
            TooLargeError: the workspace has no room for it.
        """
        with self._database.write() as connection:
            # Of two that bring the same at once, the second waits here and finds the first.
            lock_workspace(connection, access.workspace_id)
            found = _find(connection, access, image.name, image.sha256)
            if found is not None:
                return found, False
            self._quota.make_room(connection, access.workspace_id, image.size_bytes)
            values = {name: getattr(image, name) for name in StoredImage.__dataclass_fields__}
            values |= {"state": PRESENT, "created_at": now(), "created_by": access.key_id}
            row = connection.execute(images.insert().values(**values).returning(images))
            made = StoredImage.of(row.mappings().one())
            facts = {"bytes": image.size_bytes, "sha256": image.sha256}
            note(connection, access, "image.create", image.id, **facts)
            return made, True

    def get(self, access: Access, image_id: str) -> StoredImage:
        """One image.

        Raises:
            NotThereError: there is none.
        """
        with self._database.read() as connection:
            return find_images(connection, access, [image_id])[0]

    def answered(self, access: Access, image_id: str, model_sha256: str | None) -> ListedImage:
        """One image with what a model said of it.

        Raises:
            NotThereError: there is none.
        """
        with self._database.read() as connection:
            (image,) = find_images(connection, access, [image_id])
            wanted = sa.select(questions).where(
                questions.c.subject == image_id, _is_answer_of(access, model_sha256)
            )
            row = connection.execute(wanted).mappings().first()
            return ListedImage(image, None if row is None else Question.of(row))

    def delete(self, access: Access, image_id: str) -> list[str]:
        """Take an image away, with its labels and with what was asked about it.

        Returns:
            Keys of what is to be removed from storage.

        Raises:
            NotThereError: there is none.
        """
        with self._database.write() as connection:
            (image,) = find_images(connection, access, [image_id], lock=True)
            connection.execute(
                images.update().where(images.c.id == image_id).values(state=DELETED, name="")
            )
            items = image_job_items.c.image_id == image_id
            connection.execute(image_job_items.delete().where(items))
            forget_labels(connection, image_id)
            pictures = forget_questions(connection, access, image_id)
            note(connection, access, "image.delete", image_id)
        at = image.location
        return [at, thumbnail_key(at), display_key(at), *pictures]

    def list(
        self, access: Access, query: ImageQuery, *, offset: int = 0, limit: int = 100
    ) -> tuple[list[ListedImage], int]:
        """Images, and how many there are in all."""
        joined = images.outerjoin(
            questions,
            (questions.c.subject == images.c.id) & _is_answer_of(access, query.model_sha256),
        )
        where = [images.c.workspace_id == access.workspace_id, images.c.state != DELETED]
        if query.search:
            where.append(images.c.name.icontains(query.search, autoescape=True))
        if query.job_id is not None:
            of_job = sa.select(image_job_items.c.image_id).where(
                image_job_items.c.job_id == query.job_id
            )
            where.append(images.c.id.in_(of_job))
        where += _part(query.only)
        count = sa.select(sa.func.count()).select_from(joined).where(*where)
        wanted = (
            sa.select(images, questions.c.id.label("question_id"))
            .select_from(joined)
            .where(*where)
            .order_by(*_order(query.sort))
            .offset(offset)
            .limit(limit)
        )
        with self._database.read() as connection:
            total = connection.execute(count).scalar_one()
            rows = connection.execute(wanted).mappings().all()
            ids = [row["question_id"] for row in rows if row["question_id"] is not None]
            about = sa.select(questions).where(questions.c.id.in_(ids))
            known = {row["id"]: Question.of(row) for row in connection.execute(about).mappings()}
        return [ListedImage(StoredImage.of(r), known.get(r["question_id"])) for r in rows], total


def find_images(
    connection: sa.Connection, access: Access, image_ids: Sequence[str], *, lock: bool = False
) -> list[StoredImage]:
    """Images of the caller's workspace, in the order of their ids.

    With ``lock`` nobody else changes them until the transaction ends.

    Raises:
        NotThereError: one of them is not there.
    """
    found: dict[str, StoredImage] = {}
    wanted = sa.select(images).where(
        images.c.workspace_id == access.workspace_id,
        images.c.state != DELETED,
        images.c.id.in_(image_ids),
    )
    if lock:
        # In one order, so that two who lock the same do not wait for each other.
        wanted = wanted.order_by(images.c.id).with_for_update()
    for row in connection.execute(wanted).mappings():
        found[row["id"]] = StoredImage.of(row)
    absent = next((one for one in image_ids if one not in found), None)
    if absent is not None:
        raise NotThereError(f"there is no image {absent}")
    return [found[one] for one in image_ids]


def _find(connection: sa.Connection, access: Access, name: str, sha256: str) -> StoredImage | None:
    wanted = sa.select(images).where(
        images.c.workspace_id == access.workspace_id,
        images.c.name == name,
        images.c.sha256 == sha256,
        images.c.state != DELETED,
    )
    row = connection.execute(wanted).mappings().first()
    return None if row is None else StoredImage.of(row)


def _is_answer_of(access: Access, model_sha256: str | None) -> sa.ColumnElement[bool]:
    """Questions by which images are classified; none at all where no model is named."""
    if model_sha256 is None:
        return sa.false()
    return (
        (questions.c.workspace_id == access.workspace_id)
        & (questions.c.kind == CLASSIFY)
        & (questions.c.model_sha256 == model_sha256)
    )


def _part(only: Only | None) -> list[sa.ColumnElement[bool]]:
    match only:
        case Only.REVIEW:
            return [questions.c.review.is_(True)]
        case Only.FAILED:
            return [questions.c.state == QuestionState.FAILED]
        case Only.LABELLED:
            return [is_labelled()]
        case None:
            return []


def _order(sort: Sort) -> list[sa.ColumnElement[Any]]:
    by_name: list[sa.ColumnElement[Any]] = [images.c.name.asc(), images.c.id.asc()]
    match sort:
        case Sort.NAME:
            return by_name
        case Sort.NEWEST:
            return [images.c.created_at.desc(), *by_name]
        case Sort.DOUBT:
            # A question that is asked again may still hold its old answer.
            answered = questions.c.state == QuestionState.ANSWERED
            place = sa.case((answered & questions.c.review.is_(True), 0), (answered, 1), else_=2)
            return [place, questions.c.doubt.desc(), *by_name]
