"""``/v1/images/labels.…``: labels as a table, and with their images, as ``wsi train`` takes them.

The archive is written while it is sent: it takes no room on a disk, and of the memory a piece.
"""

import io
import time
import zipfile
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from api.access import Viewer
from api.dependencies import Services
from api.images.schemas import ID
from api.problems import responses
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.image_labels import By, LabelledRow
from wsi_pipeline.service.jobs.requests import NotThereError
from wsi_pipeline.service.label_table import (
    DISAGREEMENTS,
    TABLE,
    archive_paths,
    disagreements,
    label_table,
)

router = APIRouter(prefix="/v1/images", tags=["images"])

_PIECE = 2**20
_Services = Annotated[Services, Depends(Services.of)]
_CSV, _ZIP = "text/csv", "application/zip"
_Job = Annotated[str | None, Query(pattern=ID, description="Only images of this job")]
_By = Annotated[
    By,
    Query(
        description="me: the caller's labels; everyone: all users', without the images about "
        "which they disagree"
    ),
]


@router.get(
    "/labels.csv",
    response_class=Response,
    responses={200: {"content": {_CSV: {}}, "description": "The table"}, **responses(404, 422)},
)
def get_labels_csv(
    access: Viewer, services: _Services, job: _Job = None, by: _By = By.ME
) -> Response:
    """Labelled images as a table. `path` is the name as it was given; groups are not known."""
    rows = _rows(services, access, job, by)
    headers = {"Content-Disposition": f'attachment; filename="{TABLE}"'}
    return Response(label_table(rows), media_type=_CSV, headers=headers)


@router.get(
    "/labels.zip",
    response_class=Response,
    responses={
        200: {
            "content": {_ZIP: {"schema": {"type": "string", "format": "binary"}}},
            "description": "The table and the images",
        },
        **responses(404, 422),
    },
)
def get_labels_zip(
    access: Viewer, services: _Services, job: _Job = None, by: _By = By.ME
) -> Response:
    """The table with its images, as `wsi train --images labels.csv` takes it once unpacked.

    Names are made safe and different. Images about which users disagree are not in it;
    `disagreements.csv` lists them.
    """
    rows = _rows(services, access, job, by)
    headers = {"Content-Disposition": 'attachment; filename="labels.zip"'}
    return StreamingResponse(_archive(services, access, rows), 200, headers, _ZIP)


def _rows(services: Services, access: Access, job: str | None, by: By) -> list[LabelledRow]:
    if job is not None:
        services.image_jobs.get(access, job)
    return services.image_labels.table(access, by, job)


def _archive(services: Services, access: Access, rows: list[LabelledRow]) -> Iterator[bytes]:
    """The archive in pieces. The tables come last: they speak of what is in it.

    Raises:
        FileNotFoundError: the bytes of an image are gone; the answer ends in the middle.
    """
    agreed = [row for row in rows if row.agreed is not None]
    paths = archive_paths(agreed)
    sent = _Pieces()
    written = []
    # Images are compressed already.
    with zipfile.ZipFile(sent, "w", zipfile.ZIP_STORED) as archive:
        for row in agreed:
            when = time.gmtime(row.created_at)[:6]
            try:
                first = services.storage.read(row.location, 0, _PIECE)
            except FileNotFoundError:
                if _is_deleted(services, access, row):
                    continue
                raise
            with archive.open(zipfile.ZipInfo(paths[row.image_id], when), "w") as file:
                file.write(first)
                for start in range(_PIECE, row.size_bytes, _PIECE):
                    yield from sent.taken()
                    file.write(services.storage.read(row.location, start, _PIECE))
            written.append(row)
            yield from sent.taken()
        archive.writestr(TABLE, label_table(written, paths))
        apart = [row for row in rows if row.agreed is None]
        if apart:
            archive.writestr(DISAGREEMENTS, disagreements(apart))
    yield from sent.taken()


def _is_deleted(services: Services, access: Access, row: LabelledRow) -> bool:
    """Whether an image was deleted since its labels were read."""
    try:
        services.images.get(access, row.image_id)
    except NotThereError:
        return True
    return False


class _Pieces(io.RawIOBase):
    """A file that only grows, whose bytes are taken out while it does."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # zipfile writes bytes
        """Append bytes."""
        self._bytes += data
        return len(data)

    def taken(self) -> Iterator[bytes]:
        """What was written since the last time."""
        if self._bytes:
            yield bytes(self._bytes)
            self._bytes.clear()
