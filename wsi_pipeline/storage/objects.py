"""An object store as storage: S3 and what speaks its language, through obstore.

Credentials, region and endpoint come from the usual ``AWS_…`` variables, which obstore reads.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from wsi_pipeline.errors import UsageError
from wsi_pipeline.storage.cache import Cache
from wsi_pipeline.storage.keys import (
    MANIFESTS,
    TREE_MANIFEST,
    ZARR_MANIFEST,
    check_key,
    manifest_of,
    tree_files,
)
from wsi_pipeline.storage.storage import StoredFile

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig

#: Bytes of a request; larger files go in several.
_PART_BYTES = 16 * 2**20
#: Parts an upload may have; S3 takes 10,000.
_MAX_PARTS = 9_000
#: Requests at once, of one call.
_AT_ONCE = 8
#: Local copies kept on a host.
_CACHE_BYTES = 64 * 2**30


class ObjectStorage:
    """See :class:`~wsi_pipeline.storage.Storage`.

    Args:
        address: ``s3://bucket`` or ``s3://bucket/prefix``.
        cache_bytes: What local copies may take in each cache folder.

    Raises:
        UsageError: the address has another form, the endpoint is plain HTTP somewhere else, or a
            key is empty or without the other.
    """

    def __init__(self, address: str, *, cache_bytes: int = _CACHE_BYTES) -> None:
        parts = urlsplit(address)
        prefix = parts.path.strip("/")
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise UsageError(f"storage address {address!r}; use s3://bucket/prefix")
        _check_keys()
        self._identity = f"{_endpoint()}|{parts.netloc}|{prefix}"
        # Five minutes for a request of one part, on a slow line.
        options: ClientConfig = {"connect_timeout": "5s", "timeout": "300s"}
        if _may_be_plain(_endpoint()):
            options["allow_http"] = True
        self._store = S3Store(
            parts.netloc,
            prefix=check_key(prefix) if prefix else None,
            client_options=options,
            retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=30)},
        )
        self._cache_bytes = cache_bytes
        self._caches: dict[Path, Cache] = {}
        self._mutex = threading.Lock()

    def put_file(self, key: str, source: Path, *, move: bool = False) -> None:
        """See :meth:`Storage.put_file`."""
        check_key(key)
        if source.is_symlink() or not source.is_file():
            raise UsageError("what is to be stored is no file: a link?")
        self._upload(key, source)
        if move:
            source.unlink()

    def put_tree(self, key: str, source: Path, *, move: bool = False) -> None:
        """See :meth:`Storage.put_tree`."""
        if not self.has_tree(key):
            files = dict(tree_files(source))
            manifest = files.pop(ZARR_MANIFEST, None)
            # An earlier attempt may have left files of another content.
            left = [found.key for found in self.list(key)]
            self._remove([name for name in left if name.removeprefix(f"{key}/") not in files])
            with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="upload") as pool:
                uploads = [
                    pool.submit(self._upload, check_key(f"{key}/{name}"), path)
                    for name, path in files.items()
                ]
                for upload in uploads:
                    upload.result()
            if manifest is not None:
                self._upload(f"{key}/{ZARR_MANIFEST}", manifest)
            else:
                with _told(key):
                    content = manifest_of(list(files.items())).encode()
                    obstore.put(self._store, f"{key}/{TREE_MANIFEST}", content)
        if move:
            shutil.rmtree(source, ignore_errors=True)

    def has_tree(self, key: str) -> bool:
        """See :meth:`Storage.has_tree`."""
        return self._manifest(key) is not None

    def stat(self, key: str) -> StoredFile | None:
        """See :meth:`Storage.stat`."""
        check_key(key)
        with _told(key):
            try:
                found = obstore.head(self._store, key)
            except FileNotFoundError:
                return None
        return _stored(found)

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """See :meth:`Storage.read`."""
        check_key(key)
        if start == 0 and length is None:
            with _told(key):
                return bytes(obstore.get(self._store, key).bytes())
        # S3 refuses ranges that are empty or begin after the end.
        found = self.stat(key)
        if found is None:
            raise _absent(key)
        end = found.size_bytes if length is None else min(start + length, found.size_bytes)
        if start >= end:
            return b""
        with _told(key):
            return bytes(obstore.get_range(self._store, key, start=start, end=end))

    def local_path(self, key: str, cache: Path) -> Path:
        """See :meth:`Storage.local_path`."""
        name = check_key(key).rsplit("/", 1)[-1]
        file = self.stat(key)
        if file is not None:
            digest = self._digest(file)
            return self._cache(cache).path(
                digest, name, file.size_bytes, lambda to: self._download(file, to)
            )
        manifest = self._manifest(key)
        if manifest is None:
            raise _absent(key)
        files = list(self.list(key))
        return self._cache(cache).path(
            self._digest(manifest),
            name,
            sum(found.size_bytes for found in files),
            lambda to: self._download_tree(key, manifest, files, to),
        )

    def delete(self, key: str) -> None:
        """See :meth:`Storage.delete`."""
        check_key(key)
        self._remove([f"{key}/{manifest}" for manifest in MANIFESTS])
        self._remove([key, *(found.key for found in self.list(key))])

    def check(self) -> None:
        """See :meth:`Storage.check`."""
        key, content = f"check/{secrets.token_hex(8)}", secrets.token_bytes(8)
        with _told(key):
            obstore.put(self._store, key, content)
            found = bytes(obstore.get(self._store, key).bytes())
            obstore.delete(self._store, key)
        if found != content:
            raise OSError(errno.EIO, "what was written cannot be read back")

    def _manifest(self, key: str) -> StoredFile | None:
        found = (self.stat(f"{check_key(key)}/{manifest}") for manifest in MANIFESTS)
        return next((manifest for manifest in found if manifest is not None), None)

    def _upload(self, key: str, source: Path) -> None:
        part = max(_PART_BYTES, -(-source.stat().st_size // _MAX_PARTS))
        with _told(key):
            obstore.put(self._store, key, source, chunk_size=part, max_concurrency=4)

    def _download(self, file: StoredFile, to: Path) -> None:
        """Copy one file, if it is still the one that was looked at."""
        with to.open("wb") as writing:
            writing.truncate(file.size_bytes)

            def fetch(start: int) -> None:
                end = min(start + _PART_BYTES, file.size_bytes)
                with _told(file.key):
                    part = obstore.get(
                        self._store,
                        file.key,
                        options={"range": (start, end), "if_match": file.etag},
                    ).bytes()
                    os.pwrite(writing.fileno(), part, start)

            with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="download") as pool:
                list(pool.map(fetch, range(0, file.size_bytes, _PART_BYTES)))

    def _download_tree(
        self, key: str, manifest: StoredFile, files: list[StoredFile], to: Path
    ) -> None:
        for found in files:
            path = to / found.key.removeprefix(f"{key}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._download(found, path)
        # Deleting takes the manifest first: still there, nothing was missing.
        if self._manifest(key) != manifest:
            raise _absent(key)

    def _remove(self, keys: list[str]) -> None:
        if keys:
            with _told(keys[0]), contextlib.suppress(FileNotFoundError):
                obstore.delete(self._store, keys)

    def _cache(self, folder: Path) -> Cache:
        with self._mutex:
            # A folder of its own: what else lies there is not the cache's to remove.
            return self._caches.setdefault(folder, Cache(folder / "copies", self._cache_bytes))

    def _digest(self, found: StoredFile) -> str:
        text = f"{self._identity}|{found.key}|{found.etag}"
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    # The last one: in a class body its name hides the type.
    def list(self, prefix: str) -> Iterator[StoredFile]:
        """See :meth:`Storage.list`."""
        if prefix:
            check_key(prefix)
        with _told(prefix):
            for chunk in obstore.list(self._store, prefix or None):
                for found in chunk:
                    if found["path"].rsplit("/", 1)[-1] != TREE_MANIFEST:
                        yield _stored(found)


def _endpoint() -> str:
    """Where requests go, as obstore finds it; empty for AWS itself."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _check_keys() -> None:
    """Refuse keys that are empty or half given; without any, the host has an identity itself."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    given = [name for name in names if name in os.environ]
    missing = [name for name in names if given and not os.environ.get(name, "").strip()]
    if missing:
        raise UsageError(
            f"the object store's keys: {' and '.join(missing)} must not be empty; "
            f"set both {' and '.join(names)}, or neither"
        )


def _may_be_plain(endpoint: str) -> bool:
    """Whether plain HTTP is allowed: on this machine, or where ``AWS_ALLOW_HTTP`` says so."""
    parts = urlsplit(endpoint)
    if parts.scheme != "http":
        return False
    if parts.hostname in ("127.0.0.1", "::1", "localhost"):
        return True
    if os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "yes"):
        return True
    raise UsageError(
        f"the object store at {parts.hostname} is reached by plain HTTP; use https, or set "
        "AWS_ALLOW_HTTP=true on a private network"
    )


@contextlib.contextmanager
def _told(key: str) -> Iterator[None]:
    """Turn obstore's errors, many lines long, into those of the interface."""
    try:
        yield
    except FileNotFoundError as error:
        raise _absent(key) from error
    except (BaseError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise OSError(errno.EIO, f"the object store failed: {first[:300]}", key) from error


def _absent(key: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "nothing is stored under this key", key)


def _stored(found: "ObjectMeta") -> StoredFile:
    at = found["last_modified"].timestamp()
    # Not every store gives an ETag.
    etag = found["e_tag"] or f'"{found["size"]:x}-{int(at * 1000):x}"'
    return StoredFile(found["path"], found["size"], etag, at)
