"""Slides that are named by an address: which files and objects may be used at all.

Everything that may not is answered the same: whether there is such a file, a link that leads
out, or nothing, is not for the caller to know. No address is ever connected to; a bucket is one
of the configured ones or none.
"""

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from api.problems import INVALID, ApiError
from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.slides import LINKED
from wsi_pipeline.storage import Storage, open_storage

#: Files of one slide at most.
_MAX_FILES = 20_000
_MAX_ADDRESS = 4096
_MRXS = ".mrxs"
OBJECT = "s3://"


@dataclass(frozen=True, slots=True)
class Link:
    """A slide found at an address.

    Attributes:
        source: ``file:`` and its path, or the object's address.
        name: Last part of it.
        size_bytes: Of its files together.
        is_object: Whether it has to be fetched, and is then kept here.
    """

    source: str
    name: str
    size_bytes: int
    is_object: bool


class Links:
    """Finds what may be used.

    Args:
        roots: Folders whose files may be.
        buckets: ``s3://bucket/prefix`` addresses whose objects may be.
        private: The service's own folder: of what is in there nothing may be.
        watched: Folders whose files workers link by themselves.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        buckets: Sequence[str],
        private: Path,
        watched: Sequence[Path] = (),
    ) -> None:
        self._roots = tuple(roots)
        self._watched = tuple(watched)
        self._buckets = tuple(bucket.rstrip("/") for bucket in buckets)
        self._private = private

    def find(self, uri: str) -> Link:
        """The slide at an address: ``file:///path``, ``/path`` or ``s3://bucket/key``. Blocks.

        Raises:
            ApiError: it may not be used, or there is none.
        """
        found = None
        if len(uri) <= _MAX_ADDRESS and uri.isprintable():
            found = self._object(uri) if uri.startswith(OBJECT) else self._file(uri)
        if found is None:
            raise ApiError(
                INVALID, "this is no slide in a folder or bucket that the service may read"
            )
        return found

    def files_of(self, path: Path) -> list[Path]:
        """The resolved files at a path, with those that belong to it; none if it may not be used.

        Args:
            path: A file, or a folder of DICOM files.
        """
        try:
            real = path.resolve(strict=True)
            root = self._root_of(real)
            if root is None:
                return []
            found: list[Path] = []
            for file in _with_companions(real):
                inside = file.resolve(strict=True)
                if self._root_of(inside) != root or not stat.S_ISREG(inside.stat().st_mode):
                    return []
                found.append(inside)
                if len(found) > _MAX_FILES:
                    return []
        except (OSError, RuntimeError, ValueError):  # not there, not allowed, or links in a ring
            return []
        return found

    def linked(self, location: str) -> Path:
        """Where to read a slide that was checked where it lies. Blocks.

        Since then somebody may have put a link there that leads out.

        Args:
            location: ``file:`` and its path.

        Raises:
            FileNotFoundError: it is gone, or leads to where nothing may be read.
        """
        path = Path(location.removeprefix(LINKED))
        try:
            places = [(file, file.resolve(strict=True)) for file in _with_companions(path)]
        except (FileNotFoundError, NotADirectoryError, RuntimeError):  # the last: links in a ring
            places = []
        inside = (file == real or self._may_be_read(real) for file, real in places)
        if not places or not all(inside):
            raise FileNotFoundError("the linked file is gone")
        return path

    def storage_of(self, uri: str) -> tuple[Storage, str] | None:
        """The bucket an object's address is in, and its key there; None if it may not be used."""
        parts = uri.removeprefix(OBJECT).split("/")
        if any(part in ("", ".", "..") for part in parts) or set("?#%\\") & set(uri):
            return None
        for bucket in self._buckets:
            if bucket.startswith(OBJECT) and uri.startswith(bucket + "/"):
                return open_storage(bucket), uri.removeprefix(bucket + "/")
        return None

    def _file(self, uri: str) -> Link | None:
        path = _path_in(uri)
        if path is None:
            return None
        files = self.files_of(path)
        if not files:
            return None
        real = path.resolve()
        return Link(
            LINKED + str(real), path.name, sum(file.stat().st_size for file in files), False
        )

    def _object(self, uri: str) -> Link | None:
        place = self.storage_of(uri)
        if place is None:
            return None
        storage, key = place
        try:
            found = storage.stat(key)
        except UsageError:
            return None
        if found is None:
            return None
        return Link(uri, key.rpartition("/")[2], found.size_bytes, True)

    def _may_be_read(self, real: Path) -> bool:
        """Whether a resolved path is where slides may be linked from."""
        watched = (folder.expanduser().resolve() for folder in self._watched)
        return self._root_of(real) is not None or any(real.is_relative_to(f) for f in watched)

    def _root_of(self, real: Path) -> Path | None:
        """The root a resolved path is below."""
        if real.is_relative_to(self._private.resolve()):
            return None
        roots = (root.resolve() for root in self._roots)
        return next((root for root in roots if real != root and real.is_relative_to(root)), None)


def _path_in(uri: str) -> Path | None:
    """The path an address means; only a plain absolute one."""
    text = uri
    if not uri.startswith("/"):
        try:
            parts = urlsplit(uri)
        except ValueError:
            return None
        own = parts.netloc in ("", "localhost")
        if parts.scheme != "file" or not own or parts.query or parts.fragment:
            return None
        text = unquote(parts.path)
    plain = text.startswith("/") and not text.startswith("//") and text.isprintable()
    if not plain or "\\" in text or ".." in text.split("/"):
        return None
    return Path(text)


def _with_companions(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (file for file in sorted(path.iterdir()) if not file.is_dir())
        return
    yield path
    if path.suffix.lower() == _MRXS:
        companion = path.with_suffix("")
        yield from (file for file in sorted(companion.rglob("*")) if not file.is_dir())
