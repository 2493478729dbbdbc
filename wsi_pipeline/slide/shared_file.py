"""A file that many threads read at places, closed with its last user."""

import os
from pathlib import Path


class SharedFile:
    """An open file without a position; safe to share between threads.

    It is closed by :meth:`close`, or when nobody holds it any longer: a run goes on to the next
    slide while a region of the last one may still read it, so nobody there can say when to close.

    Args:
        path: The file.

    Raises:
        OSError: it cannot be opened.
    """

    #: For one that was never opened, or is closed: every call then fails.
    _descriptor = -1

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return os.fstat(self._descriptor).st_size

    def read(self, start: int, count: int) -> bytes:
        """Bytes from a place on; fewer where the file ends before.

        Args:
            start: Of the first byte.
            count: How many.

        Raises:
            OSError: it cannot be read, or was closed.
        """
        parts: list[bytes] = []
        while count and (part := os.pread(self._descriptor, count, start)):
            parts.append(part)
            start, count = start + len(part), count - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close it; once is as good as twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
