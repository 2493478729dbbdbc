"""``/v1/jobs/{id}/…``: what an analysis found, as numbers, as the store itself, and as files.

A job without a result is answered 409 with its state. Everything below a job that has one never
changes; it goes with the job.
"""

import functools
import hashlib
import io
import logging
import os
import re
import tempfile
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from api.access import Viewer
from api.dependencies import Services
from api.http.content import FOR_EVER, Conditions, Content, answers, serve
from api.jobs.export_cache import ExportCache
from api.jobs.exports import (
    ARCHIVE,
    HEATMAP,
    MASK,
    REGIONS,
    TILES,
    ClassName,
    Download,
    Source,
)
from api.jobs.findings import FindingsOut
from api.jobs.routes import JobId
from api.problems import NOT_FOUND, UNAVAILABLE, ApiError, responses
from api.schemas import timestamp
from wsi_pipeline.errors import ResultError, UsageError
from wsi_pipeline.export.noted_regions import RegionNote, with_notes
from wsi_pipeline.service.jobs.results import JobResult
from wsi_pipeline.service.notes import Note
from wsi_pipeline.stitch.checksums import CheckedStore
from wsi_pipeline.storage import StoredFile

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])

_Services = Annotated[Services, Depends(Services.of)]
_Renderings = Annotated[ExportCache, Depends(ExportCache.of)]
_Conditions = Annotated[Conditions, Depends()]

#: Names of a Zarr store; nothing else is looked for in storage.
_STORE_FILE = re.compile(r"(?:[A-Za-z0-9_]+/)*[A-Za-z0-9_]+(?:\.json)?")
#: What may change: kept by the caller only, and asked for again each time.
_ASK_AGAIN = "private, no-cache"
_OCTETS, _JSON = "application/octet-stream", "application/json"
#: Of the files of a Zarr store.
STORE_TYPES = (_OCTETS, _JSON)


class Links(BaseModel):
    """Where the parts of a result are, below this address."""

    slide: str
    mask: Annotated[str, Field(description="The OME-Zarr store, to be opened by this URL")]
    mask_zip: str
    mask_tiff: str
    heatmap: str
    cells: Annotated[str, Field(description="Raw probabilities for viewers")]
    regions: str
    tiles: str

    @classmethod
    def of(cls, job_id: str, slide_id: str) -> "Links":
        """Of a job."""
        job = f"/v1/jobs/{job_id}"
        return cls(
            slide=f"/v1/slides/{slide_id}",
            mask=f"{job}/mask.zarr",
            mask_zip=f"{job}/{ARCHIVE.name}",
            mask_tiff=f"{job}/{MASK.name}",
            heatmap=f"{job}/{HEATMAP.name}",
            cells=f"{job}/heatmap",
            regions=f"{job}/{REGIONS.name}",
            tiles=f"{job}/{TILES.name}",
        )


class ResultOut(BaseModel):
    """The result of a job."""

    id: Annotated[str, Field(description="Jobs of identical work share it")]
    job_id: str
    created_at: datetime
    findings: FindingsOut
    links: Links


@router.get("/result", responses=responses(404, 409, 422))
def get_result(job_id: JobId, access: Viewer, services: _Services) -> ResultOut:
    """What was found, and where its parts are."""
    found = services.results.of_job(access, job_id)
    return ResultOut(
        id=found.id,
        job_id=job_id,
        created_at=timestamp(found.created_at),
        findings=FindingsOut.of(services.results.summary(found.id)),
        links=Links.of(job_id, found.slide_id),
    )


@router.head(
    "/mask.zarr/{path:path}",
    name="head_mask_file",
    response_class=Response,
    responses=answers(STORE_TYPES, "A file of the store", 404, 409, 422, 503),
)
@router.get(
    "/mask.zarr/{path:path}",
    response_class=Response,
    responses=answers(STORE_TYPES, "A file of the store", 404, 409, 422, 503),
)
def get_mask_file(
    job_id: JobId,
    path: Annotated[str, Path(description="Name of a file in the store, `zarr.json` the first")],
    access: Viewer,
    services: _Services,
    asked: _Conditions,
) -> Response:
    """A file of the mask store, so that Zarr readers open it by its URL.

    A chunk that is not there is answered 404, which readers take for one of fill values.
    """
    return store_file(services, services.results.of_job(access, job_id), path, asked, FOR_EVER)


def store_file(
    services: Services, found: JobResult, path: str, asked: Conditions, caching: str
) -> Response:
    """Answer with a file of a result's store; call it on a worker thread.

    Raises:
        ApiError: there is no such file, or it cannot be reached now.
        ResultError: the bytes asked for are damaged.
    """
    try:
        stored = _stat(services, found, path) if _STORE_FILE.fullmatch(path) else None
        if stored is not None:
            read = functools.partial(_checked_store(services, found).read, path)
            content = Content(stored.size_bytes, stored.etag, read)
            media_type = _JSON if path.endswith(".json") else _OCTETS
            return serve(asked, content, media_type, {"Cache-Control": caching})
    except ResultError as error:
        told = {"result_id": found.id, "cause": error.cause}
        log.error("a stored result is damaged", extra={"facts": told})  # noqa: TRY400 - told is all
        raise
    except (FileNotFoundError, UsageError):
        pass  # deleted between the two calls, or longer than any name is
    except OSError as error:
        facts = {"result_id": found.id, "errno": error.errno}
        log.warning("a result cannot be reached", extra={"facts": facts})
        raise ApiError(UNAVAILABLE, "the result cannot be reached; try again") from None
    raise ApiError(NOT_FOUND, "the store has no such file")


