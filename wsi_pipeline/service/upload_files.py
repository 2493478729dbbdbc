"""The folder where uploads grow: one file each, one writer at a time, durable before it counts."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from wsi_pipeline import durable
from wsi_pipeline.errors import WsiError


class LockedError(WsiError):
    """Another request is writing this upload."""


class UploadFiles:
    """The folder.

    Args:
        folder: Made if it is not there; nobody but the service's user can look into it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder

    def path(self, name: str) -> Path:
        """Where the file of this name is."""
        return self.folder / name

    def open(self, upload_id: str) -> "GrowingFile":
        """Become the one writer of an upload's file, which is made if it is not there.

        Raises:
            LockedError: there is one.
        """
        return GrowingFile(self.path(upload_id))

    def remove(self, name: str) -> None:
        """Remove a file or folder, if it is there."""
        path = self.path(name)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def sweep(self, needed: Callable[[], set[str]]) -> list[str]:
        """Remove what nobody needs; returns the names.

        Args:
            needed: Says which names are needed; a suffix after a dot does not count. It is asked
                after the folder was listed, so that what came in between is not taken for waste.
        """
        found = [path.name for path in self.folder.iterdir()]
        keep = needed() if found else set()
        waste = [name for name in found if name.partition(".")[0] not in keep]
        for name in waste:
            self.remove(name)
        return waste

    def sweep_old(self, seconds: float) -> list[str]:
        """Remove files that nobody wrote for so long; returns their names.

        Of a folder whose files live for one request: what is older was left by one that was killed.
        """
        names = []
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # its request has just ended
                if time.time() - path.stat().st_mtime > seconds:
                    self.remove(path.name)
                    names.append(path.name)
        return names

    @property
    def free_bytes(self) -> int:
        """Room on the disk."""
        return shutil.disk_usage(self.folder).free


class GrowingFile:
    """An upload's file and the right to write it, which ends with :meth:`close` or the process.

    Every method may block.

    Args:
        path: The file.

    Raises:
        LockedError: another has that right.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self.path = path
        self.position = 0
        self._name_is_safe = False
        self._fd = os.open(path, flags, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise LockedError("another request is writing this upload") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Bytes on disk, safe or not."""
        return os.fstat(self._fd).st_size

    def cut(self, length: int) -> None:
        """Drop what lies beyond ``length``; the next bytes go there."""
        if self.size > length:
            os.ftruncate(self._fd, length)
        self.position = length

    def write(self, data: bytes) -> None:
        """Append, all of it or an error.

        Raises:
            OSError: the disk is full or broken; :meth:`cut` restores what was.
        """
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._fd, rest, self.position)
            self.position += written
            rest = rest[written:]

    def sync(self) -> None:
        """Return when what was written survives a power cut, the file's name included."""
        os.fdatasync(self._fd)
        if self._name_is_safe:
            return
        durable.sync(self.path.parent)
        self._name_is_safe = True

    def close(self) -> None:
        """Give the right up."""
        if self._fd >= 0:
            # Not by closing alone: a child process that is being started has the file open, too,
            # until it runs its program, and would keep the lock as long.
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            os.close(self._fd)
            self._fd = -1
