"""``/v1/jobs/{id}/…``: what an analysis found, as numbers, as the store itself, and as files.

A job without a result is answered 409 with its state. Everything below a job that has one never
changes; it goes with the job.
"""

import functools
import gzip
import io
import logging
import os
import re
from datetime import datetime
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from api.access import Viewer
from api.downloads import ARCHIVE, HEATMAP, MASK, REGIONS, TILES, Download, Source
from api.findings import FindingsOut
from api.jobs import JobId
from api.models import timestamp
from api.problems import NOT_FOUND, UNAVAILABLE, ApiError, responses
from api.renderings import Renderings
from api.services import Services
from api.serving import FOR_EVER, Conditions, Content, answers, matches, serve
from wsi_pipeline.errors import UsageError

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])

_Services = Annotated[Services, Depends(Services.of)]
_Renderings = Annotated[Renderings, Depends(Renderings.of)]
_Conditions = Annotated[Conditions, Depends()]

#: Names of a Zarr store; nothing else is looked for in storage.
_STORE_FILE = re.compile(r"(?:[A-Za-z0-9_]+/)*[A-Za-z0-9_]+(?:\.json)?")
#: Most levels and tiles along a side that a grid can have, generously.
_MOST = 100_000
#: Raised when the same cells would come out as other bytes.
_CELL_FORMAT = 1
_OCTETS, _JSON = "application/octet-stream", "application/json"


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


class CellLevelOut(BaseModel):
    """One level of cells; each cell of a coarser one holds the maximum of 2 × 2."""

    columns: int
    rows: int
    cell_px: Annotated[float, Field(description="Side of a cell in level-0 px")]
    tile_columns: int
    tile_rows: int


class CellsOut(BaseModel):
    """How to read the tiles of raw cells.

    A tile's bytes are two planes of `rows * columns` cells, row by row: the probability as uint16,
    little-endian, then the coverage as uint8. Tiles in the last column and row are smaller.
    """

    tile_cells: Annotated[int, Field(description="Side of a tile in cells")]
    steps: Annotated[int, Field(description="The number that stands for a probability of 1")]
    not_classified: Annotated[int, Field(description="The number of cells without a probability")]
    threshold: Annotated[float, Field(description="The result's own")]
    threshold_step: Annotated[
        int, Field(description="Cells of this number and above are tumour in the mask, no others")
    ]
    coverage: Annotated[dict[str, int], Field(description="Numbers of the coverage classes")]
    levels: Annotated[list[CellLevelOut], Field(description="Finest first")]


@router.get("/result", responses=responses(404, 409, 422))
def get_result(job_id: JobId, access: Viewer, services: _Services) -> ResultOut:
    """What was found, and where its parts are."""
    found = services.results.of_job(access, job_id)
    return ResultOut(
        id=found.id,
        job_id=job_id,
        created_at=timestamp(found.created_at),
        findings=FindingsOut.model_validate(services.results.summary(found.id)),
        links=Links.of(job_id, found.slide_id),
    )


