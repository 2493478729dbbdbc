"""Fetching a file so that a lost line costs nothing: ranges, and a name only when it is whole."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from wsi_pipeline import durable
from wsi_pipeline.client.connection import Connection
from wsi_pipeline.client.errors import RefusedError, TransferError, UnreachableError

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]+):")
_SHA256_ETAG = re.compile(r'"([0-9a-f]{64})"')

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes in all, None if the service does not say."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A file that is being fetched: its bytes so far, and which version they are of."""

    data: Path
    note: Path

    @classmethod
    def of(cls, target: Path) -> "_Part":
        return cls(
            target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.part.json")
        )

    def begun(self) -> tuple[int, str | None]:
        """Bytes that are there, and the ETag of the version they belong to."""
        try:
            etag = json.loads(self.note.read_text(encoding="utf-8"))["etag"]
            return self.data.stat().st_size, etag
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return 0, None

    def begin(self, etag: str | None) -> None:
        """Forget what is there; what comes is of this version."""
        self.remove()
        if etag is not None and not etag.startswith("W/"):
            # Only bytes of a version that can be named for certain are worth keeping.
            self.note.write_text(json.dumps({"etag": etag}), encoding="utf-8")

    def remove(self) -> None:
        """Leave nothing behind."""
        self.note.unlink(missing_ok=True)
        self.data.unlink(missing_ok=True)


def download(
    connection: Connection, path: str, target: Path, progress: Progress | None = None
) -> Path:
    """Fetch a file; it appears under its name when all of it is there and matches its hash.

    Cut off, it goes on where it was, also in a new process, if it is still the same version.

    Args:
        connection: To the service.
        path: Of the file at the service.
        target: Where it goes; replaced if it is there.
        progress: Told of the bytes.

    Raises:
        RefusedError: the service does not give it.
        UnreachableError: the service stayed away for too long.
        TransferError: what arrived is not what was sent.
    """
    part = _Part.of(target)
    retry = connection.retry()
    failures = 0
    while True:
        before = part.begun()[0]
        try:
            _fetch(connection, path, part, progress or (lambda *_: None))
            break
        except UnreachableError as error:
            if part.begun()[0] > before:
                retry.renew()
            retry.wait(error)
        except RefusedError as error:
            if not error.passes:
                raise
            retry.wait(error, error.retry_after)
        except TransferError:
            part.remove()
            failures += 1
            if failures == 2:
                raise
    durable.put_in_place(part.data, target)
    part.remove()
    return target


def _fetch(connection: Connection, path: str, part: _Part, progress: Progress) -> None:
    start, etag = part.begun()
    # Compressed on the way, ranges would count other bytes than those of the file.
    headers = {"Accept-Encoding": "identity"}
    if start and etag is not None:
        headers |= {"Range": f"bytes={start}-", "If-Range": etag}
    try:
        with connection.stream(path, headers) as response:
            total = _place(response, part, start)
            here = start if response.status_code == httpx.codes.PARTIAL_CONTENT else 0
            with part.data.open("ab") as file:
                progress(here, total)
                # As it comes: gathered into blocks, what a cut left unfinished would be lost.
                for block in response.iter_raw():
                    file.write(block)
                    here += len(block)
                    progress(here, total)
                file.flush()
                os.fsync(file.fileno())
            _verify(response, part.data, total)
    except RefusedError as error:
        if error.status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            # All bytes may be there already; whether they are right, only all of them can tell.
            raise TransferError(
                "the file at the service became shorter; downloading it again"
            ) from (error)
        raise


def _place(response: httpx.Response, part: _Part, start: int) -> int | None:
    """Check that the answer goes on where we are, or begin anew; returns the bytes in all."""
    if response.status_code != httpx.codes.PARTIAL_CONTENT:
        part.begin(response.headers.get("etag"))
        stated = response.headers.get("content-length", "")
        return int(stated) if stated.isdecimal() else None
    match = _RANGE.fullmatch(response.headers.get("content-range", ""))
    if match is None or int(match[1]) != start:
        raise TransferError("the service answered with other bytes than were asked for")
    return int(match[3])


def _verify(response: httpx.Response, data: Path, total: int | None) -> None:
    size = data.stat().st_size
    if total is not None and size != total:
        if size < total:
            raise UnreachableError(f"the connection was closed after {size:,} of {total:,} bytes")
        raise TransferError(f"{size:,} bytes were received, {total:,} were announced")
    stated = _sha256(response.headers)
    if stated is not None:
        with data.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != stated:
            raise TransferError("the downloaded file does not match its SHA-256")


def _sha256(headers: httpx.Headers) -> str | None:
    """Of the whole file, if the service states it: ``Repr-Digest``, or an ETag that is one."""
    digest = _DIGEST.search(headers.get("repr-digest", ""))
    if digest is not None:
        return base64.b64decode(digest[1]).hex()
    etag = _SHA256_ETAG.fullmatch(headers.get("etag", ""))
    return None if etag is None else etag[1]
