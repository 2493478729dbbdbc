"""The service from the other side: upload slides, queue jobs, wait, fetch results.

Needs only httpx; imports neither torch nor OpenSlide::

    from wsi_pipeline.client import Client

    with Client("http://127.0.0.1:8000", token) as client:
        slide = client.upload("slide.svs")
        job = client.wait(client.submit(slide.id).id)
        client.fetch(job.id, "mask", "slide.zarr")
"""

from wsi_pipeline.client.client import Client
from wsi_pipeline.client.errors import (
    ClientError,
    RefusedError,
    TransferError,
    UnreachableError,
)
from wsi_pipeline.client.images import ImageJobRecord, ImageRecord
from wsi_pipeline.client.records import (
    Event,
    JobRecord,
    ModelRecord,
    SharedMask,
    SlideRecord,
)

__all__ = [
    "Client",
    "ClientError",
    "Event",
    "ImageJobRecord",
    "ImageRecord",
    "JobRecord",
    "ModelRecord",
    "RefusedError",
    "SharedMask",
    "SlideRecord",
    "TransferError",
    "UnreachableError",
]