@router.head(
    "/mask.zarr/{path:path}",
    name="head_mask_file",
    response_class=Response,
    responses=answers((_OCTETS, _JSON), "A file of the store", 404, 409, 422, 503),
)
@router.get(
    "/mask.zarr/{path:path}",
    response_class=Response,
    responses=answers((_OCTETS, _JSON), "A file of the store", 404, 409, 422, 503),
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
    found = services.results.of_job(access, job_id)
    key = f"{found.location}/{path}"
    try:
        stored = services.storage.stat(key) if _STORE_FILE.fullmatch(path) else None
        if stored is not None:
            read = functools.partial(services.storage.read, key)
            content = Content(stored.size_bytes, stored.etag, read)
            media_type = _JSON if path.endswith(".json") else _OCTETS
            return serve(asked, content, media_type, {"Cache-Control": FOR_EVER})
    except (FileNotFoundError, UsageError):
        pass  # deleted between the two calls, or longer than any name is
    except OSError as error:
        facts = {"result_id": found.id, "errno": error.errno}
        log.warning("a result cannot be reached", extra={"facts": facts})
        raise ApiError(UNAVAILABLE, "the result cannot be reached; try again") from None
    raise ApiError(NOT_FOUND, "the store has no such file")


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
        file = await download.open(renderings, source)
        headers = {"Cache-Control": FOR_EVER, **download.headers(job_id)}

        def respond() -> Response:
            # The hash, so that clients can tell whether what arrived is what was sent.
            etag = f'"{renderings.sha256(file)}"'
            size = os.fstat(file.fileno()).st_size
            content = Content(size, etag, functools.partial(_read, file), file.close)
            return serve(asked, content, download.media_type, headers)

        return await run_in_threadpool(respond)

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


for _download in (HEATMAP, REGIONS, TILES, MASK, ARCHIVE):
    _add_download(_download)


def _read(file: io.BufferedReader, start: int, size: int) -> bytes:
    return os.pread(file.fileno(), size, start)


@router.get("/heatmap", responses=responses(404, 409, 422, 503))
def get_cells(job_id: JobId, access: Viewer, services: _Services) -> CellsOut:
    """How the raw cells of the result are cut into tiles, for viewers that colour them."""
    from wsi_pipeline.export import cell_tiles  # noqa: PLC0415 - imports Zarr
    from wsi_pipeline.tiles.plan import Coverage  # noqa: PLC0415 - with the rest

    result = Source.of(services, access, job_id).result()
    levels = cell_tiles.cell_levels(result)
    return CellsOut(
        tile_cells=cell_tiles.TILE,
        steps=cell_tiles.STEPS,
        not_classified=cell_tiles.NOT_CLASSIFIED,
        threshold=result.threshold,
        threshold_step=cell_tiles.threshold_step(result.threshold),
        coverage={item.name.lower(): int(item) for item in Coverage},
        levels=[
            CellLevelOut(
                columns=level.columns,
                rows=level.rows,
                cell_px=level.cell_px_0,
                tile_columns=level.tiles[0],
                tile_rows=level.tiles[1],
            )
            for level in levels
        ],
    )


@router.get(
    "/heatmap/{level}/{column}_{row}",
    response_class=Response,
    responses={
        200: {
            "content": {_OCTETS: {"schema": {"type": "string", "format": "binary"}}},
            "description": "The two planes of the tile",
        },
        304: {"description": "The client has it"},
        **responses(404, 409, 422, 503),
    },
)
async def get_cell_tile(
    job_id: JobId,
    level: Annotated[int, Path(ge=0, le=_MOST, description="0 is the grid itself")],
    column: Annotated[int, Path(ge=0, le=_MOST)],
    row: Annotated[int, Path(ge=0, le=_MOST)],
    access: Viewer,
    services: _Services,
    renderings: _Renderings,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
    accept_encoding: Annotated[str, Header(alias="Accept-Encoding")] = "",
) -> Response:
    """A tile of raw cells: probabilities, then coverage, as `heatmap` explains."""
    source = await run_in_threadpool(Source.of, services, access, job_id)
    etag = f'"{source.found.id}-{level}-{column}-{row}-{_CELL_FORMAT}"'
    headers = {"ETag": etag, "Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
    if matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)

    def write(path: FilePath) -> None:
        from wsi_pipeline.export.cell_tiles import encode_tile  # noqa: PLC0415 - imports Zarr

        packed = encode_tile(source.result(), level, column, row)
        if packed is None:
            raise ApiError(NOT_FOUND, f"there is no tile ({column}, {row}) at level {level}")
        path.write_bytes(packed)

    name = f"cells-{level}-{column}-{row}.{_CELL_FORMAT}.gz"
    file = await renderings.open(source.found.id, name, write)

    def read() -> bytes:
        with file:
            return file.read() if packed else gzip.decompress(file.read())

    packed = _takes_gzip(accept_encoding)
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(await run_in_threadpool(read), media_type=_OCTETS, headers=headers)


def _takes_gzip(accepted: str) -> bool:
    """Whether ``Accept-Encoding`` allows gzip (RFC 9110, 12.5.3)."""
    for offer in accepted.lower().split(","):
        coding, *parameters = (part.strip() for part in offer.split(";"))
        if coding in ("gzip", "*"):
            return not any(re.fullmatch(r"q=0(\.0*)?", part) for part in parameters)
    return False
