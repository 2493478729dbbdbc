"""What an analysis has finished so far, kept on disk so that a killed run goes on.

A checkpoint is a hidden folder beside the result's final name. Every finished region is a file
of its own, there whole or not at all. A lock that ends with the process keeps a second run away.
"""

import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline import durable
from wsi_pipeline.errors import ResultBusyError, ResultError

_KEY = "analysis.json"


class Checkpoint:
    """The finished regions of one analysis. Use as a context manager, which holds the lock.

    Args:
        final: Where the result will be.
        key: Everything that decides the arrays; regions of another key are thrown away.

    Raises:
        ResultBusyError: another process is at it (on entering).
    """

    def __init__(self, final: Path, key: dict[str, Any]) -> None:
        self._final = final
        self.folder = partial_folder(final)
        self._key = json.dumps(key, sort_keys=True, indent=1)
        self._lock: IO[str] | None = None

    def __enter__(self) -> "Checkpoint":
        self._lock = self._acquire()
        shutil.rmtree(self.store, ignore_errors=True)
        path = self.folder / _KEY
        if not path.exists() or path.read_bytes() != self._key.encode():
            for old in self.folder.glob("region-*"):
                old.unlink()
            durable.write_bytes(path, self._key.encode())
        return self

    def _acquire(self) -> IO[str]:
        while True:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock = (self.folder / "lock").open("a")
            except FileNotFoundError:  # discarded by another run between the two calls
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(lock.fileno()).st_ino == (self.folder / "lock").stat().st_ino:
                    return lock
            except FileNotFoundError:
                pass
            except OSError as error:
                lock.close()
                cause = "another process is analysing this slide"
                raise ResultBusyError(self._final, cause) from error
            # The folder was discarded meanwhile: this lock holds nothing.
            lock.close()

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()

    @property
    def store(self) -> Path:
        """Where the result is written before it is moved to its name."""
        return self.folder / "store"

    def save(self, index: int, values: NDArray[np.float32]) -> None:
        """Keep a finished region; once this returns it survives a crash of the machine."""
        path = self._region(index)
        data = np.ascontiguousarray(values).tobytes()
        durable.write_bytes(path, hashlib.sha256(data).digest() + data)

    def load(self, index: int, count: int | None) -> NDArray[np.float32] | None:
        """A region finished earlier; None if there is none, or not of ``count`` numbers, if any."""
        try:
            data = self._region(index).read_bytes()
        except FileNotFoundError:
            return None
        digest, values = data[:32], data[32:]
        if hashlib.sha256(values).digest() != digest or count not in (None, len(values) / 4):
            return None
        return np.frombuffer(values, np.float32).copy()

    def reload(self, index: int) -> NDArray[np.float32]:
        """A region that was kept or loaded a while ago.

        Raises:
            ResultError: it is gone, or damaged.
        """
        values = self.load(index, None)
        if values is None:
            raise ResultError(
                self._final,
                f"a finished part of it, {self._region(index)}, was removed or damaged meanwhile; "
                "run again",
            )
        return values

    def discard(self) -> None:
        """Remove the folder; called when the result stands in its place."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _region(self, index: int) -> Path:
        return self.folder / f"region-{index:06d}"


def partial_folder(final: Path) -> Path:
    """The checkpoint folder of a result."""
    return final.with_name(f".{final.name}.partial")
