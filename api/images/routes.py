"""``/v1/images``: what is there, in the order in which somebody wants to look at it."""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from api.access import Submitter, Viewer
from api.dependencies import Services
from api.images.schemas import ID, ImageId, ImageOut, ModelQuery, images_out
from api.problems import responses
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.images import ImageQuery, Only, Sort
from wsi_pipeline.service.text import check_search

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/images", tags=["images"])

_Services = Annotated[Services, Depends(Services.of)]


class ImageList(BaseModel):
    """Images, and how many match in all."""

    images: list[ImageOut]
    total: int


@router.get("", responses=responses(404, 422))
def list_images(
    access: Viewer,
    services: _Services,
    job: Annotated[str | None, Query(pattern=ID, description="Only images of this job")] = None,
    model: ModelQuery = None,
    sort: Annotated[
        Sort,
        Query(
            description="doubt: those to look at again first, then the least certain, those "
            "without an answer last"
        ),
    ] = Sort.NAME,
    only: Annotated[
        Only | None,
        Query(description="labelled: that anybody labelled; failed: without an answer"),
    ] = None,
    search: Annotated[str, Query(max_length=200, description="Part of the name")] = "",
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> ImageList:
    """Images of the workspace, with the answers of `model`; without it, of the job's model."""
    sha256 = None if model is None else services.models.get(model).sha256
    if job is not None:
        of_job = services.image_jobs.get(access, job).model_sha256
        sha256 = sha256 or of_job
    query = ImageQuery(job, sha256, sort, only, check_search(search))
    found, total = services.images.list(access, query, offset=offset, limit=limit)
    return ImageList(images=images_out(services, access, found), total=total)


@router.get("/{image_id}", responses=responses(404, 422))
def get_image(
    image_id: ImageId, access: Viewer, services: _Services, model: ModelQuery = None
) -> ImageOut:
    """One image, with the answer of `model` if that was asked."""
    sha256 = None if model is None else services.models.get(model).sha256
    listed = services.images.answered(access, image_id, sha256)
    return images_out(services, access, [listed])[0]


@router.delete("/{image_id}", status_code=204, responses=responses(404, 422))
def delete_image(image_id: ImageId, access: Submitter, services: _Services) -> None:
    """Remove an image, with its labels and with what models said of it."""
    forget_image(services, access, image_id)


def forget_image(services: Services, access: Access, image_id: str) -> None:
    """Remove an image and its bytes; blocks.

    Raises:
        NotThereError: there is none.
    """
    for key in services.images.delete(access, image_id):
        try:
            services.storage.delete(key)
        except OSError as error:
            # The image is gone for everybody; `wsi gc` removes what is left of it.
            log.warning("a deleted image's bytes are still there", exc_info=error)
