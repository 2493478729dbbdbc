"""``/v1/jobs``: request analyses, see their progress, cancel, retry."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from api.access import Administrator, Submitter, Viewer
from api.dependencies import Services
from api.jobs.findings import JobFindings
from api.problems import INVALID, ApiError, responses
from api.schemas import MODEL_NAME, ProblemOut, timestamp
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.geometry import MPP_RANGE
from wsi_pipeline.service.jobs.job import Job, JobState
from wsi_pipeline.service.jobs.queue_order import QueuePlace
from wsi_pipeline.service.jobs.requests import JobRequest
from wsi_pipeline.service.jobs.submission import make_request
from wsi_pipeline.service.webhook_address import WebhookAddress

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_ID = r"^[0-9a-f]{32}$"
_MOST_JOBS = 1000

_Services = Annotated[Services, Depends(Services.of)]
JobId = Annotated[str, Path(pattern=_ID, description="Id of a job")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,255}$",
        description="Any text; the same request with the same key creates its jobs only once",
    ),
]


class JobOrder(BaseModel):
    """A job to be created. The model package decides what is left out."""

    model_config = ConfigDict(extra="forbid")

    slide_id: Annotated[str, Field(pattern=_ID)]
    model: Annotated[
        str,
        Field(
            pattern=MODEL_NAME,
            max_length=200,
            description="Name of an installed model package, as `/v1/models` lists them",
            examples=["demo"],
        ),
    ]
    mpp: Annotated[float | None, Field(gt=0, le=MPP_RANGE[1], description="µm per analysis px")] = (
        None
    )
    level: Annotated[
        int | None, Field(ge=0, le=100, description="Pyramid level, instead of mpp")
    ] = None
    stride: Annotated[
        int | None, Field(ge=1, le=4096, description="Distance between tiles in analysis px")
    ] = None
    threshold: Annotated[
        float | None, Field(gt=0, lt=1, description="Probability from which a cell is of a class")
    ] = None
    min_tissue: Annotated[
        float, Field(ge=0, le=1, description="Least share of tissue in a tile")
    ] = 0.3
    tissue: Annotated[
        Literal["fast", "exact"],
        Field(description="Find tissue on a coarse level, or from every tile's own px"),
    ] = "fast"
    qc: Annotated[
        Literal["off", "flag", "reject"],
        Field(
            description="Quality control of the tissue: marks tiles that cannot be judged, or "
            "leaves them out as well"
        ),
    ] = "flag"
    qc_limit: Annotated[
        float,
        Field(ge=0, le=1, description="Share of the tissue above which nothing is left out"),
    ] = 0.5
    screen: Annotated[
        Literal["auto", "off"],
        Field(
            description="The model's screen: used where it was validated for the slide's stain, or "
            "every tile goes to the model"
        ),
    ] = "auto"
    slide_mpp: Annotated[
        float | None,
        Field(
            ge=MPP_RANGE[0],
            le=MPP_RANGE[1],
            description="µm per level-0 px, replaces the value of the file",
        ),
    ] = None
    allow_unreadable: Annotated[
        float, Field(ge=0, le=1, description="Share of the tissue tiles that may be unreadable")
    ] = 0.0
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16", "int8"] | None,
        Field(description="Default: the setting of the service"),
    ] = None
    tta: Annotated[
        bool, Field(description="Look at each tile in eight orientations; eight times the work")
    ] = False
    priority: Annotated[int, Field(ge=-100, le=100, description="Higher is sooner")] = 0
    webhook: Annotated[
        str | None,
        Field(
            max_length=2000,
            description="Address notified when the job is finished; allowed hosts only",
        ),
    ] = None


class JobBatch(BaseModel):
    """Jobs to be created, all or none."""

    model_config = ConfigDict(extra="forbid")

    jobs: Annotated[list[JobOrder], Field(min_length=1, max_length=_MOST_JOBS)]


def _kind(body: Any) -> str:
    batch = isinstance(body, JobBatch) or (isinstance(body, dict) and "jobs" in body)
    return "batch" if batch else "job"


_Order = Annotated[
    Annotated[JobOrder, Tag("job")] | Annotated[JobBatch, Tag("batch")],
    Discriminator(_kind),
    Body(description="One job, or many"),
]


class TileCount(BaseModel):
    """Tiles classified so far, and in all once that is known."""

    done: int
    total: int | None


class JobOut(BaseModel):
    """A job and its state."""

    id: str
    slide_id: str
    model: str
    model_sha256: str
    config: Annotated[dict[str, Any], Field(description="Settings that differ from the defaults")]
    priority: int
    state: Annotated[
        JobState, Field(description="queued → running → succeeded | failed | cancelled")
    ]
    stage: Annotated[str | None, Field(description="Current step of a running job")]
    tiles: TileCount
    tiles_per_second: float | None
    position: Annotated[int | None, Field(description="Place in the queue; 1 is next")]
    expected_at: Annotated[datetime | None, Field(description="Estimated time of its end")]
    attempts: Annotated[int, Field(description="Number of failed or crashed attempts")]
    cancel_requested: bool
    problem: Annotated[ProblemOut | None, Field(description="Why it failed, or will be retried")]
    result_id: str | None
    findings: Annotated[JobFindings | None, Field(description="Summary of its result")]
    webhook: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job, place: QueuePlace, findings: JobFindings | None) -> Self:
        """From the store's."""
        return cls(
            id=job.id,
            slide_id=job.slide_id,
            model=job.model,
            model_sha256=job.model_sha256,
            config=job.config,
            priority=job.priority,
            state=job.state,
            stage=job.stage,
            tiles=TileCount(done=job.tiles_done, total=job.tiles_total),
            tiles_per_second=job.tiles_per_second,
            position=place.position,
            expected_at=_timestamp(place.expected_at),
            attempts=job.attempts,
            cancel_requested=job.cancel_requested,
            problem=None if job.problem is None else ProblemOut.model_validate(job.problem),
            result_id=job.result_id,
            findings=findings,
            webhook=job.webhook,
            created_at=timestamp(job.created_at),
            started_at=_timestamp(job.started_at),
            finished_at=_timestamp(job.finished_at),
        )


