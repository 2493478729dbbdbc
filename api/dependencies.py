"""What every route works with, made once per application and passed along."""

import threading
from dataclasses import dataclass, field
from typing import Self, cast

from starlette.requests import Request

from api.slides.links import Links
from wsi_pipeline.model.catalogue import ModelCatalogue
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.drawings import DrawingStore
from wsi_pipeline.service.image_jobs import ImageJobStore
from wsi_pipeline.service.image_labels import LabelStore
from wsi_pipeline.service.images import ImageStore
from wsi_pipeline.service.jobs.requests import JobRequests
from wsi_pipeline.service.jobs.results import ResultStore
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.notes import NoteStore
from wsi_pipeline.service.questions import QuestionStore
from wsi_pipeline.service.sessions import Sessions
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.service.share_links import ShareLinks
from wsi_pipeline.service.slides import SlideStore
from wsi_pipeline.service.upload_files import UploadFiles
from wsi_pipeline.service.uploads import UploadStore
from wsi_pipeline.storage import Storage, open_storage


@dataclass(frozen=True, slots=True)
class Services:
    """The application's parts. None of them blocks the event loop unless it is called from it.

    ``stopping`` is set when the server begins to stop: who streams or takes a long body then ends.
    """

    settings: ServiceSettings
    database: Database
    storage: Storage
    links: Links
    keys: ApiKeys
    sessions: Sessions
    slides: SlideStore
    uploads: UploadStore
    upload_files: UploadFiles
    jobs: JobRequests
    results: ResultStore
    notes: NoteStore
    drawings: DrawingStore
    questions: QuestionStore
    images: ImageStore
    image_files: UploadFiles
    image_labels: LabelStore
    image_jobs: ImageJobStore
    share_links: ShareLinks
    models: ModelCatalogue
    stopping: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def open(cls, settings: ServiceSettings) -> Self:
        """Connect to the database and storage the settings name."""
        database = Database(settings.database_url)
        return cls(
            settings=settings,
            database=database,
            storage=open_storage(settings.storage_url),
            links=Links(
                settings.roots,
                settings.buckets,
                settings.data_dir,
                [folder.path for folder in settings.watch],
            ),
            keys=ApiKeys(database),
            sessions=Sessions(
                database,
                idle_seconds=settings.session_idle_seconds,
                absolute_seconds=settings.session_seconds,
            ),
            slides=SlideStore(database),
            uploads=UploadStore(
                database,
                max_bytes=settings.max_upload_bytes,
                quota_bytes=settings.quota_bytes,
                expiry_seconds=settings.upload_expiry_seconds,
            ),
            upload_files=UploadFiles(settings.spool_dir),
            jobs=JobRequests(database),
            results=ResultStore(database),
            notes=NoteStore(database),
            drawings=DrawingStore(database),
            questions=QuestionStore(database, settings.lease_seconds),
            images=ImageStore(database, settings.quota_bytes),
            image_files=UploadFiles(settings.image_spool_dir),
            image_labels=LabelStore(database),
            image_jobs=ImageJobStore(database),
            share_links=ShareLinks(database),
            models=ModelCatalogue(settings.models_dir),
        )

    @staticmethod
    async def of(request: Request) -> "Services":
        """The application's; routes take ``Annotated[Services, Depends(Services.of)]``."""
        return cast("Services", request.app.state.services)
