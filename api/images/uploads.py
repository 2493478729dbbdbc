"""``PUT /v1/images``: an image in one request, with its answer if that is wanted."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from api.access import Submitter
from api.dependencies import Services
from api.images.asking import ask, package_for_images
from api.images.intake import Intake, check_size
from api.images.routes import forget_image
from api.images.schemas import ImageOut, ModelQuery, images_out
from api.problems import INVALID, ApiError, responses
from api.uploads.beginning import check_disk
from api.uploads.receiver import CLIENT_LEFT, LeftError, Receiver
from api.uploads.tus import number
from api.waiting import RETRY_SECONDS, wait_for_answer
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.images import CLASSIFY, StoredImage
from wsi_pipeline.service.question import Question
from wsi_pipeline.service.text import MAX_IMAGE_NAME, check_image_name

router = APIRouter(prefix="/v1/images", tags=["images"])

_Services = Annotated[Services, Depends(Services.of)]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The image, which was there already", "model": ImageOut},
    201: {
        "description": "The image",
        "headers": {"Location": {"schema": {"type": "string"}}},
    },
    202: {
        "description": "The image; its answer is not ready yet",
        "model": ImageOut,
        "headers": {"Retry-After": {"schema": {"type": "integer"}}},
    },
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.put(
    "",
    status_code=201,
    response_model=ImageOut,
    responses=_ANSWERS | responses(400, 413, 422, 500, 503, 507),
    openapi_extra=_BODY,
)
async def put_image(
    request: Request,
    access: Submitter,
    services: _Services,
    name: Annotated[
        str,
        Query(min_length=1, max_length=MAX_IMAGE_NAME, description="Name, with folders if any"),
    ],
    model: ModelQuery = None,
    wait: Annotated[
        float, Query(ge=0, le=60, description="Longest time to wait for the answer, s")
    ] = 20.0,
) -> Response:
    """Upload an image; with `model` the answer comes at once.

    The same bytes under the same name are the image that is there. If the answer is not ready in
    time, the status is 202: ask `GET /v1/images/{id}?model=…`. Of what is no image nothing is
    kept if `model` is given; without it the image is only kept, and no one looks into it.
    """
    called = check_image_name(name)
    stated = request.headers.get("content-length")
    length = 0 if stated is None else number(stated, "Content-Length")
    if stated is not None and length == 0:
        raise ApiError(INVALID, "the body is empty")
    check_size(length)
    receiver = Receiver.of(request)
    package: ModelPackage | None = None
    if model is not None:
        package = await receiver.work(partial(package_for_images, services, model))
    await receiver.work(lambda: check_disk(services, length))
    intake = Intake(services, access, called)
    try:
        await receiver.receive(request, intake)
        image, made = await receiver.work(intake.store)
    except LeftError:
        return Response(status_code=CLIENT_LEFT)
    finally:
        await receiver.work(intake.remove)
    status = 201 if made else 200
    if model is not None and package is not None:
        question = await _answer(receiver, services, access, image, model, package, wait, made=made)
        if not question.state.is_final:
            status = 202
    return await receiver.work(lambda: _out(services, access, image, package, status))


async def _answer(
    receiver: Receiver,
    services: Services,
    access: Access,
    image: StoredImage,
    model: str,
    package: ModelPackage,
    wait: float,
    *,
    made: bool,
) -> Question:
    """The question about an image, as far as it was answered in time.

    Raises:
        ApiError: it is no image, or it cannot be answered; a new one that is none is not kept.
    """
    question = await receiver.work(lambda: ask(services, access, CLASSIFY, image, model, package))
    try:
        return await wait_for_answer(services, access, question, wait)
    except ApiError as error:
        if made and error.kind.slug == "image":
            await receiver.work(lambda: forget_image(services, access, image.id))
        raise


def _out(
    services: Services,
    access: Access,
    image: StoredImage,
    package: ModelPackage | None,
    status: int,
) -> Response:
    sha256 = None if package is None else package.sha256
    listed = services.images.answered(access, image.id, sha256)
    (out,) = images_out(services, access, [listed])
    headers = {"Location": f"{router.prefix}/{image.id}"}
    if status == 202:
        headers["Retry-After"] = str(RETRY_SECONDS)
    return JSONResponse(out.model_dump(mode="json"), status, headers)
