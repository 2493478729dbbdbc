"""``/healthz`` and ``/readyz``: is the process alive, and can it do its work."""

import logging
import threading
import time
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field
from starlette.requests import Request

from api.dependencies import Services
from wsi_pipeline.errors import WsiError
from wsi_pipeline.service import schema
from wsi_pipeline.service.database import now
from wsi_pipeline.service.tables import workers

router = APIRouter(tags=["health"])
log = logging.getLogger(__name__)

#: A worker that said nothing for so long is not counted on, seconds.
WORKER_SECONDS = 60.0
#: How long an answer of the storage stands: asking it writes, seconds.
_STORAGE_SECONDS = 5.0


class Health(BaseModel):
    """That the process answers."""

    alive: bool = True


class Readiness(BaseModel):
    """Whether all parts are there; each is ``true`` or the reason it is not is in the log."""

    ready: bool
    database: Annotated[bool, Field(description="It answers and has this version's tables")]
    storage: Annotated[bool, Field(description="It can be written and read")]
    worker: Annotated[bool, Field(description="A worker was seen within a minute")]


class StorageWatch:
    """Asks the storage at most every few seconds, however often it is asked itself.

    Args:
        services: Hold the storage.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._good = False
        self._until = 0.0

    def good(self) -> bool:
        """Whether the storage works."""
        with self._lock:
            if time.monotonic() >= self._until:
                try:
                    self._services.storage.check()
                    self._good = True
                except OSError as error:
                    log.warning("the storage does not work", exc_info=error)
                    self._good = False
                self._until = time.monotonic() + _STORAGE_SECONDS
            return self._good


@router.get("/healthz")
async def get_health() -> Health:
    """Whether the process answers; needs no key."""
    return Health()


@router.get(
    "/readyz",
    responses={503: {"model": Readiness, "description": "Some part is missing"}},
)
def get_readiness(
    request: Request,
    response: Response,
    services: Annotated[Services, Depends(Services.of)],
) -> Readiness:
    """Whether slides can be taken and jobs will be worked on; needs no key."""
    database, worker = _database(services)
    storage: bool = request.app.state.storage_watch.good()
    ready = database and storage and worker and not services.stopping.is_set()
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, database=database, storage=storage, worker=worker)


def _database(services: Services) -> tuple[bool, bool]:
    """Whether it is there with the right tables, and whether a worker was seen lately."""
    seen = sa.select(workers.c.id).where(workers.c.seen_at > now() - WORKER_SECONDS)
    try:
        schema.check(services.database)
        with services.database.read() as connection:
            return True, connection.execute(seen.limit(1)).first() is not None
    except (sa.exc.SQLAlchemyError, WsiError) as error:
        log.warning("the database does not work", exc_info=error)
        return False, False
