"""``/v1/jobs/{id}/link`` and ``/v1/shared/…``: a mask by an address that needs no key.

Viewers such as vizarr and QuPath open a store by its address, send no key, and may be pages of
other sites. The address is all they have, so it holds a pass for this one result and for a while.
"""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from api.access import Submitter
from api.dependencies import Services
from api.http.content import Conditions, answers
from api.http.middleware import SHARED
from api.jobs.results import STORE_TYPES, store_file
from api.jobs.routes import JobId
from api.problems import NOT_FOUND, ApiError, responses
from api.schemas import timestamp
from wsi_pipeline.service.share_links import MOST_SECONDS

router = APIRouter(tags=["results"])

_HOUR = 3600
_MOST_HOURS = MOST_SECONDS // _HOUR
_WEEK = 7 * 24
#: Short: a link that has ended shall not go on working from a cache.
_CACHING = "private, max-age=300"

_Services = Annotated[Services, Depends(Services.of)]
_Conditions = Annotated[Conditions, Depends()]
ShareText = Annotated[
    str, Path(max_length=200, description="The part of the link that replaces a key")
]
StorePath = Annotated[str, Path(description="Name of a file in the store, `zarr.json` the first")]


class LinkOrder(BaseModel):
    """How long a link shall last."""

    model_config = ConfigDict(extra="forbid")

    hours: Annotated[int, Field(ge=1, le=_MOST_HOURS)] = _WEEK


class LinkOut(BaseModel):
    """An address of the mask that needs no key."""

    mask: Annotated[str, Field(description="The OME-Zarr store, below the service's own address")]
    expires_at: Annotated[
        datetime, Field(description="It ends sooner with the key it was made with, and the job")
    ]


@router.post("/v1/jobs/{job_id}/link", responses=responses(404, 409, 422))
def share_result(
    job_id: JobId, access: Submitter, services: _Services, order: LinkOrder | None = None
) -> LinkOut:
    """Make an address of the mask that viewers open without a key, and pages of other sites.

    Whoever has it may read the mask, the probabilities and their provenance, and nothing else.
    """
    found = services.results.of_job(access, job_id)
    seconds = (order or LinkOrder()).hours * _HOUR
    text, expires_at = services.share_links.create(access, found, seconds)
    return LinkOut(mask=f"{SHARED}{text}/mask.zarr", expires_at=timestamp(expires_at))


@router.head(
    SHARED + "{share}/mask.zarr/{path:path}",
    name="head_shared_file",
    response_class=Response,
    responses=answers(STORE_TYPES, "A file of the store", 404, 422, 503),
)
@router.get(
    SHARED + "{share}/mask.zarr/{path:path}",
    response_class=Response,
    responses=answers(STORE_TYPES, "A file of the store", 404, 422, 503),
)
def get_shared_file(
    share: ShareText, path: StorePath, services: _Services, asked: _Conditions
) -> Response:
    """A file of a mask store somebody shared; pages of every site may read it."""
    found = services.share_links.find(share)
    if found is None:
        raise ApiError(NOT_FOUND, "this link is unknown or has expired")
    result = services.results.of_job(found.access, found.job_id)
    return store_file(services, result, path, asked, _CACHING)


@router.options(
    SHARED + "{share}/mask.zarr/{path:path}",
    status_code=204,
    response_class=Response,
    responses=responses(404),
)
async def ask_shared_file(share: ShareText, path: StorePath) -> Response:  # noqa: ARG001 - documents what the address holds
    """What a browser asks before a page of another site may send a range."""
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Methods": "GET, HEAD",
            "Access-Control-Allow-Headers": "Range, If-Match, If-None-Match, If-Range",
            "Access-Control-Max-Age": "86400",
        },
    )
