"""What people say an image shows, and the table of it that a training takes.

A label belongs to an image and to the user who gave it; a user is an API key, and a revoked key's
labels stay, with its name. Labels go with the image.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa

from wsi_pipeline.service.access import Access
from wsi_pipeline.service.audit import note
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.image_tables import image_job_items, image_labels, images
from wsi_pipeline.service.jobs.requests import NotThereError
from wsi_pipeline.service.tables import api_keys

#: Images asked about in one statement: SQLite takes 32,766 values.
_CHUNK = 500


class By(enum.StrEnum):
    """Whose labels are wanted."""

    ME = "me"
    EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """One user's label of an image.

    Attributes:
        image_id: Of the image.
        label: Name of a class, as it was given.
        key_id: Of the API key that gave it.
        key_name: What the key is called.
        changed_at: When it was given, s since 1970.
    """

    image_id: str
    label: str
    key_id: str
    key_name: str
    changed_at: float

    @classmethod
    def of(cls, row: sa.RowMapping) -> Self:
        """From a row of labels joined with their keys."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """An image with all labels that are wanted of it, at least one.

    Attributes:
        image_id: Of the image.
        name: As it was given, with folders.
        sha256: Of its bytes.
        location: Key of its bytes in storage.
        size_bytes: How many.
        created_at: When it came, s since 1970.
        labels: By the time they were given.
    """

    image_id: str
    name: str
    sha256: str
    location: str
    size_bytes: int
    created_at: float
    labels: tuple[GivenLabel, ...]

    @property
    def agreed(self) -> str | None:
        """What all say; None where they disagree."""
        said = {given.label for given in self.labels}
        return said.pop() if len(said) == 1 else None


class LabelStore:
    """Labels; each call sees the caller's workspace only.

    Args:
        database: Holds them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_images(self, image_ids: Sequence[str]) -> dict[str, list[GivenLabel]]:
        """All labels of images that the caller may see, by image, the oldest first."""
        found: dict[str, list[GivenLabel]] = {}
        with self._database.read() as connection:
            for start in range(0, len(image_ids), _CHUNK):
                these = image_labels.c.image_id.in_(image_ids[start : start + _CHUNK])
                for row in connection.execute(_shown().where(these)).mappings():
                    found.setdefault(row["image_id"], []).append(GivenLabel.of(row))
        return found

    def write(self, access: Access, image_id: str, label: str) -> None:
        """Give the caller's label, in place of the one before; the same again changes nothing.

        Raises:
            NotThereError: there is no such image.
        """
        mine = _mine(access, image_id)
        with self._database.write() as connection:
            _check_image(connection, access, image_id)
            before = connection.execute(
                sa.select(image_labels.c.label).where(mine)
            ).scalar_one_or_none()
            if before == label:
                return
            values: dict[str, Any] = {"label": label, "changed_at": now()}
            if before is None:
                values |= {"image_id": image_id, "key_id": access.key_id}
                connection.execute(image_labels.insert().values(**values))
            else:
                connection.execute(image_labels.update().where(mine).values(**values))
            note(connection, access, "image.label", image_id, label=label, before=before)

    def remove(self, access: Access, image_id: str) -> None:
        """Take the caller's label back, if there is one.

        Raises:
            NotThereError: there is no such image.
        """
        mine = _mine(access, image_id)
        with self._database.write() as connection:
            _check_image(connection, access, image_id)
            gone = connection.execute(
                image_labels.delete().where(mine).returning(image_labels.c.label)
            ).scalar_one_or_none()
            if gone is not None:
                note(connection, access, "image.label", image_id, label=None, before=gone)

    def table(self, access: Access, by: By, job_id: str | None = None) -> list[LabelledRow]:
        """Labelled images of the workspace, or of one job, by name.

        Args:
            access: Who asks.
            by: Whose labels are wanted.
            job_id: Only images of this job.
        """
        columns = [name for name in LabelledRow.__dataclass_fields__ if name != "labels"]
        wanted = (
            _shown()
            .join(images, images.c.id == image_labels.c.image_id)
            .add_columns(*(images.c[name] for name in columns if name != "image_id"))
            .where(images.c.workspace_id == access.workspace_id, images.c.state != "deleted")
            .order_by(None)
            .order_by(images.c.name, images.c.id, image_labels.c.changed_at, api_keys.c.id)
        )
        if by is By.ME:
            wanted = wanted.where(image_labels.c.key_id == access.key_id)
        if job_id is not None:
            of_job = sa.select(image_job_items.c.image_id).where(image_job_items.c.job_id == job_id)
            wanted = wanted.where(images.c.id.in_(of_job))
        facts: dict[str, dict[str, Any]] = {}
        given: dict[str, list[GivenLabel]] = {}
        with self._database.read() as connection:
            for row in connection.execute(wanted).mappings():
                facts.setdefault(row["image_id"], {name: row[name] for name in columns})
                given.setdefault(row["image_id"], []).append(GivenLabel.of(row))
        return [LabelledRow(**facts[one], labels=tuple(given[one])) for one in facts]


def forget_labels(connection: sa.Connection, image_id: str) -> None:
    """Remove all labels of an image that is being deleted."""
    connection.execute(image_labels.delete().where(image_labels.c.image_id == image_id))


def is_labelled() -> sa.ColumnElement[bool]:
    """Whether anybody gave a row of ``images`` a label."""
    return sa.exists().where(image_labels.c.image_id == images.c.id)


def _mine(access: Access, image_id: str) -> sa.ColumnElement[bool]:
    return (image_labels.c.image_id == image_id) & (image_labels.c.key_id == access.key_id)


def _check_image(connection: sa.Connection, access: Access, image_id: str) -> None:
    # The image is locked, so that it stays until the label is there.
    wanted = sa.select(images.c.id).where(
        images.c.id == image_id,
        images.c.workspace_id == access.workspace_id,
        images.c.state != "deleted",
    )
    if connection.execute(wanted.with_for_update()).first() is None:
        raise NotThereError(f"there is no image {image_id}")


def _shown() -> sa.Select[Any]:
    return (
        sa.select(image_labels, api_keys.c.name.label("key_name"))
        .join(api_keys, api_keys.c.id == image_labels.c.key_id)
        .order_by(image_labels.c.changed_at, api_keys.c.id)
    )
