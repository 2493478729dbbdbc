"""Where slides and results lie: a folder, or an object store."""

from wsi_pipeline.storage.storage import Storage, StoredFile, open_storage

__all__ = ["Storage", "StoredFile", "open_storage"]
