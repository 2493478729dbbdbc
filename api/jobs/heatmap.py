"""``/v1/jobs/{id}/heatmap``: raw cells of a result in tiles, for viewers that colour them."""

import gzip
import re
from pathlib import Path as FilePath
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from api.access import Viewer
from api.dependencies import Services
from api.http.content import FOR_EVER, matches
from api.jobs.export_cache import ExportCache
from api.jobs.exports import ClassName, Source, key_of
from api.jobs.findings import ClassOut
from api.jobs.routes import JobId
from api.problems import INVALID, NOT_FOUND, ApiError, responses
from wsi_pipeline.classes import Task

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])

_Services = Annotated[Services, Depends(Services.of)]
_Renderings = Annotated[ExportCache, Depends(ExportCache.of)]

#: Most levels and tiles along a side that a grid can have, generously.
_MOST = 100_000
#: :data:`wsi_pipeline.export.cell_tiles.FORMAT`, which to import would load Zarr; a test holds
#: both together.
_CELL_FORMAT = 4
_OCTETS = "application/octet-stream"


class CellLevelOut(BaseModel):
    """One level of cells; each cell of a coarser one holds the maximum of 2 × 2."""

    columns: int
    rows: int
    cell_px: Annotated[float, Field(description="Width of a cell in level-0 px")]
    cell_height_px: Annotated[
        float,
        Field(description="Its height in level-0 px: another one where the px are not square"),
    ]
    tile_columns: int
    tile_rows: int


class ReasonOut(BaseModel):
    """Why a cell cannot be judged well."""

    bit: Annotated[int, Field(description="Of the numbers of cells, which are sums of bits")]
    key: str
    text: str
    colour: Annotated[str, Field(description="#rrggbb of its marks")]


class TileNumberOut(BaseModel):
    """A number that the result keeps of each tile beside probability and tissue."""

    name: Annotated[
        Literal["distance", "nearest", "spread"],
        Field(
            description="`distance` from the training data, from the `nearest` training tile, "
            "`spread` of the answers for eight orientations"
        ),
    ]
    step: Annotated[float, Field(description="What a step of the cells stands for")]
    held_out: Annotated[
        float | None,
        Field(
            description="The same of tiles held out when the model was trained: of `distance` 99 % "
            "of them are below, of `nearest` it is their median; null: not kept"
        ),
    ]


class CellsOut(BaseModel):
    """How to read the tiles of raw cells.

    A tile's bytes are planes of `rows * columns` cells, row by row: the probability as uint16,
    little-endian; then the coverage as uint8; then the share of tissue as uint8; then what quality
    control found as uint8; then each of `numbers` as uint16. Tiles in the last column and row are
    smaller.

    The probability is that of the positive class, or of the one that `class` names. With
    `labels=true` the first plane holds the label of each cell instead: multiclass the most likely
    class, binary 1 at and above the threshold, multilabel the most likely class at or above it. In
    coarser levels the label is that of the largest probability of each class.
    """

    format: Annotated[int, Field(description="Of the tiles; 4 has the planes described here")]

    tile_cells: Annotated[int, Field(description="Side of a tile in cells")]
    steps: Annotated[int, Field(description="Value of a probability of 1")]
    not_classified: Annotated[int, Field(description="Value of cells without a probability")]
    threshold: Annotated[float, Field(description="Threshold of the result")]
    threshold_step: Annotated[
        int, Field(description="Cells of this number and above reach the threshold, no others")
    ]
    coverage: Annotated[dict[str, int], Field(description="Numbers of the coverage classes")]
    tissue_steps: Annotated[
        int,
        Field(
            description="Value of a cell that is all tissue: the mean over the "
            "patches the cell's probability is made of"
        ),
    ]
    tissue_unknown: Annotated[
        int, Field(description="The number of cells that no patch covers: glass, or not scanned")
    ]
    quality: Annotated[
        list[ReasonOut],
        Field(description="What quality control looks for; empty where it did not look"),
    ]
    quality_unknown: Annotated[
        int, Field(description="The number of cells that quality control did not look at")
    ]
    numbers: Annotated[
        list[TileNumberOut],
        Field(description="Other numbers of each tile, in the order of their planes"),
    ]
    number_unknown: Annotated[
        int, Field(description="The value of cells of which such a number is not known")
    ]
    levels: Annotated[list[CellLevelOut], Field(description="Finest first")]
    task: Annotated[Task, Field(description="How the classes exclude one another")]
    classes: Annotated[
        list[ClassOut],
        Field(description="What the labels stand for; those with a colour have probabilities"),
    ]
    positive: Annotated[
        str,
        Field(
            description="The class shown where none is named; `attention` of an encoder, which has "
            "no classes"
        ),
    ]
    attention: Annotated[
        bool,
        Field(
            description="Whether `class=attention` gives where the networks of the slide's answer "
            "look: the rank of each cell within the slide in place of a probability"
        ),
    ]


