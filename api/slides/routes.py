"""``/v1/slides``: what is there, and what it looks like. Only px of the scan are ever served.

Label and macro images, and whatever else a file holds, have no route: pictures are encoded anew
from px of the pyramid and carry nothing but px.
"""

import hashlib
import logging
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from api.access import Administrator, Viewer
from api.dependencies import Services
from api.http.content import FOR_EVER, matches
from api.problems import NOT_FOUND, ApiError, responses
from api.schemas import LevelOut, Pixels, Resolution, SlideInfoOut, SlideOut
from api.slides.deepzoom import OVERLAP_PX, DeepZoom
from api.slides.ready_slides import ready_slide
from api.slides.region_picture import Area
from api.slides.slide_pictures import RENDERING, ImageFormat, SlidePictures
from wsi_pipeline.geometry import Size
from wsi_pipeline.service.slides import Slide, SlideState
from wsi_pipeline.service.text import check_search

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/slides", tags=["slides"])

_DAY = "private, max-age=86400"

_Services = Annotated[Services, Depends(Services.of)]
_Pictures = Annotated[SlidePictures, Depends(SlidePictures.of)]
SlideId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="Id of a slide")]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="ETags of what the client has")
]
_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "Not modified"}}


def _picture(*formats: ImageFormat) -> dict[str, dict[str, dict[str, str]]]:
    schema = {"schema": {"type": "string", "format": "binary"}}
    return {image_format.media_type: schema for image_format in formats}


class SlideList(BaseModel):
    """Slides, and how many match in all."""

    slides: list[SlideOut]
    total: int


class ZoomLevelOut(BaseModel):
    """One Deep Zoom level: its size in its px, tiles, and level-0 px per px."""

    level: int
    width: int
    height: int
    columns: int
    rows: int
    downsample: int


class PyramidOut(BaseModel):
    """What a viewer needs to place a slide's tiles; all in the slide's level-0 frame."""

    dimensions: Annotated[Pixels, Field(description="Size in level-0 px")]
    mpp: Annotated[Resolution | None, Field(description="µm per level-0 px, if stated")]
    magnification: Annotated[float | None, Field(description="Of the objective, if stated")]
    tile_size: Annotated[int, Field(description="Side of a tile in px")]
    overlap: Annotated[int, Field(description="px that neighbouring tiles share")]
    formats: Annotated[list[ImageFormat], Field(description="Endings of the tiles' names")]
    zoom_levels: Annotated[list[ZoomLevelOut], Field(description="Of Deep Zoom; coarsest first")]
    levels: Annotated[list[LevelOut], Field(description="Of the file; finest first")]


