"""Files made of results, kept on disk: each is made once, however many ask for it."""

import asyncio
import contextlib
import hashlib
import io
import logging
import os
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.slides.picture_cache import InFlight
from wsi_pipeline import durable

log = logging.getLogger(__name__)

#: Made at the same time; each may take a core and some hundred MB.
_AT_ONCE = 2
#: What is kept, before the files used longest ago go.
_LIMIT_BYTES = 8 * 2**30
#: Hashes remembered.
_DIGESTS = 10_000
#: Where files are until they are complete; no result's id begins like this.
_NEW = ".new"
#: What a killed process left there is removed after so long, seconds.
_ABANDONED_SECONDS = 3600.0


class ExportCache:
    """The files, ``<result>/<name>`` in a folder. For one event loop, which it never blocks.

    They may be deleted at any time. Several processes may share the folder: a file appears under
    its name when it is complete.

    Args:
        folder: Made when something is kept.
        limit_bytes: What the files may take together.
    """

    def __init__(self, folder: Path, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._bytes: int | None = None
        self._lock = threading.Lock()
        self._digests: dict[tuple[int, int, int], str] = {}
        self._making = InFlight[None]()
        # A pool of its own: requests that wait for a file hold no thread others need.
        self._threads = ThreadPoolExecutor(_AT_ONCE, "rendering")

    @staticmethod
    async def of(request: Request) -> "ExportCache":
        """The application's, for routes."""
        return cast("ExportCache", request.app.state.renderings)

    async def open(
        self, result_id: str, name: str, write: Callable[[Path], None]
    ) -> io.BufferedReader:
        """A file of a result, open for reading.

        Args:
            result_id: The result.
            name: Of the file.
            write: Writes it to the path it is given; runs on a thread, if it is not there.

        Raises what ``write`` raises.
        """
        path = self._folder / result_id / name
        while True:
            try:
                return await run_in_threadpool(_open, path)
            except FileNotFoundError:
                await self._making.get(path, lambda: self._made(path, write))

    def sha256(self, file: io.BufferedReader) -> str:
        """Of all bytes of an open file; computed once. Call it on a worker thread."""
        status = os.fstat(file.fileno())
        version = (status.st_ino, status.st_size, status.st_mtime_ns)
        digest = self._digests.get(version)
        if digest is None:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if len(self._digests) >= _DIGESTS:
                self._digests.clear()
            self._digests[version] = digest
        return digest

    def close(self) -> None:
        """Wait for what is being made; what waits is not begun."""
        self._threads.shutdown(cancel_futures=True)

    async def _made(self, path: Path, write: Callable[[Path], None]) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._make, path, write)

    def _make(self, path: Path, write: Callable[[Path], None]) -> None:
        if path.exists():  # another process was faster
            return
        began = time.perf_counter()
        new = self._folder / _NEW / secrets.token_hex(16)
        new.mkdir(parents=True)
        try:
            write(new / path.name)
            size = (new / path.name).stat().st_size
            path.parent.mkdir(exist_ok=True)
            durable.put_in_place(new / path.name, path)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        seconds = round(time.perf_counter() - began, 3)
        facts = {"result_id": path.parent.name, "file": path.name, "seconds": seconds}
        log.info("rendered", extra={"facts": facts})
        self._make_room(path, size)

    def _make_room(self, made: Path, added: int) -> None:
        with self._lock:
            # Counted once; others that share the folder make it a little wrong, which only
            # means that it is counted anew later or sooner.
            self._bytes = None if self._bytes is None else self._bytes + added
            if self._bytes is not None and self._bytes <= self._limit:
                return
            self._remove_abandoned()
            files = _files(self._folder)
            self._bytes = sum(size for _, _, size in files)
            for _, path, size in sorted(files):
                if self._bytes <= self._limit:
                    break
                if path != made:  # whoever asked for it has not opened it yet
                    path.unlink(missing_ok=True)
                    self._bytes -= size

    def _remove_abandoned(self) -> None:
        for left in (self._folder / _NEW).iterdir():
            with contextlib.suppress(FileNotFoundError):  # its owner has just finished
                if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)


def _files(folder: Path) -> list[tuple[int, Path, int]]:
    """When each was last used, ns since 1970, the file, and its bytes."""
    found = []
    for path in folder.glob("*/*"):
        with contextlib.suppress(FileNotFoundError):  # removed by another process
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                found.append((status.st_atime_ns, path, status.st_size))
    return found


def _open(path: Path) -> io.BufferedReader:
    file = path.open("rb")
    # Told apart by when they were last used, which the file system need not keep by itself.
    os.utime(file.fileno(), ns=(time.time_ns(), os.fstat(file.fileno()).st_mtime_ns))
    return file