@router.get("/heatmap", responses=responses(404, 409, 422, 503))
def get_cells(job_id: JobId, access: Viewer, services: _Services) -> CellsOut:
    """How the raw cells of the result are cut into tiles, for viewers that colour them."""
    from wsi_pipeline.export import cell_tiles, tile_means  # noqa: PLC0415 - imports Zarr
    from wsi_pipeline.quality.reasons import FACTS, NOT_LOOKED_AT  # noqa: PLC0415 - with the rest
    from wsi_pipeline.stitch.layout import ATTENTION  # noqa: PLC0415 - with the rest
    from wsi_pipeline.tiles.plan import Coverage  # noqa: PLC0415 - with the rest

    result = Source.of(services, access, job_id).result()
    levels = cell_tiles.cell_levels(result)
    return CellsOut(
        format=cell_tiles.FORMAT,
        tile_cells=cell_tiles.TILE,
        steps=cell_tiles.STEPS,
        not_classified=cell_tiles.NOT_CLASSIFIED,
        threshold=result.threshold,
        threshold_step=cell_tiles.threshold_step(result.threshold),
        coverage={item.name.lower(): int(item) for item in Coverage},
        tissue_steps=tile_means.STEPS,
        tissue_unknown=tile_means.UNKNOWN,
        quality=[
            ReasonOut(
                bit=int(reason),
                key=facts.key,
                text=facts.text,
                colour=f"#{bytes(facts.rgb).hex()}",
            )
            for reason, facts in FACTS.items()
            if result.has_quality
        ],
        quality_unknown=NOT_LOOKED_AT,
        numbers=[
            TileNumberOut(name=one.name, step=one.step, held_out=one.held_out)
            for one in tile_means.tile_numbers(result)
        ],
        number_unknown=tile_means.NUMBER_UNKNOWN,
        levels=[
            CellLevelOut(
                columns=level.columns,
                rows=level.rows,
                cell_px=level.cell_0.x,
                cell_height_px=level.cell_0.y,
                tile_columns=level.tiles[0],
                tile_rows=level.tiles[1],
            )
            for level in levels
        ],
        task=result.classes.task,
        classes=ClassOut.all_of(result.classes),
        positive=result.classes.positive or (ATTENTION if result.has_attention else ""),
        attention=result.has_attention,
    )


@router.get(
    "/heatmap/{level}/{column}_{row}",
    response_class=Response,
    responses={
        200: {
            "content": {_OCTETS: {"schema": {"type": "string", "format": "binary"}}},
            "description": "The planes of the tile",
        },
        304: {"description": "Not modified"},
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
    *,
    of: ClassName = None,
    labels: Annotated[
        bool, Query(description="The label of each cell in place of a probability; without `class`")
    ] = False,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
    accept_encoding: Annotated[str, Header(alias="Accept-Encoding")] = "",
) -> Response:
    """A tile of raw cells: probabilities of a class or labels, coverage, tissue, quality and more.

    `heatmap` explains them.
    """
    if labels and of is not None:
        raise ApiError(INVALID, "labels are of all classes: ask for them without a class")
    plane = "labels" if labels else key_of(of)
    source = await run_in_threadpool(Source.of, services, access, job_id)
    etag = f'"{source.found.id}-{level}-{column}-{row}-{_CELL_FORMAT}{plane and f"-{plane}"}"'
    headers = {"ETag": etag, "Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
    if matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)

    def write(path: FilePath) -> None:
        from wsi_pipeline.export import cell_tiles  # noqa: PLC0415 - imports Zarr

        result = source.result()
        if labels:
            packed = cell_tiles.encode_label_tile(result, level, column, row)
        else:
            packed = cell_tiles.encode_tile(result, level, column, row, of)
        if packed is None:
            raise ApiError(NOT_FOUND, f"there is no tile ({column}, {row}) at level {level}")
        path.write_bytes(packed)

    name = f"cells-{level}-{column}-{row}.{_CELL_FORMAT}{plane and f'.{plane}'}.gz"
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
