"""``/v1/slides/{id}/drawings``: what people draw on slides, and its files for other programs.

Reading needs the scope ``view``, writing ``submit``; each key writes and removes its own drawings
only, an administrator's too.
"""

from datetime import datetime
from typing import Annotated, Literal, Self

import numpy as np
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from api.access import Submitter, Viewer
from api.dependencies import Services
from api.jobs.notes import NoteAuthor
from api.problems import responses
from api.schemas import kept_whole, timestamp
from api.slides.ready_slides import ready_slide
from api.slides.routes import SlideId
from wsi_pipeline.annotation.layers import DrawnArea, Stroke, compose, merged
from wsi_pipeline.annotation.shapes import Shape
from wsi_pipeline.annotation.writing import asap_text, geojson_text
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.drawings import (
    MAX_CLASS,
    MAX_COMMENT,
    MAX_POINTS,
    DrawnSlide,
    Effect,
    Sketch,
    StoredDrawing,
    Tool,
)

router = APIRouter(prefix="/v1", tags=["drawings"])

#: Beyond any slide, in level-0 px.
_FAR = 1e8
_Services = Annotated[Services, Depends(Services.of)]
DrawingId = Annotated[
    str,
    Path(pattern=r"^[0-9a-f]{32}$", description="Chosen by who draws: 32 random hex digits"),
]
Author = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9a-f]{32}$", description="Id of a key: its drawings only; else everybody's"
    ),
]
_Coordinate = Annotated[float, Field(ge=-_FAR, le=_FAR, allow_inf_nan=False)]
_Ring = Annotated[list[tuple[_Coordinate, _Coordinate]], Field(min_length=3, max_length=MAX_POINTS)]
_TEXT = {"pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"}


class DrawingOrder(BaseModel):
    """What is to be kept."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    effect: Annotated[Effect, Field(description="Whether the area is added or erased")] = Effect.ADD
    tool: Annotated[
        Tool, Field(description="With what it was drawn; model: a region that a model found")
    ] = Tool.POLYGON
    class_name: Annotated[
        str,
        Field(
            max_length=MAX_CLASS,
            json_schema_extra=_TEXT,
            description="Class of the area; empty of an erasure: from every class",
        ),
        AfterValidator(kept_whole),
    ] = ""
    comment: Annotated[
        str,
        Field(
            max_length=MAX_COMMENT,
            json_schema_extra=_TEXT,
            description="Free text, shown to the workspace; blanks around it are dropped",
        ),
        AfterValidator(kept_whole),
    ] = ""
    rings: Annotated[
        list[_Ring],
        Field(
            min_length=1,
            max_length=1000,
            description="An outline, then its holes: x, y in level-0 px, not closed",
        ),
    ]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.effect is Effect.ADD and not self.class_name:
            raise ValueError("an area has a class; only an erasure may leave class_name empty")
        points = sum(len(ring) for ring in self.rings)
        if points > MAX_POINTS:
            raise ValueError(f"it has {points:,} points; {MAX_POINTS:,} at most")
        return self

    def sketch(self) -> Sketch:
        """As the store takes it."""
        rings = tuple(tuple(ring) for ring in self.rings)
        return Sketch(self.effect, self.tool, self.class_name, self.comment, rings)


class DrawingOut(BaseModel):
    """One user's drawing."""

    id: str
    number: Annotated[int, Field(description="Place among those of its user on the slide")]
    effect: Effect
    tool: Tool
    class_name: str
    comment: str
    rings: Annotated[list[list[tuple[float, float]]], Field(description="x, y in level-0 px")]
    author: NoteAuthor
    mine: Annotated[bool, Field(description="Drawn with the key of this request")]
    changed_at: datetime

    @classmethod
    def of(cls, drawing: StoredDrawing, access: Access) -> Self:
        """From the store's, as the caller sees it."""
        sketch = drawing.sketch
        return cls(
            id=drawing.id,
            number=drawing.number,
            effect=sketch.effect,
            tool=sketch.tool,
            class_name=sketch.class_name,
            comment=sketch.comment,
            rings=[list(ring) for ring in sketch.rings],
            author=NoteAuthor(key_id=drawing.key_id, name=drawing.key_name),
            mine=drawing.key_id == access.key_id,
            changed_at=timestamp(drawing.changed_at),
        )