@router.get("", responses=responses(422))
def list_slides(
    access: Viewer,
    services: _Services,
    search: Annotated[str, Query(max_length=200, description="Part of the name")] = "",
    state: Annotated[SlideState | None, Query(description="Only slides in this state")] = None,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> SlideList:
    """Slides of the workspace, newest first."""
    found, total = services.slides.list(
        access, search=check_search(search), state=state, offset=offset, limit=limit
    )
    return SlideList(slides=[SlideOut.of(slide) for slide in found], total=total)


@router.get(
    "/{slide_id}.dzi",
    response_class=Response,
    responses={
        200: {"content": {"application/xml": {}}, "description": "The descriptor"},
        **responses(404, 409, 422),
    },
)
def get_descriptor(slide_id: SlideId, access: Viewer, services: _Services) -> Response:
    """The slide's Deep Zoom descriptor, which OpenSeadragon opens by its address."""
    zoom = _zoom(ready_slide(services.slides, access, slide_id))
    return Response(zoom.descriptor(ImageFormat.JPEG), media_type="application/xml")


@router.get("/{slide_id}", responses=responses(404, 422))
def get_slide(slide_id: SlideId, access: Viewer, services: _Services) -> SlideOut:
    """One slide."""
    return SlideOut.of(services.slides.get(access, slide_id))


@router.delete("/{slide_id}", status_code=204, responses=responses(404, 409, 422))
async def delete_slide(
    slide_id: SlideId, access: Administrator, services: _Services, pictures: _Pictures
) -> None:
    """Remove a slide none of whose jobs waits or runs.

    Its bytes go with the last slide that has them; a linked file stays where it lies. Results of
    its jobs stay.
    """

    def delete() -> Slide:
        slide = services.slides.get(access, slide_id)
        unused = services.slides.delete(access, slide_id)
        if unused is not None:
            try:
                services.storage.delete(unused)
            except OSError as error:
                # The slide is gone for everybody; `wsi gc` removes what is left of it.
                log.warning("a deleted slide's bytes are still there", exc_info=error)
        return slide

    pictures.forget(await run_in_threadpool(delete))


@router.get("/{slide_id}/pyramid", responses=responses(404, 409, 422))
def get_pyramid(slide_id: SlideId, access: Viewer, services: _Services) -> PyramidOut:
    """Sizes of the levels and tiles, and how long a px is."""
    slide = ready_slide(services.slides, access, slide_id)
    info, zoom = SlideInfoOut.of(slide.info or {}), _zoom(slide)
    return PyramidOut(
        dimensions=info.dimensions,
        mpp=info.mpp,
        magnification=info.objective,
        tile_size=zoom.tile,
        overlap=OVERLAP_PX,
        formats=list(ImageFormat),
        zoom_levels=[_zoom_level(zoom, level) for level in range(zoom.finest + 1)],
        levels=info.levels,
    )


@router.get(
    "/{slide_id}/thumbnail",
    response_class=Response,
    responses={
        200: {"content": _picture(*ImageFormat), "description": "The whole slide"},
        **_NOT_MODIFIED,
        **responses(404, 409, 410, 422, 503),
    },
)
async def get_thumbnail(
    slide_id: SlideId,
    access: Viewer,
    pictures: _Pictures,
    size: Annotated[int, Query(ge=16, le=2048, description="Longest side in px")] = 512,
    image_format: Annotated[ImageFormat, Query(alias="format")] = ImageFormat.JPEG,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The whole slide as one picture, never enlarged; places that cannot be read are grey."""
    slide = await pictures.known.get(access, slide_id)
    area = Area.whole(_zoom(slide).size, size)
    etag = _etag(slide, area, image_format)
    headers = {"ETag": etag, "Cache-Control": _DAY}
    if matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    picture = await pictures.get(slide, area, image_format, holes=True)
    return Response(picture, media_type=image_format.media_type, headers=headers)


@router.get(
    "/{slide_id}_files/{level}/{column}_{row}.{image_format}",
    response_class=Response,
    responses={
        200: {"content": _picture(*ImageFormat), "description": "The tile"},
        **_NOT_MODIFIED,
        **responses(404, 409, 410, 422, 503),
    },
)
async def get_tile(
    slide_id: SlideId,
    level: Annotated[int, Path(description="Zoom level; 0 is 1 × 1 px")],
    column: int,
    row: int,
    image_format: ImageFormat,
    access: Viewer,
    pictures: _Pictures,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A Deep Zoom tile.

    A tile part of which cannot be decoded is answered 422 with the problem `damaged-slide`, so
    that a viewer can mark the place; what is not there is never shown as glass.
    """
    slide = await pictures.known.get(access, slide_id)
    area = _zoom(slide).area(level, column, row)
    if area is None:
        raise ApiError(NOT_FOUND, f"slide {slide_id} has no tile ({column}, {row}) at {level}")
    etag = _etag(slide, area, image_format)
    headers = {"ETag": etag, "Cache-Control": FOR_EVER}
    if matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    tile = await pictures.get(slide, area, image_format)
    return Response(tile, media_type=image_format.media_type, headers=headers)


def _zoom(slide: Slide) -> DeepZoom:
    assert slide.info is not None  # a ready slide was looked at
    return DeepZoom(Size(**slide.info["levels"][0]["size"]))


def _zoom_level(zoom: DeepZoom, level: int) -> ZoomLevelOut:
    size, grid = zoom.level_size(level), zoom.grid(level)
    return ZoomLevelOut(
        level=level,
        width=size.width,
        height=size.height,
        columns=grid.width,
        rows=grid.height,
        downsample=zoom.downsample(level),
    )


def _etag(slide: Slide, area: Area, image_format: ImageFormat) -> str:
    """Known before the picture is made: the same px are asked for, encoded the same way."""
    text = f"{slide.sha256}|{RENDERING}|{area}|{image_format}"
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
