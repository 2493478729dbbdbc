"""Storing what was made in memory: storage takes files."""

import contextlib
import os
import tempfile
import time
from pathlib import Path

from wsi_pipeline.storage import Storage

#: What a killed process left is removed after so long, seconds.
_ABANDONED_SECONDS = 3600.0


class Outbox:
    """A folder in which files lie until they are stored. Safe to share between threads.

    Args:
        storage: Where they go.
        folder: Of this host's processes together; made if it is missing.
    """

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage, self._folder = storage, folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process removes it, too
                if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                    left.unlink()

    def put(self, key: str, content: bytes) -> None:
        """Store a file durably, in place of one that is there.

        Raises:
            OSError: it cannot be stored.
        """
        number, name = tempfile.mkstemp(dir=self._folder)
        path = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
            self._storage.put_file(key, path, move=True)
        finally:
            path.unlink(missing_ok=True)
