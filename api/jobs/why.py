"""``/v1/jobs/{id}/why``: what the probability of one tile rests on, drawn by a worker."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from starlette.concurrency import run_in_threadpool

from api.access import Viewer
from api.dependencies import Services
from api.http.content import FOR_EVER
from api.jobs.exports import ClassName, Source
from api.jobs.routes import JobId
from api.problems import GONE, INVALID, UNAVAILABLE, ApiError, responses
from api.waiting import RETRY_SECONDS, wait_for_answer
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.question import Question, QuestionState

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])

_Services = Annotated[Services, Depends(Services.of)]
_JPEG = "image/jpeg"
#: Most columns and rows that a grid can have, generously.
_MOST = 10_000_000


@router.get(
    "/why",
    response_class=Response,
    responses={
        200: {
            "content": {_JPEG: {"schema": {"type": "string", "format": "binary"}}},
            "description": "The tile, and beside it the tile under its map",
        },
        202: {"description": "A worker draws it; ask again after `Retry-After` seconds"},
        **responses(404, 409, 410, 422, 503),
    },
)
async def get_why(
    job_id: JobId,
    access: Viewer,
    services: _Services,
    column: Annotated[int, Query(ge=0, le=_MOST, description="Of the tile in the grid, from 0")],
    row: Annotated[int, Query(ge=0, le=_MOST, description="Of the tile in the grid, from 0")],
    of: ClassName = None,
) -> Response:
    """What the probability of a class rests on, for one tile of the result.

    The tile as the model was given it, and beside it the same under a map: Grad-CAM for
    convolutional networks, attention rollout for transformers. It shows which px the answer
    depends on, not whether it is right.
    """
    question = await run_in_threadpool(_ask, services, access, job_id, column, row, of)
    question = await wait_for_answer(services, access, question)
    if question.state is not QuestionState.ANSWERED or question.picture is None:
        return Response(status_code=202, headers={"Retry-After": str(RETRY_SECONDS)})
    try:
        drawn = await run_in_threadpool(services.storage.read, question.picture)
    except OSError:
        raise ApiError(UNAVAILABLE, "the picture cannot be reached; try again") from None
    return Response(drawn, media_type=_JPEG, headers={"Cache-Control": FOR_EVER})


def _ask(
    services: Services, access: Access, job_id: str, column: int, row: int, of: str | None
) -> Question:
    source = Source.of(services, access, job_id)
    job = services.jobs.get(access, job_id)
    of = _checked(source, column, row, of)
    if source.slide is None or source.slide.location is None:
        raise ApiError(GONE, "the slide was deleted: its px cannot be shown any more")
    return services.questions.ask(
        access,
        "why",
        f"{job_id}/{column}/{row}/{of}",
        {
            "slide_location": source.slide.location,
            "slide_sha256": source.slide.sha256,
            "config": job.config,
            "fingerprint": job.fingerprint,
            "column": column,
            "row": row,
            "class": of,
        },
        job.model,
        job.model_sha256,
        urgent=True,
    )


def _checked(source: Source, column: int, row: int, of: str | None) -> str:
    """The class that is asked about.

    Raises:
        ApiError: nothing can be explained there.
        UsageError: there is no such class.
        ResultError: the result is damaged.
    """
    import numpy as np  # noqa: PLC0415 - with Zarr

    from wsi_pipeline.export.decision import chosen_class, grid_of  # noqa: PLC0415 - imports Zarr

    result = source.result()
    name = chosen_class(result, of).name
    if result.record.grid.map_px is not None:
        raise ApiError(
            INVALID,
            "the model answers with a map of each tile, which shows by itself where a class is "
            "found; explanations are for models that answer with classes",
        )
    grid = grid_of(result)
    if column >= grid.size.width or row >= grid.size.height:
        raise ApiError(
            INVALID, f"there is no tile ({column}, {row}): the grid has {grid.size} tiles"
        )
    x, y = grid.corners_0(np.array([[column, row]]))[0]
    tiles = result.tile_table()
    if not np.any((tiles["x"] == x) & (tiles["y"] == y)):
        raise ApiError(
            INVALID, f"tile ({column}, {row}) was not classified: there is nothing to explain"
        )
    return name
