"""``PUT`` and ``POST /v1/slides``: a slide in one request, or by the address where it lies."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from api.access import Submitter
from api.dependencies import Services
from api.problems import INVALID, UNAVAILABLE, ApiError, responses
from api.schemas import SlideOut
from api.uploads.append import Append
from api.uploads.beginning import begin_upload, give_up
from api.uploads.checker import Checker
from api.uploads.receiver import CLIENT_LEFT, LeftError, Receiver
from api.uploads.tus import number
from wsi_pipeline.service.slides import Slide
from wsi_pipeline.service.text import MAX_NAME, check_slide_name

router = APIRouter(prefix="/v1/slides", tags=["slides"])

#: A transfer that nobody writes any more cannot be continued: its room is free again after so
#: long, seconds.
_ABANDONED_SECONDS = 600.0

_Services = Annotated[Services, Depends(Services.of)]
_LOCATION = {"Location": {"schema": {"type": "string"}}}
_MADE: dict[int | str, dict[str, Any]] = {
    201: {"description": "The slide, still to be checked", "headers": _LOCATION}
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class SlideLink(BaseModel):
    """Where a slide lies."""

    model_config = ConfigDict(extra="forbid")

    uri: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4096,
            description="`file:///path` below a configured root, or `s3://bucket/key` in a "
            "configured bucket",
        ),
    ]
    name: Annotated[
        str | None,
        Field(min_length=1, max_length=MAX_NAME, description="Default: the name of the file"),
    ] = None


@router.put(
    "",
    status_code=201,
    response_model=SlideOut,
    responses=_MADE | responses(400, 413, 422, 500, 503, 507),
    openapi_extra=_BODY,
)
async def put_slide(
    request: Request,
    access: Submitter,
    services: _Services,
    name: Annotated[str, Query(min_length=1, max_length=MAX_NAME, description="Name of the slide")],
) -> Response:
    """Upload a slide in one request, as `curl -T` does; several files of one slide as a ZIP.

    Nothing is left of a request that breaks off: use `/v1/uploads` where lines drop.
    """
    called = check_slide_name(name)
    receiver, checker = Receiver.of(request), Checker.of(request)
    stated = request.headers.get("content-length")
    length = 0 if stated is None else number(stated, "Content-Length")
    if stated is not None and length == 0:
        raise ApiError(INVALID, "the body is empty")
    lifetime = min(services.uploads.expiry_seconds, _ABANDONED_SECONDS)
    upload = await receiver.work(
        lambda: begin_upload(services, access, called, length, lifetime_seconds=lifetime)
    )
    checker.wake()
    append = Append(
        services,
        access,
        upload,
        counted=False,
        grows=stated is None,
        lifetime_seconds=lifetime,
    )
    try:
        await receiver.receive(request, append)
    except BaseException as error:
        await receiver.work(lambda: give_up(services, access, append.upload))
        if isinstance(error, LeftError):
            return Response(status_code=CLIENT_LEFT)
        raise
    slide_id = append.upload.slide_id
    assert slide_id is not None, "all bytes are there"
    slide = await receiver.work(lambda: services.slides.get(access, slide_id))
    checker.wake()
    return _made(slide)


@router.post(
    "", status_code=201, response_model=SlideOut, responses=_MADE | responses(413, 422, 503)
)
def link_slide(
    request: Request, access: Submitter, services: _Services, link: SlideLink
) -> Response:
    """Use a slide that lies in a folder or bucket the service may read.

    A file is read where it is and must stay as it is; an object is fetched and kept.
    """
    given = None if link.name is None else check_slide_name(link.name)
    try:
        found = services.links.find(link.uri)
    except OSError as error:
        raise ApiError(UNAVAILABLE, "the bucket does not answer; try again later") from error
    name = given or check_slide_name(found.name)
    if found.is_object:
        slide = services.uploads.admit(access, name, found.source, found.size_bytes)
    else:
        slide = services.slides.add(access, name, found.source, found.size_bytes)
    Checker.of(request).wake()
    return _made(slide)


def _made(slide: Slide) -> Response:
    content = SlideOut.of(slide).model_dump(mode="json")
    return JSONResponse(content, 201, {"Location": f"/v1/slides/{slide.id}"})
