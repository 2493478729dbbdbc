"""``/metrics`` for Prometheus: the queue, the workers, uploads, errors and requests.

Needs a key of scope view, from wherever it is asked: behind a reverse proxy every request seems
to come from this machine, so that cannot be the test. The figures are sums over all workspaces
and hold no ids and no names.
"""

import time
from collections.abc import Iterable, Iterator

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_fastapi_instrumentator import Instrumentator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import Viewer
from api.dependencies import Services
from api.health import WORKER_SECONDS
from wsi_pipeline.service.database import now
from wsi_pipeline.service.jobs.job import JobState
from wsi_pipeline.service.slides import SlideState
from wsi_pipeline.service.tables import jobs, slides, uploads, workers

router = APIRouter(tags=["health"])

#: Where bodies are slides.
_UPLOADS = ("/v1/uploads", "/v1/slides", "/v1/images")
#: The queue is asked at most this often, seconds.
_FRESH_SECONDS = 1.0


class Metrics:
    """The figures of one application.

    Attributes:
        registry: Holds all of them.
        upload_bytes: Bytes of slides and images received by this process.
        failures: Requests this process could not answer for a fault of its own.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.upload_bytes = Counter(
            "wsi_upload_bytes",
            "Bytes of slides and images received by this process",
            registry=self.registry,
        )
        self.failures = Counter(
            "wsi_failures", "Requests answered with 5xx by this process", registry=self.registry
        )

    def observe(self, services: Services) -> None:
        """Add the figures that are read from the database when they are asked for."""
        self.registry.register(_Queue(services))

    def instrument(self, app: FastAPI) -> None:
        """Count requests, by route's template and status."""
        Instrumentator(
            should_group_status_codes=False,
            should_exclude_streaming_duration=True,
            excluded_handlers=["^/healthz$", "^/readyz$", "^/metrics$"],
            registry=self.registry,
        ).instrument(app)


class Counting:
    """Counts bytes of uploads and answers of 5xx.

    Args:
        app: The layers inside.
        metrics: Where to count.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_upload = scope["path"].startswith(_UPLOADS)

        async def receiving() -> Message:
            message = await receive()
            if is_upload and message["type"] == "http.request":
                self._metrics.upload_bytes.inc(len(message.get("body", b"")))
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 500:
                self._metrics.failures.inc()
            await send(message)

        await self._app(scope, receiving, sending)


class _Queue(Collector):
    """What the database knows, asked anew at most once a second."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._at = float("-inf")
        self._found: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not ask the database when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """See :class:`Collector`."""
        if time.monotonic() - self._at >= _FRESH_SECONDS:
            with self._services.database.read() as connection:
                self._found = list(_ask(connection))
            self._at = time.monotonic()
        yield from self._found


def _ask(connection: sa.Connection) -> Iterator[Metric]:
    at: float = connection.execute(sa.select(now())).scalar_one()
    count = sa.func.count()

    states = GaugeMetricFamily("wsi_jobs", "Jobs by state", labels=["state"])
    found = {
        str(row[0]): int(row[1])
        for row in connection.execute(sa.select(jobs.c.state, count).group_by(jobs.c.state))
    }
    for state in JobState:
        states.add_metric([state], found.get(state, 0))
    yield states

    stages = GaugeMetricFamily("wsi_jobs_running", "Running jobs by stage", labels=["stage"])
    running = jobs.c.state == JobState.RUNNING
    for stage, number in connection.execute(
        sa.select(jobs.c.stage, count).where(running).group_by(jobs.c.stage)
    ):
        stages.add_metric([stage or "none"], number)
    yield stages

    due = sa.and_(jobs.c.state == JobState.QUEUED, jobs.c.due_at <= at)
    waiting = sa.select(count, sa.func.min(jobs.c.created_at)).where(due)
    depth, oldest = connection.execute(waiting).one()
    yield GaugeMetricFamily("wsi_queue_depth", "Jobs that wait for a worker", depth)
    age = 0.0 if oldest is None else max(0.0, at - oldest)
    yield GaugeMetricFamily("wsi_queue_oldest_seconds", "Age of the longest waiting job", age)

    rate = connection.execute(
        sa.select(sa.func.coalesce(sa.func.sum(jobs.c.tiles_per_second), 0)).where(running)
    ).scalar_one()
    yield GaugeMetricFamily("wsi_tiles_per_second", "Tiles classified per second, all jobs", rate)

    failed = GaugeMetricFamily(
        "wsi_jobs_failed_last_day", "Jobs that failed within 24 h by problem", labels=["problem"]
    )
    lately = (
        sa.select(jobs.c.problem["type"].as_string().label("kind"))
        .where(jobs.c.state == JobState.FAILED, jobs.c.finished_at > at - 86400)
        .subquery()
    )
    by_kind = sa.select(lately.c.kind, count).group_by(lately.c.kind)
    for kind, number in connection.execute(by_kind):
        failed.add_metric([kind or "none"], number)
    yield failed

    kinds = GaugeMetricFamily("wsi_slides", "Slides by state", labels=["state"])
    for state, number in connection.execute(
        sa.select(slides.c.state, count)
        .where(slides.c.state != SlideState.DELETED)
        .group_by(slides.c.state)
    ):
        kinds.add_metric([state], number)
    yield kinds

    unfinished = connection.execute(
        sa.select(count).select_from(uploads).where(uploads.c.state == "open")
    ).scalar_one()
    yield GaugeMetricFamily("wsi_uploads_open", "Uploads that are not complete", unfinished)

    alive = connection.execute(
        sa.select(count).select_from(workers).where(workers.c.seen_at > at - WORKER_SECONDS)
    ).scalar_one()
    yield GaugeMetricFamily("wsi_workers", "Workers seen within a minute", alive)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "Figures in Prometheus' text format",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
def get_metrics(request: Request, access: Viewer) -> Response:  # noqa: ARG001 - access is checked
    """Figures of the service for Prometheus."""
    metrics: Metrics = request.app.state.metrics
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
