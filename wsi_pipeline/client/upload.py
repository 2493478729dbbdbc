"""Resumable upload by the tus protocol, version 1.0.0: what the service counted is never resent."""

import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import httpx

from wsi_pipeline.client.connection import Connection
from wsi_pipeline.client.errors import ClientError, RefusedError, TransferError, UnreachableError
from wsi_pipeline.client.upload_file import UploadFile
from wsi_pipeline.client.upload_records import UploadKey, UploadRecords
from wsi_pipeline.errors import UsageError

#: Bytes sent and acknowledged at a time: what a lost line costs at most.
CHUNK_BYTES = 8 * 2**20
_UPLOADS = "/v1/uploads"
_TUS = {"Tus-Resumable": "1.0.0"}
#: Told with the last acknowledged byte: the slide the upload became.
SLIDE_HEADER = "Wsi-Slide-Id"
#: The upload moved on without us, or the block was hurt on its way: ask where it stands.
_ASK_AGAIN = (409, 423, 460)
_GONE = (404, 410)

Progress = Callable[[int, int], None]
"""Called with the number of stored bytes and of all bytes."""


class Uploader:
    """Sends files to one service.

    Args:
        connection: To the service.
        memory: Of uploads begun earlier.
        chunk_bytes: Bytes sent at a time.
    """

    def __init__(
        self, connection: Connection, memory: UploadRecords, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        self._connection = connection
        self._memory = memory
        self._chunk_bytes = chunk_bytes

    def send(self, path: Path, sent: UploadFile, progress: Progress | None = None) -> str:
        """Send a slide's file, or the rest of it; returns the id of the slide it became.

        Args:
            path: The slide it was made of.
            sent: What to send.
            progress: Told after each block.

        Raises:
            UsageError: the file is empty.
            TransferError: the file changed meanwhile.
            RefusedError: the service takes no such file: it is too large, the key does not allow
                it, and so on.
            UnreachableError: the service stayed away for too long.
        """
        size = sent.file.stat().st_size
        if size == 0:
            raise UsageError(f"{path} is empty")
        service = self._connection.address
        key = UploadKey(service, str(path.resolve()), size, sent.state)
        with sent.file.open("rb") as file:
            began = os.fstat(file.fileno()).st_mtime_ns
            slide = self._send(file, key, sent.name, progress or (lambda *_: None))
            if os.fstat(file.fileno()).st_mtime_ns != began:
                raise TransferError(f"{path} changed while it was sent; send it again")
        self._memory.forget(key)
        return slide

    def _send(self, file: BinaryIO, key: UploadKey, name: str, progress: Progress) -> str:
        address = self._memory.get(key)
        while True:
            if address is None:
                address = self._create(key.size_bytes, name)
                self._memory.put(key, address)
            slide = self._continue(file, address, key.size_bytes, progress)
            if slide is not None:
                return slide
            self._memory.forget(key)
            address = None  # expired or removed: begin again

    def _create(self, size: int, name: str) -> str:
        # A file's name may be no text: the service then says so, in words.
        encoded = base64.b64encode(name.encode(errors="surrogatepass")).decode("ascii")
        headers = {
            **_TUS,
            "Upload-Length": str(size),
            "Upload-Metadata": f"filename {encoded}",
        }
        # Sent twice, it leaves an empty upload behind, which the service lets expire.
        response = self._connection.request("POST", _UPLOADS, headers=headers)
        location = response.headers.get("location")
        if not location:
            raise TransferError("the service gave no address for the upload (no Location)")
        return str(location)

    def _continue(self, file: BinaryIO, address: str, size: int, progress: Progress) -> str | None:
        """Send what is missing; None if the service does not know the upload any more."""
        retry = self._connection.retry()
        offset, known = 0, False
        while True:
            try:
                if not known:
                    response = self._connection.send("HEAD", address, headers=_TUS)
                    offset, known = _offset(response, size), True
                    progress(offset, size)
                    if offset == size:
                        return _slide(response)
                response = self._patch(file, address, offset, size)
                offset = _offset(response, size)
                retry.renew()
                progress(offset, size)
                if offset == size:
                    return _slide(response)
            except UnreachableError as error:
                known = False
                retry.wait(error)
            except RefusedError as error:
                if error.status in _GONE:
                    return None
                if error.status not in _ASK_AGAIN and not error.passes:
                    raise
                known = False
                retry.wait(error, error.retry_after)

    def _patch(self, file: BinaryIO, address: str, offset: int, size: int) -> httpx.Response:
        wanted = min(self._chunk_bytes, size - offset)
        file.seek(offset)
        block = file.read(wanted)
        if len(block) != wanted or os.fstat(file.fileno()).st_size != size:
            raise TransferError("the file changed while it was sent; send it again")
        checksum = base64.b64encode(hashlib.sha256(block).digest()).decode("ascii")
        headers = {
            **_TUS,
            "Upload-Offset": str(offset),
            "Upload-Checksum": f"sha256 {checksum}",
            "Content-Type": "application/offset+octet-stream",
        }
        return self._connection.send("PATCH", address, headers=headers, content=block)


def _offset(response: httpx.Response, size: int) -> int:
    stated = response.headers.get("upload-offset", "")
    if not stated.isdecimal() or not 0 <= int(stated) <= size:
        raise TransferError(f"the service states no usable offset: {stated!r}")
    return int(stated)


def _slide(response: httpx.Response) -> str:
    slide = response.headers.get(SLIDE_HEADER)
    if not slide:
        raise ClientError("the upload is complete, but the service does not name its slide")
    return str(slide)