class DrawingList(BaseModel):
    """Drawings on a slide, by user, then in the order in which each drew."""

    drawings: list[DrawingOut]


class DrawnSlideOut(BaseModel):
    """A slide with drawings on it."""

    slide_id: str
    name: str
    sha256: str | None
    drawings: int
    authors: Annotated[int, Field(description="How many users drew them")]
    changed_at: datetime

    @classmethod
    def of(cls, slide: DrawnSlide) -> Self:
        """From the store's."""
        return cls(
            slide_id=slide.slide_id,
            name=slide.name,
            sha256=slide.sha256,
            drawings=slide.drawings,
            authors=slide.authors,
            changed_at=timestamp(slide.changed_at),
        )


class DrawnSlideList(BaseModel):
    """The workspace's slides with drawings on them, by name."""

    slides: list[DrawnSlideOut]


@router.get("/drawings", responses=responses())
def list_drawn_slides(access: Viewer, services: _Services) -> DrawnSlideList:
    """The workspace's slides that have drawings."""
    found = services.drawings.drawn_slides(access)
    return DrawnSlideList(slides=[DrawnSlideOut.of(slide) for slide in found])


@router.get("/slides/{slide_id}/drawings", responses=responses(404, 422))
def list_drawings(
    slide_id: SlideId, access: Viewer, services: _Services, author: Author = None
) -> DrawingList:
    """All drawings of the workspace on a slide, or one user's."""
    found = services.drawings.on_slide(access, slide_id, author)
    return DrawingList(drawings=[DrawingOut.of(one, access) for one in found])


@router.put("/slides/{slide_id}/drawings/{drawing_id}", responses=responses(404, 409, 422))
def write_drawing(
    slide_id: SlideId,
    drawing_id: DrawingId,
    order: DrawingOrder,
    access: Submitter,
    services: _Services,
) -> DrawingOut:
    """Write a drawing of the caller's, in place of the one of this id; the same changes nothing."""
    written = services.drawings.write(access, slide_id, drawing_id, order.sketch())
    return DrawingOut.of(written, access)


@router.delete(
    "/slides/{slide_id}/drawings/{drawing_id}", status_code=204, responses=responses(404, 422)
)
def delete_drawing(
    slide_id: SlideId, drawing_id: DrawingId, access: Submitter, services: _Services
) -> None:
    """Remove a drawing of the caller's; it is no error if there is none."""
    services.drawings.remove(access, slide_id, drawing_id)


_FILES = {
    "geojson": ("application/geo+json", geojson_text),
    "xml": ("application/xml", asap_text),
}


@router.get(
    "/slides/{slide_id}/drawings.{ending}",
    responses={
        200: {
            "description": "The file",
            "content": {kind: {} for kind, _ in _FILES.values()},
        },
        **responses(404, 409, 422),
    },
    response_class=Response,
)
def get_drawings_file(
    slide_id: SlideId,
    ending: Annotated[
        Literal["geojson", "xml"], Path(description="QuPath's GeoJSON, or ASAP's XML")
    ],
    access: Viewer,
    services: _Services,
    author: Author = None,
) -> Response:
    """What the drawings on a slide come to, for QuPath or ASAP, in level-0 px.

    Each user's drawings are put together in their order, erasures too; then the areas of all users
    are joined. ASAP has no holes: areas with holes are cut into pieces without.
    """
    kind, write = _FILES[ending]
    areas = _areas(slide_id, access, services, author)
    headers = {"Cache-Control": "no-cache"}
    return Response(write(areas).encode(), media_type=kind, headers=headers)


def _areas(
    slide_id: str, access: Access, services: Services, author: str | None
) -> list[DrawnArea]:
    info = ready_slide(services.slides, access, slide_id).info
    assert info is not None, "a ready slide has one"
    size = info["levels"][0]["size"]
    users: dict[str, list[Stroke]] = {}
    for one in services.drawings.on_slide(access, slide_id, author):
        users.setdefault(one.key_id, []).append(_stroke(one))
    return merged(compose(strokes, size["width"], size["height"]) for strokes in users.values())


def _stroke(one: StoredDrawing) -> Stroke:
    sketch = one.sketch
    rings = tuple(np.array(ring, np.float64) for ring in sketch.rings)
    shape = Shape(sketch.class_name, f"drawing {one.id}", rings)
    return Stroke(shape, sketch.effect is Effect.ERASE, sketch.comment)
