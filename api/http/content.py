"""Bytes that do not change, served as RFC 9110 has it: validators, single ranges, HEAD."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.problems import PRECONDITION_FAILED, RANGE_NOT_SATISFIABLE, ApiError, responses

#: What lies under the URL never changes; "private": only for who has the key.
FOR_EVER = "private, max-age=31536000, immutable"
#: Longer bodies are read and sent piece by piece.
_PIECE = 2**20
_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a request asks of the bytes; a dependency of routes, which documents the headers."""

    request: Request
    range: Annotated[
        str | None, Header(alias="Range", description="One range of bytes, `bytes=0-99`")
    ] = None
    if_range: Annotated[
        str | None, Header(alias="If-Range", description="ETag of the bytes the range is of")
    ] = None
    if_match: Annotated[
        str | None, Header(alias="If-Match", description="ETags, one of which must be that served")
    ] = None
    if_none_match: Annotated[
        str | None, Header(alias="If-None-Match", description="ETags of what the client has")
    ] = None


def answers(
    media_types: Sequence[str], description: str, *problems: int
) -> dict[int | str, dict[str, Any]]:
    """Documentation of what a route that ends in :func:`serve` answers."""
    return {
        200: {"content": _content(media_types), "description": description},
        206: {"content": _content(media_types), "description": "The range asked for"},
        304: {"description": "Not modified"},
        **responses(*problems, 412, 416),
    }


def _content(media_types: Sequence[str]) -> dict[str, dict[str, Any]]:
    # What is JSON has a structure that is described elsewhere, and is no string of bytes.
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {kind: {} if kind.endswith("json") else binary for kind in media_types}


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes to be served.

    Attributes:
        size: How many.
        etag: Changes with them; quoted.
        read: Gives those from a start on, so many; called on worker threads.
        close: Called once no more are read.
    """

    size: int
    etag: str
    read: Callable[[int, int], bytes]
    close: Callable[[], None] = lambda: None


def serve(
    asked: Conditions, content: Content, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer GET or HEAD; of a range if one is asked for. Call it on a worker thread.

    Several ranges at once are answered with the whole, as the RFC allows.

    Raises:
        ApiError: a precondition does not hold, or the range lies outside.
    """
    known = {"ETag": content.etag, "Accept-Ranges": "bytes", **(headers or {})}
    try:
        _check_match(asked, content)
        is_known = matches(asked.if_none_match, content.etag)
        part = None if is_known else _part(asked, content)
    except ApiError:
        content.close()
        raise
    if is_known:
        content.close()
        return Response(status_code=304, headers=known)
    start, stop = part or (0, content.size)
    known["Content-Length"] = str(stop - start)
    status = 200
    if part is not None:
        status = 206
        known["Content-Range"] = f"bytes {start}-{stop - 1}/{content.size}"
    if asked.request.method == "HEAD":
        content.close()
        return Response(None, status, known, media_type)
    if stop - start <= _PIECE:
        try:
            body = content.read(start, stop - start)
        finally:
            content.close()
        return Response(body, status, known, media_type)
    return _Stream(content, start, stop, status, known, media_type)


def matches(stated: str | None, etag: str) -> bool:
    """Whether ``If-None-Match`` names the tag."""
    return stated is not None and _names(stated, etag, weakly=True)


def _names(stated: str, etag: str, *, weakly: bool) -> bool:
    tags = [tag.strip() for tag in stated.split(",")]
    if weakly:
        tags = [tag.removeprefix("W/") for tag in tags]
    return etag in tags or "*" in tags


def _check_match(asked: Conditions, content: Content) -> None:
    if asked.if_match is not None and not _names(asked.if_match, content.etag, weakly=False):
        raise ApiError(PRECONDITION_FAILED, "the bytes are not those of this ETag")


def _part(asked: Conditions, content: Content) -> tuple[int, int] | None:
    """First byte asked for, and the one after the last; None where all are.

    Raises:
        ApiError: there are no such bytes.
    """
    stated = _RANGE.fullmatch(asked.range or "")
    # A range is defined for GET only, and who has other bytes gets the whole.
    others = asked.if_range is not None and asked.if_range != content.etag
    if stated is None or asked.request.method != "GET" or others:
        return None
    first, last = (int(part) if part else None for part in stated.groups())
    if first is None and last is None:
        return None
    if first is None:
        start, stop = max(0, content.size - (last or 0)), content.size
    elif last is None:
        start, stop = first, content.size
    elif last < first:
        return None  # not a range
    else:
        start, stop = first, min(content.size, last + 1)
    if start >= stop:
        raise ApiError(
            RANGE_NOT_SATISFIABLE,
            f"there are {content.size:,} bytes",
            {"Content-Range": f"bytes */{content.size}", "Accept-Ranges": "bytes"},
        )
    return start, stop


class _Stream(StreamingResponse):
    """A long body, whose source is closed also where the client leaves before its first byte."""

    def __init__(
        self,
        content: Content,
        start: int,
        stop: int,
        status: int,
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__(_pieces(content, start, stop), status, headers, media_type)
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._content.close()


def _pieces(content: Content, start: int, stop: int) -> Iterator[bytes]:
    while start < stop:
        piece = content.read(start, min(_PIECE, stop - start))
        if not piece:
            break  # gone meanwhile: the answer ends short of its length, which the client sees
        start += len(piece)
        yield piece
