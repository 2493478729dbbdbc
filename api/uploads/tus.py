"""The words of the tus protocol 1.0.0: its headers, read and written."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING

from api.problems import BAD_REQUEST, INVALID, PRECONDITION_FAILED, ApiError
from wsi_pipeline.service.text import check_slide_name
from wsi_pipeline.service.upload import Upload, UploadState

if TYPE_CHECKING:
    from hashlib import _Hash

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
MEDIA_TYPE = "application/offset+octet-stream"
#: Told with the last byte and ever after: the slide the upload became.
SLIDE_HEADER = "Wsi-Slide-Id"

_ALGORITHMS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256}
CHECKSUMS = ",".join(_ALGORITHMS)
_MAX_METADATA = 4096
#: More digits are no length of a file, and slow to read.
_NUMBER = re.compile(r"[0-9]{1,30}")
_KEY = re.compile(r"[!-+\--~]+")
_NAMES = ("filename", "name")
UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of one request must hash to."""

    algorithm: str
    digest: bytes

    @classmethod
    def parse(cls, header: str) -> "Checksum":
        """From ``Upload-Checksum: sha1 <base64>``.

        Raises:
            ApiError: it is malformed, or of an algorithm that is not supported.
        """
        algorithm, _, encoded = header.strip().partition(" ")
        if algorithm not in _ALGORITHMS:
            raise ApiError(BAD_REQUEST, f"Upload-Checksum takes {CHECKSUMS}")
        try:
            digest = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            digest = b""
        if len(digest) != _ALGORITHMS[algorithm]().digest_size:
            raise ApiError(BAD_REQUEST, f"Upload-Checksum holds no base64 of a {algorithm} digest")
        return cls(algorithm, digest)

    def start(self) -> "_Hash":
        """A hash to feed the bytes to."""
        return _ALGORITHMS[self.algorithm](usedforsecurity=False)

    def matches(self, hashed: "_Hash | None") -> bool:
        """Whether what was hashed is what was meant."""
        return hashed is not None and hashed.digest() == self.digest


def require_version(header: str | None) -> None:
    """Refuse a client that speaks another version of the protocol, or none.

    Raises:
        ApiError: it does.
    """
    if header != VERSION:
        raise ApiError(
            PRECONDITION_FAILED, f"send Tus-Resumable: {VERSION}", {"Tus-Version": VERSION}
        )


def number(header: str | None, name: str) -> int:
    """A header that holds a count of bytes.

    Raises:
        ApiError: it is missing, or holds something else.
    """
    if header is None or not _NUMBER.fullmatch(header.strip()):
        raise ApiError(BAD_REQUEST, f"{name} has to be a number of bytes")
    return int(header)


def parse_metadata(header: str) -> dict[str, str]:
    """``Upload-Metadata``: keys, and values as they were before base64.

    Raises:
        ApiError: it is malformed or too long, or a value is no text.
    """
    if len(header) > _MAX_METADATA:
        raise ApiError(BAD_REQUEST, f"Upload-Metadata is longer than {_MAX_METADATA:,} characters")
    found: dict[str, str] = {}
    for pair in header.split(",") if header.strip() else ():
        key, _, encoded = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise ApiError(BAD_REQUEST, "Upload-Metadata: a key is missing, twice there or no key")
        try:
            value = base64.b64decode(encoded.strip(), validate=True)
        except ValueError:
            raise ApiError(BAD_REQUEST, f"Upload-Metadata: {key} is not base64") from None
        try:
            found[key] = value.decode()
        except UnicodeDecodeError:
            raise ApiError(INVALID, f"Upload-Metadata: {key} is not text in UTF-8") from None
    return found


def name_in(metadata: dict[str, str]) -> str:
    """What the slide is called; :data:`UNNAMED` if the client does not say.

    Raises:
        UsageError: it cannot be called so.
    """
    given = next((metadata[key] for key in _NAMES if metadata.get(key)), None)
    return UNNAMED if given is None else check_slide_name(given)


def upload_headers(upload: Upload) -> dict[str, str]:
    """What every answer about an upload tells of it."""
    told = {"Tus-Resumable": VERSION, "Upload-Offset": str(upload.offset)}
    if upload.state is UploadState.OPEN:
        told["Upload-Expires"] = formatdate(upload.expires_at, usegmt=True)
    if upload.slide_id is not None:
        told[SLIDE_HEADER] = upload.slide_id
    return told
