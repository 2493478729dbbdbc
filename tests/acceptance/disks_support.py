"""Disks so small that tests can fill them."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Disk:
    """A small file system.

    Attributes:
        folder: Where it is mounted.
    """

    folder: Path

    @property
    def free(self) -> int:
        """Bytes that can still be written."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    @contextlib.contextmanager
    def filled(self, leave: int = 0) -> Iterator[None]:
        """Nothing, or so many bytes, can be written until the end of the block."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file:
            for size in (2**20, 4096):
                with contextlib.suppress(OSError):
                    while self.free - size >= leave and file.write(bytes(size)):
                        pass
        try:
            yield
        finally:
            filler.unlink()


@contextlib.contextmanager
def small_disk(size: int) -> Iterator[Disk]:
    """A file system of so many bytes in memory.

    Skips the test where this user may mount nothing.
    """
    # Not in pytest's folders: what a killed test leaves mounted, the next ones could not remove.
    folder = Path(tempfile.mkdtemp(prefix="disk-"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "none", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        folder.rmdir()
        pytest.skip("a small disk is mounted by root only, and not in every container")
    try:
        yield Disk(folder)
    finally:
        # Out of sight at once, and gone with the last process that still has a file open.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()
