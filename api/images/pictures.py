"""``/v1/images/{id}/…``: an image's own bytes, and the pictures that workers make of it.

The API decodes no image: what browsers show was encoded anew by a worker.
"""

from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from starlette.concurrency import run_in_threadpool

from api.access import Viewer
from api.dependencies import Services
from api.http.content import FOR_EVER, Conditions, Content, answers, serve
from api.images.asking import ask, package_for_images
from api.images.schemas import ImageId
from api.problems import GONE, NOT_FOUND, ApiError, responses
from api.schemas import MODEL_NAME
from api.waiting import RETRY_SECONDS, wait_for_answer
from wsi_pipeline.images.picture import SUFFIXES
from wsi_pipeline.service.image_files import display_key, thumbnail_key
from wsi_pipeline.service.images import EXPLAIN
from wsi_pipeline.service.question import Question

router = APIRouter(prefix="/v1/images/{image_id}", tags=["images"])

_Services = Annotated[Services, Depends(Services.of)]
_Conditions = Annotated[Conditions, Depends()]
_JPEG, _OCTETS = "image/jpeg", "application/octet-stream"


@router.get(
    "/thumbnail",
    response_class=Response,
    responses=answers([_JPEG], "The image, at most 256 px", 404, 422),
)
def get_image_thumbnail(
    image_id: ImageId, access: Viewer, services: _Services, asked: _Conditions
) -> Response:
    """The image, small. It is there once a model was asked about the image."""
    image = services.images.get(access, image_id)
    return _stored(services, thumbnail_key(image.location), asked, f"image {image_id}")


@router.get(
    "/picture",
    response_class=Response,
    responses=answers([_JPEG], "The image, at most 1,024 px", 404, 422),
)
def get_image_picture(
    image_id: ImageId, access: Viewer, services: _Services, asked: _Conditions
) -> Response:
    """The image for a screen. It is there once a model was asked about the image."""
    image = services.images.get(access, image_id)
    return _stored(services, display_key(image.location), asked, f"image {image_id}")


@router.get(
    "/file",
    response_class=Response,
    responses=answers([_OCTETS], "The bytes as they came", 404, 410, 422),
)
def get_image_file(
    image_id: ImageId, access: Viewer, services: _Services, asked: _Conditions
) -> Response:
    """The image's file, as it came."""
    image = services.images.get(access, image_id)
    content = _content(services, image.location, f'"{image.sha256}"')
    if content is None:
        raise ApiError(GONE, f"the file of image {image_id} does not exist any more")
    suffix = PurePosixPath(image.name).suffix.lower()
    suffix = suffix if suffix in SUFFIXES else ".bin"
    # Under a name that tells nobody whose image it is.
    headers = {"Content-Disposition": f'attachment; filename="{image_id}{suffix}"'}
    return serve(asked, content, _OCTETS, headers | {"Cache-Control": FOR_EVER})


@router.get(
    "/explanation",
    response_class=Response,
    responses={
        200: {
            "content": {_JPEG: {"schema": {"type": "string", "format": "binary"}}},
            "description": "The image beside the image under the map",
        },
        202: {
            "description": "It is being drawn: ask again",
            "headers": {"Retry-After": {"schema": {"type": "integer"}}},
        },
        **responses(404, 410, 422, 500),
    },
)
async def get_image_explanation(
    image_id: ImageId,
    access: Viewer,
    services: _Services,
    model: Annotated[
        str, Query(pattern=MODEL_NAME, max_length=200, description="Name of the model package")
    ],
) -> Response:
    """Where the model looked for the class that it calls the image; a worker draws it."""

    def asked() -> Question:
        package = package_for_images(services, model)
        image = services.images.get(access, image_id)
        return ask(services, access, EXPLAIN, image, model, package)

    question = await run_in_threadpool(asked)
    question = await wait_for_answer(services, access, question)
    if question.picture is None:
        return Response(status_code=202, headers={"Retry-After": str(RETRY_SECONDS)})
    try:
        picture = await run_in_threadpool(services.storage.read, question.picture)
    except FileNotFoundError:
        raise ApiError(GONE, f"image {image_id} has just been deleted") from None
    headers = {"Cache-Control": "private, no-cache"}
    return Response(picture, media_type=_JPEG, headers=headers)


def _stored(services: Services, key: str, asked: Conditions, whose: str) -> Response:
    content = _content(services, key)
    if content is None:
        raise ApiError(NOT_FOUND, f"{whose} has no picture yet: no model was asked about it")
    return serve(asked, content, _JPEG, {"Cache-Control": FOR_EVER})


def _content(services: Services, key: str, etag: str | None = None) -> Content | None:
    found = services.storage.stat(key)
    if found is None:
        return None

    def read(start: int, length: int) -> bytes:
        return services.storage.read(key, start, length)

    return Content(found.size_bytes, etag or found.etag, read)
