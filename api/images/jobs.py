"""``/v1/images/jobs``: one model asked about many images."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.access import Submitter, Viewer
from api.dependencies import Services
from api.images.asking import package_for_images
from api.images.schemas import ID
from api.jobs.routes import IdempotencyKey
from api.problems import responses
from api.schemas import MODEL_NAME, kept_whole, timestamp
from wsi_pipeline.service.image_jobs import MAX_IMAGES, ImageJob, ImageJobRequest, ImageJobState

router = APIRouter(prefix="/v1/images/jobs", tags=["images"])

_Services = Annotated[Services, Depends(Services.of)]
ImageJobId = Annotated[str, Path(pattern=ID, description="Id of a job over images")]


def _different(ids: list[str]) -> list[str]:
    if len(set(ids)) != len(ids):
        raise ValueError("an image is named twice")
    return ids


class ImageJobOrder(BaseModel):
    """A job over images to be created."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=500,
            json_schema_extra={"pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"},
            description="What to call it: the folder's name, for instance",
        ),
        AfterValidator(kept_whole),
    ]
    model: Annotated[
        str,
        Field(
            pattern=MODEL_NAME,
            max_length=200,
            description="Name of an installed model package, as `/v1/models` lists them",
        ),
    ]
    image_ids: Annotated[
        list[Annotated[str, Field(pattern=ID)]],
        Field(
            min_length=1,
            max_length=MAX_IMAGES,
            json_schema_extra={"uniqueItems": True},
            description="The images, none of them twice",
        ),
        AfterValidator(_different),
    ]


class ImageJobOut(BaseModel):
    """A job over images, and how far it got."""

    id: str
    name: str
    model: str
    model_sha256: str
    state: Annotated[ImageJobState, Field(description="running → finished | cancelled")]
    total: Annotated[int, Field(description="Images, but for those deleted since")]
    answered: int
    failed: Annotated[int, Field(description="Images without an answer; each says why")]
    review: Annotated[int, Field(description="Images that a person has to look at again")]
    created_at: datetime

    @classmethod
    def of(cls, job: ImageJob) -> Self:
        """From the store's."""
        facts = {name: getattr(job, name) for name in cls.model_fields}
        return cls(**{**facts, "created_at": timestamp(job.created_at)})


class ImageJobList(BaseModel):
    """Jobs over images, and how many there are in all."""

    jobs: list[ImageJobOut]
    total: int


@router.post("", status_code=201, responses=responses(404, 422))
def create_image_job(
    order: ImageJobOrder,
    access: Submitter,
    services: _Services,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> ImageJobOut:
    """Ask a model about many images. What it was asked before is not computed again."""
    package = package_for_images(services, order.model)
    wanted = ImageJobRequest(order.name, order.model, package.sha256, tuple(order.image_ids))
    job = services.image_jobs.create(access, wanted, idempotency_key)
    response.headers["Location"] = f"{router.prefix}/{job.id}"
    return ImageJobOut.of(job)


@router.get("", responses=responses(422))
def list_image_jobs(
    access: Viewer,
    services: _Services,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ImageJobList:
    """Jobs of the workspace over images, newest first."""
    found, total = services.image_jobs.list(access, offset=offset, limit=limit)
    return ImageJobList(jobs=[ImageJobOut.of(job) for job in found], total=total)


@router.get("/{image_job_id}", responses=responses(404, 422))
def get_image_job(image_job_id: ImageJobId, access: Viewer, services: _Services) -> ImageJobOut:
    """One job."""
    return ImageJobOut.of(services.image_jobs.get(access, image_job_id))


@router.delete("/{image_job_id}", responses=responses(404, 409, 422))
def cancel_image_job(
    image_job_id: ImageJobId, access: Submitter, services: _Services
) -> ImageJobOut:
    """Cancel what waits. Answers stay, and so do the images."""
    return ImageJobOut.of(services.image_jobs.cancel(access, image_job_id))
