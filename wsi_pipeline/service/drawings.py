"""What people draw on slides: areas of a class, and erasures of what was drawn before.

A drawing belongs to a slide and to the user who drew it; a user is an API key, and a revoked key's
drawings stay, with its name. Drawings go with the slide. Each user's are kept in their order: an
erasure takes from what the same user drew before it, and from nobody else's.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa

from wsi_pipeline.service.access import Access
from wsi_pipeline.service.audit import note as audit_line
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.jobs.requests import ConflictError, NotThereError
from wsi_pipeline.service.tables import api_keys, drawings, slides

#: Characters of a comment and of a class's name.
MAX_COMMENT, MAX_CLASS = 2000, 200
#: Drawings of one user on one slide.
MAX_DRAWINGS = 2000
#: Points of one drawing, all rings together.
MAX_POINTS = 20_000

Ring = Sequence[tuple[float, float]]
"""x, y in level-0 px; px edges lie at whole numbers. Not closed."""


class Effect(enum.StrEnum):
    """What a drawing does with its area."""

    ADD = "add"
    ERASE = "erase"


class Tool(enum.StrEnum):
    """With what it was drawn: of ``model`` the outline is a region that a model found."""

    POLYGON = "polygon"
    RECTANGLE = "rectangle"
    BRUSH = "brush"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is drawn, without who and when.

    Attributes:
        effect: Whether the area is added or erased.
        tool: With what it was drawn.
        class_name: Of the area; empty of an erasure: from every class.
        comment: Free text.
        rings: An outline, then its holes.
    """

    effect: Effect
    tool: Tool
    class_name: str
    comment: str
    rings: tuple[Ring, ...]


@dataclass(frozen=True, slots=True)
class StoredDrawing:
    """One user's drawing on a slide.

    Attributes:
        id: 32 hex digits.
        number: Place among those of the user on the slide, from 1.
        sketch: What is drawn.
        key_id: Of the API key that drew it.
        key_name: What the key is called.
        changed_at: When it was written as it is, s since 1970.
    """

    id: str
    number: int
    sketch: Sketch
    key_id: str
    key_name: str
    changed_at: float

    @classmethod
    def of(cls, row: sa.RowMapping) -> Self:
        """From a row of drawings joined with their keys."""
        rings = tuple(tuple((x, y) for x, y in ring) for ring in row["rings"])
        sketch = Sketch(
            Effect(row["effect"]), Tool(row["tool"]), row["class_name"], row["comment"], rings
        )
        facts = {name: row[name] for name in ("id", "number", "key_id", "key_name", "changed_at")}
        return cls(sketch=sketch, **facts)


@dataclass(frozen=True, slots=True)
class DrawnSlide:
    """A slide with drawings on it.

    Attributes:
        slide_id: Of the slide.
        name: What the slide is called.
        sha256: Of its bytes; None while they are checked.
        drawings: How many there are.
        authors: How many users drew them.
        changed_at: When the last was written, s since 1970.
    """

    slide_id: str
    name: str
    sha256: str | None
    drawings: int
    authors: int
    changed_at: float


