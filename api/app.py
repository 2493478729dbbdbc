"""The application: routes, errors, and what lives as long as the server."""

import contextlib
from collections.abc import AsyncIterator

import anyio
import anyio.to_thread
from fastapi import FastAPI

from api import health, metrics, openapi, problems
from api.dependencies import Services
from api.health import StorageWatch
from api.http.limits import BodyLimit, HostCheck, QueryCheck, RateLimits
from api.http.middleware import RequestContext
from api.images import exports as image_exports
from api.images import jobs as image_jobs
from api.images import labels as image_labels
from api.images import pictures as image_pictures
from api.images import routes as images
from api.images import uploads as image_uploads
from api.jobs import events, notes, results, why
from api.jobs import heatmap as cells
from api.jobs import routes as jobs
from api.jobs.event_feed import EventFeed
from api.jobs.export_cache import ExportCache
from api.metrics import Counting, Metrics
from api.models import in_browser
from api.models import routes as model_packages
from api.session import routes as session
from api.shared import routes as sharing
from api.slides import direct_upload as intake
from api.slides import drawings
from api.slides import routes as slides
from api.slides.ready_slides import ReadySlides
from api.slides.slide_pictures import SlidePictures
from api.uploads import routes as uploads
from api.uploads.checker import Checker
from api.uploads.receiver import Receiver
from api.web import routes as web
from wsi_pipeline.service.settings import ServiceSettings

#: In the order of the document.
ROUTERS = (
    uploads.router,
    intake.router,
    slides.router,
    jobs.router,
    events.router,
    results.router,
    cells.router,
    notes.router,
    why.router,
    drawings.router,
    image_uploads.router,
    image_jobs.router,
    image_exports.router,
    images.router,
    image_pictures.router,
    image_labels.router,
    sharing.router,
    model_packages.router,
    in_browser.router,
    session.router,
    web.router,
    health.router,
    metrics.router,
)


def create_app(settings: ServiceSettings, pages: web.Pages | None = None) -> FastAPI:
    """The service as an ASGI application; connects to nothing until it starts.

    Args:
        settings: Everything it is told; the database must have been migrated.
        pages: What is shown to people; None: what this installation has.
    """
    figures = Metrics()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = Services.open(settings)
        app.state.services = services
        copies = settings.work_dir / "slides"
        app.state.pictures = SlidePictures(
            ReadySlides(services.slides),
            services.storage,
            settings.open_slides,
            copies,
            services.links,
        )
        app.state.renderings = ExportCache(settings.work_dir.with_name("renderings"))
        app.state.storage_watch = StorageWatch(services)
        app.state.metrics = figures
        app.state.feed = EventFeed(services)
        app.state.receiver = Receiver(services)
        app.state.checker = Checker(services)
        figures.observe(services)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(app.state.feed.run)
                tasks.start_soon(session.keep_renewing, services)
                app.state.checker.start()
                try:
                    yield
                finally:
                    services.stopping.set()
                    tasks.cancel_scope.cancel()
        finally:
            await session.renew(services)
            await anyio.to_thread.run_sync(app.state.checker.stop)
            await anyio.to_thread.run_sync(app.state.pictures.close)
            await anyio.to_thread.run_sync(app.state.renderings.close)
            services.database.close()

    app = FastAPI(
        title="WSI Pipeline",
        summary="Masks of tumour and other classes on slides, with checksums. Research "
        "software, not a medical device.",
        version="1",
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=openapi.operation_id,
    )
    app.state.pages = pages or web.Pages.find()
    problems.install(app)
    openapi.install(app)
    for router in ROUTERS:
        app.include_router(router)
    # Each of these goes around the ones before it.
    figures.instrument(app)
    app.add_middleware(Counting, metrics=figures)
    app.add_middleware(BodyLimit)
    app.add_middleware(QueryCheck)
    app.add_middleware(RateLimits, settings=settings)
    app.add_middleware(HostCheck, settings=settings)
    app.add_middleware(RequestContext)
    return app
