"""Promising room for what is uploaded, and giving it up; all of it blocks."""

from api.dependencies import Services
from api.problems import NO_SPACE, ApiError
from wsi_pipeline.errors import WsiError
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.jobs.requests import ConflictError
from wsi_pipeline.service.upload import Upload

#: Left free on the disk for everything else.
_SPARE_BYTES = 64 * 2**20


def begin_upload(
    services: Services,
    access: Access,
    name: str,
    length: int,
    metadata: str = "",
    lifetime_seconds: float | None = None,
) -> Upload:
    """Promise room for an upload, on the disk too; blocks.

    Raises:
        TooLargeError: a limit does not allow it.
        ApiError: the disk does not.
    """
    if length <= services.uploads.max_bytes:
        check_disk(services, length)
    return services.uploads.create(access, name, length, metadata, lifetime_seconds)


def check_disk(services: Services, length: int) -> None:
    """Refuse what the disk has no room for; blocks.

    Raises:
        ApiError: the disk has no room for so many bytes.
    """
    if length + _SPARE_BYTES > services.upload_files.free_bytes:
        detail = "the disk has no space for an upload of this length"
        raise ApiError(NO_SPACE, detail, {"Retry-After": "60"})


def give_up(services: Services, access: Access, upload: Upload) -> None:
    """Drop an upload whose client will not come back; blocks."""
    try:
        services.uploads.terminate(access, upload.id)
    except ConflictError:
        return  # complete: the client left when everything was there
    except WsiError:
        pass  # over already
    services.upload_files.remove(upload.id)