class DrawingStore:
    """Drawings; each call sees the caller's workspace only.

    Args:
        database: Holds them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def on_slide(
        self, access: Access, slide_id: str, author: str | None = None
    ) -> list[StoredDrawing]:
        """All on a slide, by user, then in the order in which each drew.

        Args:
            access: Who asks.
            slide_id: Of the slide.
            author: Id of the key whose drawings are wanted; None: everybody's.

        Raises:
            NotThereError: there is no such slide.
        """
        with self._database.read() as connection:
            _check_slide(connection, access, slide_id)
            wanted = _shown().where(drawings.c.slide_id == slide_id)
            if author is not None:
                wanted = wanted.where(drawings.c.key_id == author)
            wanted = wanted.order_by(drawings.c.key_id, drawings.c.number)
            return [StoredDrawing.of(row) for row in connection.execute(wanted).mappings()]

    def drawn_slides(self, access: Access) -> list[DrawnSlide]:
        """The workspace's slides that have drawings, by name."""
        wanted = (
            sa.select(
                slides.c.id.label("slide_id"),
                slides.c.name,
                slides.c.sha256,
                sa.func.count().label("drawings"),
                sa.func.count(drawings.c.key_id.distinct()).label("authors"),
                sa.func.max(drawings.c.changed_at).label("changed_at"),
            )
            .join(drawings, drawings.c.slide_id == slides.c.id)
            .where(slides.c.workspace_id == access.workspace_id, slides.c.state != "deleted")
            .group_by(slides.c.id, slides.c.name, slides.c.sha256)
            .order_by(slides.c.name, slides.c.id)
        )
        with self._database.read() as connection:
            return [DrawnSlide(**row) for row in connection.execute(wanted).mappings()]

    def write(
        self, access: Access, slide_id: str, drawing_id: str, sketch: Sketch
    ) -> StoredDrawing:
        """Write a drawing of the caller's, in place of the one of this id.

        The same again changes nothing, not its time either; another one keeps its place.

        Raises:
            NotThereError: there is no such slide.
            ConflictError: the id is of another user's drawing, or of one on another slide, or the
                caller has too many drawings on the slide.
        """
        values: dict[str, Any] = {
            "effect": sketch.effect,
            "tool": sketch.tool,
            "class_name": sketch.class_name,
            "comment": sketch.comment,
            "rings": [[list(point) for point in ring] for ring in sketch.rings],
        }
        this = drawings.c.id == drawing_id
        with self._database.write() as connection:
            # The slide is locked, so that numbers are given one by one, and it stays till then.
            _check_slide(connection, access, slide_id, lock=True)
            found = connection.execute(_shown().where(this)).mappings().first()
            if found is not None:
                if (found["slide_id"], found["key_id"]) != (slide_id, access.key_id):
                    raise ConflictError(f"drawing {drawing_id} is another one; choose another id")
                if StoredDrawing.of(found).sketch == sketch:
                    return StoredDrawing.of(found)
                changed = drawings.update().where(this).values(**values, changed_at=now())
                connection.execute(changed)
            else:
                values |= {"id": drawing_id, "slide_id": slide_id, "key_id": access.key_id}
                values["number"] = _next_number(connection, access, slide_id)
                connection.execute(drawings.insert().values(**values, changed_at=now()))
            row = connection.execute(_shown().where(this)).mappings().one()
            facts = {"drawing": drawing_id, "effect": sketch.effect, "tool": sketch.tool}
            audit_line(connection, access, "drawing.write", slide_id, **facts)
            return StoredDrawing.of(row)

    def remove(self, access: Access, slide_id: str, drawing_id: str) -> None:
        """Remove a drawing of the caller's, if there is one of this id.

        Raises:
            NotThereError: there is no such slide.
        """
        mine = (drawings.c.slide_id == slide_id) & (drawings.c.key_id == access.key_id)
        with self._database.write() as connection:
            _check_slide(connection, access, slide_id, lock=True)
            gone = connection.execute(drawings.delete().where(mine, drawings.c.id == drawing_id))
            if gone.rowcount:
                audit_line(connection, access, "drawing.delete", slide_id, drawing=drawing_id)


def forget_drawings(connection: sa.Connection, slide_id: str) -> None:
    """Remove all drawings on a slide that is being deleted."""
    connection.execute(drawings.delete().where(drawings.c.slide_id == slide_id))


def _check_slide(
    connection: sa.Connection, access: Access, slide_id: str, *, lock: bool = False
) -> None:
    wanted = sa.select(slides.c.id).where(
        slides.c.id == slide_id,
        slides.c.workspace_id == access.workspace_id,
        slides.c.state != "deleted",
    )
    if connection.execute(wanted.with_for_update() if lock else wanted).first() is None:
        raise NotThereError(f"there is no slide {slide_id}")


def _next_number(connection: sa.Connection, access: Access, slide_id: str) -> int:
    mine = (drawings.c.slide_id == slide_id) & (drawings.c.key_id == access.key_id)
    wanted = sa.select(sa.func.count(), sa.func.max(drawings.c.number)).where(mine)
    count, last = connection.execute(wanted).one()
    if count >= MAX_DRAWINGS:
        raise ConflictError(f"one key has at most {MAX_DRAWINGS:,} drawings on one slide")
    return int(last or 0) + 1


def _shown() -> sa.Select[Any]:
    return sa.select(drawings, api_keys.c.name.label("key_name")).join(
        api_keys, api_keys.c.id == drawings.c.key_id
    )
