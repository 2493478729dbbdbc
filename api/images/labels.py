"""``/v1/images/{id}/label``: what a user says an image shows.

Each key writes and removes its own labels only, an administrator's too; all of the workspace see
them.
"""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.access import Submitter
from api.dependencies import Services
from api.images.schemas import ImageId, ImageOut, ModelQuery, images_out
from api.problems import responses
from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.text import MAX_LABEL, check_class

router = APIRouter(prefix="/v1/images/{image_id}/label", tags=["images"])

_Services = Annotated[Services, Depends(Services.of)]


def _class(label: str) -> str:
    try:
        return check_class(label)
    except UsageError as error:
        raise ValueError(str(error)) from error


class LabelOrder(BaseModel):
    """What is to be kept."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_LABEL,
            json_schema_extra={"pattern": r"^[^\x00-\x1f\x7f]+$"},
            description="Name of a class, of the model or any other; blanks around it are dropped",
        ),
        AfterValidator(_class),
    ]


@router.put("", responses=responses(404, 422))
def write_label(
    image_id: ImageId,
    order: LabelOrder,
    access: Submitter,
    services: _Services,
    model: ModelQuery = None,
) -> ImageOut:
    """Write the caller's label, in place of the one before; the same changes nothing."""
    sha256 = None if model is None else services.models.get(model).sha256
    services.image_labels.write(access, image_id, order.label)
    listed = services.images.answered(access, image_id, sha256)
    return images_out(services, access, [listed])[0]


@router.delete("", status_code=204, responses=responses(404, 422))
def delete_label(image_id: ImageId, access: Submitter, services: _Services) -> None:
    """Remove the caller's label; it is no error if there is none."""
    services.image_labels.remove(access, image_id)
