"""What the service needs of a place to keep files."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One stored file.

    Attributes:
        key: Its name, ``/``-separated.
        size_bytes: Its length.
        etag: Changes with its content; quoted as HTTP wants it.
        modified_at: When it was written, s since 1970; infinity if nobody knows.
    """

    key: str
    size_bytes: int
    etag: str
    modified_at: float = math.inf


class Storage(Protocol):
    """Keeps files and whole trees under keys. Safe to share between threads.

    A tree becomes visible as a whole: readers that go by :meth:`has_tree` see none of it or all.
    """

    def put_file(self, key: str, source: Path, *, move: bool = False) -> None:
        """Keep a file durably; with ``move`` the source is gone afterwards.

        Readers see the old file or the new one, never part.
        """
        ...

    def put_tree(self, key: str, source: Path, *, move: bool = False) -> None:
        """Keep a folder durably, all of it or nothing: on an object store its root manifest last.

        A tree that is there already under this key is left as it is.
        """
        ...

    def has_tree(self, key: str) -> bool:
        """Whether a complete tree is kept under this key."""
        ...

    def stat(self, key: str) -> StoredFile | None:
        """Size and ETag of a file; None if there is none."""
        ...

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of a file.

        Raises:
            FileNotFoundError: there is none.
        """
        ...

    def list(self, prefix: str) -> Iterator[StoredFile]:
        """Files under a prefix, in order of their keys; all of them if it is empty."""
        ...

    def local_path(self, key: str, cache: Path) -> Path:
        """A path under which a file or tree can be opened on this host.

        An object store's is copied into ``cache`` first, once, whole or not at all.

        Raises:
            FileNotFoundError: there is none.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove a file or tree, if it is there; a tree's root manifest first."""
        ...

    def check(self) -> None:
        """Write, read and remove something small.

        Raises:
            OSError: that did not work; the message says why.
        """
        ...
