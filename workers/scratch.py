"""Folders of unfinished analyses: one for each work, held by one worker at a time.

A folder is called after what decides its content (slide, model, configuration), so that whoever
claims the job next, after a stop or a kill, goes on where it was. It is locked while it is worked
in, by a lock that ends with the process.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path

#: How long to wait for a folder: its worker was killed, and is not quite gone. Longer than that
#: it is held by one that hangs, or was stopped, and whose lease has run out.
_BUSY_SECONDS = 3.0
_LOCK = "lock"
#: Begins the name of a folder that is being removed.
_GONE = ".gone-"


def work_name(slide_sha256: str, model_sha256: str, fingerprint: str) -> str:
    """The name of a work's folder."""
    text = f"{slide_sha256}|{model_sha256}|{fingerprint}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Scratch:
    """The folders of a host's workers.

    Args:
        root: Holds them; made when needed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[Path]:
        """A folder for a work, nobody else's until the end of the block, where it stays."""
        self._root.mkdir(parents=True, exist_ok=True)
        folder, lock = self._free(name)
        try:
            yield folder
        finally:
            os.close(lock)

    def remove(self, folder: Path) -> None:
        """Remove a folder; to be called by its holder."""
        gone = self._root / f"{_GONE}{secrets.token_hex(8)}"
        with contextlib.suppress(FileNotFoundError):
            # At once: nobody finds half of it, and goes on from there.
            folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def sweep(self, wanted: Collection[str]) -> int:
        """Remove folders nobody holds, of works that are not wanted; returns how many."""
        removed = 0
        with contextlib.suppress(FileNotFoundError):
            for folder in list(self._root.iterdir()):
                if folder.name.startswith(_GONE):
                    shutil.rmtree(folder, ignore_errors=True)
                    continue
                if folder.name.partition(".")[0] in wanted:
                    continue
                lock = _locked(folder)
                if lock is not None:
                    self.remove(folder)
                    os.close(lock)
                    removed += 1
        return removed

    def _free(self, name: str) -> tuple[Path, int]:
        deadline = time.monotonic() + _BUSY_SECONDS
        while time.monotonic() < deadline:
            lock = _locked(self._root / name)
            if lock is not None:
                return self._root / name, lock
            time.sleep(0.05)
        number = 2
        while True:
            folder = self._root / f"{name}.{number}"
            lock = _locked(folder)
            if lock is not None:
                return folder, lock
            number += 1


def _locked(folder: Path) -> int | None:
    """A lock on a folder, which is made if it is missing; None if another process has it."""
    path = folder / _LOCK
    while True:
        folder.mkdir(exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # removed between the two calls
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:  # removed meanwhile: this lock holds nothing
            pass
        os.close(descriptor)