class JobList(BaseModel):
    """Jobs, and how many match in all."""

    jobs: list[JobOut]
    total: int


class CreatedJobs(BaseModel):
    """The jobs of a batch, in its order."""

    jobs: list[JobOut]


@router.post(
    "",
    status_code=201,
    responses=responses(404, 409, 422),
    response_description="The job, or the jobs of the batch",
)
def create_jobs(
    order: _Order,
    access: Submitter,
    services: _Services,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobOut | CreatedJobs:
    """Queue one slide, or many with ``{"jobs": […]}``, all or none.

    Work that was done before, on the same bytes with the same model and settings, succeeds at
    once with the existing result.
    """
    orders = order.jobs if isinstance(order, JobBatch) else [order]
    wanted = [_request(services, one) for one in orders]
    made = _out(services, services.jobs.create(access, wanted, idempotency_key))
    if isinstance(order, JobBatch):
        return CreatedJobs(jobs=made)
    response.headers["Location"] = f"{router.prefix}/{made[0].id}"
    return made[0]


@router.get("", responses=responses(422))
def list_jobs(
    access: Viewer,
    services: _Services,
    state: Annotated[JobState | None, Query(description="Only jobs in this state")] = None,
    slide_id: Annotated[str | None, Query(pattern=_ID, description="Only this slide's")] = None,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobList:
    """Jobs of the workspace, newest first."""
    found, total = services.jobs.list(
        access, state=state, slide_id=slide_id, offset=offset, limit=limit
    )
    return JobList(jobs=_out(services, found), total=total)


@router.get("/{job_id}", responses=responses(404, 422))
def get_job(job_id: JobId, access: Viewer, services: _Services) -> JobOut:
    """One job."""
    return _out(services, [services.jobs.get(access, job_id)])[0]


@router.post("/{job_id}/cancel", responses=responses(404, 409, 422))
def cancel_job(job_id: JobId, access: Submitter, services: _Services) -> JobOut:
    """Cancel a job.

    One that waits is cancelled at once. One that runs shows ``cancel_requested`` until its
    computation has stopped, within seconds.
    """
    return _out(services, [services.jobs.cancel(access, job_id)])[0]


@router.post("/{job_id}/retry", responses=responses(404, 409, 422))
def retry_job(job_id: JobId, access: Submitter, services: _Services) -> JobOut:
    """Queue a failed or cancelled job again, with all its attempts."""
    return _out(services, [services.jobs.retry(access, job_id)])[0]


@router.delete("/{job_id}", status_code=204, responses=responses(404, 409, 422))
def delete_job(job_id: JobId, access: Administrator, services: _Services) -> None:
    """Remove a job that is over, and with it the way to its result."""
    services.jobs.delete(access, job_id)


def _request(services: Services, order: JobOrder) -> JobRequest:
    settings = services.settings
    if order.webhook is not None:
        if settings.webhook_secret is None:
            raise ApiError(INVALID, "this service sends no webhooks: it has no `webhook_secret`")
        WebhookAddress.of(order.webhook, settings.webhook_hosts)
    facts = order.model_dump(exclude={"slide_id", "model", "priority", "webhook"})
    facts["precision"] = order.precision or settings.precision
    try:
        config = AnalysisSettings.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        raise ApiError(INVALID, f"body.{first['loc'][0]}: {first['msg']}") from error
    package = services.models.get(order.model)
    return make_request(
        order.slide_id,
        order.model,
        package,
        config,
        priority=order.priority,
        webhook=order.webhook,
    )


def _out(services: Services, found: list[Job]) -> list[JobOut]:
    places = services.jobs.places(found)
    known = services.results.summaries({job.result_id for job in found if job.result_id})
    findings = {result_id: JobFindings.of(summary) for result_id, summary in known.items()}
    return [
        JobOut.of(job, place, findings.get(job.result_id or ""))
        for job, place in zip(found, places, strict=True)
    ]


def _timestamp(seconds: float | None) -> datetime | None:
    return None if seconds is None else timestamp(seconds)
