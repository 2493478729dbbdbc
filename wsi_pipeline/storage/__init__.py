"""Where slides and results lie: a folder, or an object store."""

from wsi_pipeline.storage.opening import open_storage
from wsi_pipeline.storage.storage import Storage, StoredFile

__all__ = ["Storage", "StoredFile", "open_storage"]
