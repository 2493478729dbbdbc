"""The storage of an address."""

from pathlib import Path

from wsi_pipeline.errors import UsageError
from wsi_pipeline.storage.local import LocalStorage
from wsi_pipeline.storage.storage import Storage


def open_storage(address: str) -> Storage:
    """The storage at a folder's path or an ``s3://bucket/prefix`` address.

    Raises:
        UsageError: the address is of neither kind.
    """
    if address.startswith("s3://"):
        from wsi_pipeline.storage.objects import ObjectStorage  # noqa: PLC0415 - imports obstore

        return ObjectStorage(address)
    if "://" in address:
        raise UsageError(f"storage address {address!r}; use a folder or s3://bucket/prefix")
    return LocalStorage(Path(address))
