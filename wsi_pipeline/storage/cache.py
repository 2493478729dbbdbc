"""Local copies of what lies in an object store: whole or not at all, and only so many."""

import fcntl
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from wsi_pipeline import durable

#: Copies this process used last, which nobody removes while it lives.
_HELD = 64


class Cache:
    """A folder of copies, shared by processes; what was not used for longest makes room.

    Whoever was given a path keeps a shared lock on the copy, so that another process does not
    remove a slide that is being read; the lock ends with the process. Copies in use may
    therefore take the folder beyond its limit.

    Args:
        folder: Made when something is copied.
        limit_bytes: What the copies may take together.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder.absolute()
        self._limit = limit_bytes
        self._mutex = threading.Lock()
        self._held: OrderedDict[str, int] = OrderedDict()

    def path(self, digest: str, name: str, size: int, fetch: Callable[[Path], None]) -> Path:
        """The copy called ``name`` under ``digest``, made by ``fetch`` if it is not there.

        Args:
            digest: Identifies the content: another content has another one.
            name: Of the file or folder.
            size: Its bytes.
            fetch: Makes it at the path it is given; what it raises is raised here.
        """
        entry = self._folder / digest
        with self._mutex:
            if digest in self._held and (entry / name).exists():
                self._held.move_to_end(digest)
                os.utime(entry)
                return entry / name
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = self._folder / f"{digest}.lock"
        while True:
            held = _lock(lock, fcntl.LOCK_SH)
            if (entry / name).exists():
                break
            os.close(held)
            held = _lock(lock, fcntl.LOCK_EX)
            try:
                if not (entry / name).exists():
                    self._make(entry, name, size, fetch)
            finally:
                # Held shared in the next round, if nobody removes the copy in between.
                os.close(held)
        os.utime(entry)
        self._hold(digest, held)
        return entry / name

    def _make(self, entry: Path, name: str, size: int, fetch: Callable[[Path], None]) -> None:
        self._make_room(size)
        new = entry.with_name(f"{entry.name}.new")
        shutil.rmtree(new, ignore_errors=True)  # of a process that was killed here
        new.mkdir()
        try:
            fetch(new / name)
            durable.sync_tree(new)
            shutil.rmtree(entry, ignore_errors=True)  # without the copy: it is of no use
            durable.publish_folder(new, entry)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _make_room(self, size: int) -> None:
        copies = [
            (entry.stat().st_mtime, entry, _size(entry))
            for entry in self._folder.iterdir()
            if entry.is_dir()
        ]
        total = size + sum(taken for _, _, taken in copies)
        for _, entry, taken in sorted(copies):
            if total <= self._limit:
                break
            # What a killed process left half done is locked by its entry's name too.
            lock = self._folder / f"{entry.name.removesuffix('.new')}.lock"
            try:
                held = _lock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # in use
                continue
            try:
                shutil.rmtree(entry, ignore_errors=True)
                lock.unlink(missing_ok=True)
            finally:
                os.close(held)
            total -= taken

    def _hold(self, digest: str, held: int) -> None:
        with self._mutex:
            earlier = self._held.pop(digest, None)
            self._held[digest] = held
            let_go = [] if earlier is None else [earlier]
            while len(self._held) > _HELD:
                let_go.append(self._held.popitem(last=False)[1])
        for descriptor in let_go:
            os.close(descriptor)


def _lock(path: Path, kind: int) -> int:
    """A lock on a file that still has its name once the lock is held."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, kind)
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except FileNotFoundError:  # removed with its copy, between the calls
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except FileNotFoundError:  # being removed by another process
            continue
    return total