def _stat(services: Services, found: JobResult, path: str) -> StoredFile | None:
    return services.storage.stat(f"{found.location}/{path}")


def _checked_store(services: Services, found: JobResult) -> CheckedStore:
    """The files of a result where they lie; what was altered there is never given away."""

    def read(path: str, start: int, length: int) -> bytes:
        return services.storage.read(f"{found.location}/{path}", start, length)

    def size(path: str) -> int:
        stored = _stat(services, found, path)
        if stored is None:
            raise FileNotFoundError(path)
        return stored.size_bytes

    return CheckedStore(found.id, read, size)


async def _answer(
    download: Download,
    asked: Conditions,
    source: Source,
    renderings: ExportCache,
    of: str | None = None,
    notes: list[Note] | None = None,
) -> Response:
    """A file of a result; with notes in it, which change, if they are given."""
    file = await download.open(renderings, source, of)
    headers = {"Cache-Control": FOR_EVER, **download.headers(source.found.job_id)}

    def respond() -> Response:
        served: io.BufferedReader | io.BufferedRandom = file
        if notes is None:
            # The hash, so that clients can tell whether what arrived is what was sent.
            etag = f'"{renderings.sha256(file)}"'
        else:
            etag, served = _annotated(file, notes)
            headers["Cache-Control"] = _ASK_AGAIN
        size = os.fstat(served.fileno()).st_size
        content = Content(size, etag, functools.partial(_read, served), served.close)
        return serve(asked, content, download.media_type, headers)

    return await run_in_threadpool(respond)


def _add_download(download: Download) -> None:
    """Add the routes of a file: GET, and HEAD, which makes it too, to tell its length."""

    async def get(
        job_id: JobId,
        access: Viewer,
        services: _Services,
        renderings: _Renderings,
        asked: _Conditions,
    ) -> Response:
        source = await run_in_threadpool(Source.of, services, access, job_id)
        return await _answer(download, asked, source, renderings)

    async def get_of(
        job_id: JobId,
        access: Viewer,
        services: _Services,
        renderings: _Renderings,
        asked: _Conditions,
        of: ClassName = None,
    ) -> Response:
        source = await run_in_threadpool(Source.of, services, access, job_id)
        return await _answer(download, asked, source, renderings, of)

    _add_routes(download, get_of if download.of_a_class else get)


def _add_routes(download: Download, get: Callable[..., Awaitable[Response]]) -> None:
    name = download.name.replace(".", "_")
    documented = answers([download.media_type], download.summary, *download.problems)
    for method in ("get", "head"):
        router.add_api_route(
            f"/{download.name}",
            get,
            methods=[method.upper()],
            name=f"{method}_{name}",
            description=download.summary,
            response_class=Response,
            responses=documented,
        )


async def _get_regions(
    job_id: JobId,
    access: Viewer,
    services: _Services,
    renderings: _Renderings,
    asked: _Conditions,
    *,
    notes: Annotated[
        bool, Query(description="With the workspace's notes, as metadata that QuPath shows")
    ] = False,
) -> Response:
    source = await run_in_threadpool(Source.of, services, access, job_id)
    said = await run_in_threadpool(services.notes.of_job, access, job_id) if notes else None
    return await _answer(REGIONS, asked, source, renderings, notes=said)


for _download in (HEATMAP, TILES, MASK, ARCHIVE):
    _add_download(_download)
_add_routes(REGIONS, _get_regions)


def _annotated(file: io.BufferedReader, notes: list[Note]) -> tuple[str, io.BufferedRandom]:
    """A file of regions with notes in it, which nobody keeps, and its ETag."""
    by_region: dict[int, list[RegionNote]] = {}
    for note in notes:
        said = RegionNote(note.key_name, note.verdict, note.comment, timestamp(note.changed_at))
        by_region.setdefault(note.region, []).append(said)
    digest, made = hashlib.sha256(), tempfile.TemporaryFile()  # noqa: SIM115 - closed with the answer
    try:
        with io.TextIOWrapper(file, "utf-8", newline="\n") as lines:
            for line in with_notes(lines, by_region):
                data = line.encode()
                digest.update(data)
                made.write(data)
        made.flush()
    except BaseException:
        made.close()
        raise
    return f'"{digest.hexdigest()}"', made


def _read(file: io.BufferedIOBase, start: int, size: int) -> bytes:
    return os.pread(file.fileno(), size, start)
