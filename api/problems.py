"""Errors as RFC 9457 problem details, from one table.

Every error a route can answer is listed in :data:`PROBLEMS`; routes document theirs with
:func:`responses`. ``type`` is a path of the documentation (``docs/problems.md``), stable for
clients to tell errors apart by.
"""

import contextlib
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from wsi_pipeline.errors import (
    DamagedSlideError,
    ImageError,
    PackageError,
    ResultError,
    SlideContentError,
    SlideMetadataError,
    UnsupportedSlideError,
    UsageError,
    WsiError,
)
from wsi_pipeline.service.jobs.requests import ConflictError, KeyReusedError, NotThereError
from wsi_pipeline.service.quota import TooLargeError
from wsi_pipeline.service.upload import GoneError
from wsi_pipeline.service.upload_files import LockedError

log = logging.getLogger(__name__)

#: When to ask again after the database did not answer.
_DATABASE_SECONDS = 5
MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """A problem detail (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its HTTP status, the last part of its type, and its title."""

    status: int
    slug: str
    title: str


class ApiError(WsiError):
    """An error of the HTTP layer itself.

    Attributes:
        kind: Which.
        headers: Sent along.
    """

    def __init__(self, kind: Kind, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.headers = dict(headers or {})


BAD_REQUEST = Kind(400, "bad-request", "The request cannot be understood")
UNAUTHENTICATED = Kind(401, "unauthenticated", "A valid API key is needed")
FORBIDDEN = Kind(403, "forbidden", "The key does not allow this")
NOT_FOUND = Kind(404, "not-found", "Not found")
METHOD_NOT_ALLOWED = Kind(405, "method-not-allowed", "This method is not allowed here")
CONFLICT = Kind(409, "conflict", "The state of the object does not allow this")
GONE = Kind(410, "gone", "It no longer exists")
PRECONDITION_FAILED = Kind(412, "precondition-failed", "A precondition does not hold")
TOO_LARGE = Kind(413, "too-large", "This exceeds a limit")
WRONG_MEDIA_TYPE = Kind(415, "wrong-media-type", "The body has a type that is not accepted")
RANGE_NOT_SATISFIABLE = Kind(416, "range-not-satisfiable", "These bytes do not exist")
INVALID = Kind(422, "invalid", "The request is well formed but wrong")
KEY_REUSED = Kind(422, "idempotency-key-reused", "The idempotency key belongs to another request")
LOCKED = Kind(423, "locked", "Another client is writing this now")
TOO_MANY = Kind(429, "too-many-requests", "Too many requests")
CHECKSUM_MISMATCH = Kind(460, "checksum-mismatch", "The bytes do not match their checksum")
INTERNAL = Kind(500, "internal", "An unexpected failure")
UNAVAILABLE = Kind(503, "unavailable", "The service is not ready")
NO_SPACE = Kind(507, "no-space", "The disk is full")

#: The first class in this order that an error is an instance of decides.
PROBLEMS: tuple[tuple[type[WsiError], Kind], ...] = (
    (NotThereError, NOT_FOUND),
    (KeyReusedError, KEY_REUSED),
    (ConflictError, CONFLICT),
    (GoneError, GONE),
    (LockedError, LOCKED),
    (TooLargeError, TOO_LARGE),
    (UnsupportedSlideError, Kind(422, "unsupported-slide", "This file is not a readable slide")),
    (DamagedSlideError, Kind(422, "damaged-slide", "The slide is damaged")),
    (SlideMetadataError, Kind(422, "slide-metadata", "The slide's metadata do not allow this")),
    (SlideContentError, Kind(422, "slide-content", "The slide's content cannot be analysed")),
    (ImageError, Kind(422, "image", "This image cannot be used")),
    (PackageError, Kind(422, "model-package", "The model package cannot be used")),
    (ResultError, Kind(500, "result", "The result cannot be read")),
    (UsageError, INVALID),
)

#: What pydantic calls it where a number was wanted and another text or value was there.
_OF_NUMBERS = {
    "finite_number",
    "float_parsing",
    "greater_than",
    "greater_than_equal",
    "int_parsing",
    "less_than",
    "less_than_equal",
}

_BY_STATUS = {
    kind.status: kind
    for kind in (
        BAD_REQUEST,
        UNAUTHENTICATED,
        FORBIDDEN,
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        CONFLICT,
        GONE,
        PRECONDITION_FAILED,
        TOO_LARGE,
        WRONG_MEDIA_TYPE,
        RANGE_NOT_SATISFIABLE,
        INVALID,
        LOCKED,
        TOO_MANY,
        CHECKSUM_MISMATCH,
        INTERNAL,
        UNAVAILABLE,
        NO_SPACE,
    )
}


def kind_of(error: WsiError) -> Kind:
    """The kind of problem an error is."""
    if isinstance(error, ApiError):
        return error.kind
    return next((kind for of, kind in PROBLEMS if isinstance(error, of)), INTERNAL)


def detail_of(error: WsiError) -> str:
    """What the user is told: never a path of the server."""
    cause = getattr(error, "cause", None)
    return str(cause) if cause else str(error)


def as_json(kind: Kind, detail: str) -> dict[str, Any]:
    """A problem detail to be kept with a job or slide."""
    return {
        "type": f"/problems/{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
    }


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Documentation of the errors a route answers beside its success."""
    return {
        status: {
            "description": _BY_STATUS[status].title,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def _said_of(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors in words: where, and what is wrong there."""
    where = ".".join(str(part) for part in error["loc"])
    value = error.get("input")
    if isinstance(value, str) and error["type"] in _OF_NUMBERS:
        # A query has numbers as text.
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return f"{where} must be a finite number, not {name}"
    if error["type"] == "string_unicode":
        return f"{where}: it holds half of a surrogate pair, which is no character"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"


def install(app: FastAPI) -> None:
    """Answer every error of an application with a problem detail."""

    def answer(
        request: Request, kind: Kind, detail: str, headers: Mapping[str, str] | None = None
    ) -> JSONResponse:
        # A body may name its fields in letters that are no text.
        detail = detail.encode(errors="replace").decode()
        content = as_json(kind, detail) | {"request_id": getattr(request.state, "request_id", None)}
        return JSONResponse(content, kind.status, dict(headers or {}), MEDIA_TYPE)

    @app.exception_handler(WsiError)
    def on_wsi_error(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, WsiError):
            raise error
        kind = kind_of(error)
        headers = error.headers if isinstance(error, ApiError) else None
        return answer(request, kind, detail_of(error), headers)

    @app.exception_handler(RequestValidationError)
    def on_invalid(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RequestValidationError):
            raise error
        return answer(request, INVALID, _said_of(error.errors()[0]))

    @app.exception_handler(HTTPException)
    def on_http(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            raise error
        general = BAD_REQUEST if error.status_code < 500 else INTERNAL
        kind = _BY_STATUS.get(error.status_code, replace(general, status=error.status_code))
        headers = dict(error.headers or {})
        if kind is METHOD_NOT_ALLOWED:
            # Starlette names those of one route only.
            path = getattr(request.scope.get("route"), "path_format", None)
            methods = {method.upper() for method in app.openapi()["paths"].get(path, ())}
            headers["Allow"] = ", ".join(sorted(methods)) or headers.get("Allow", "")
        return answer(request, kind, str(error.detail), headers)

    @app.exception_handler(sa.exc.DataError)
    def on_unstorable(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 - quotes values
        # PostgreSQL takes no NUL in text, for instance.
        return answer(request, INVALID, "a value cannot be stored as it is")

    @app.exception_handler(sa.exc.OperationalError)
    @app.exception_handler(sa.exc.IntegrityError)
    @app.exception_handler(sa.exc.TimeoutError)
    def on_no_database(request: Request, error: Exception) -> JSONResponse:
        log.error("the database failed", exc_info=error)
        headers = {"Retry-After": str(_DATABASE_SECONDS)}
        detail = "the database failed to do this; try again"
        if "full" in str(getattr(error, "orig", "")):  # SQLite's word for it
            detail = "the disk of the database is full; try again when there is room"
        return answer(request, UNAVAILABLE, detail, headers)

    @app.exception_handler(Exception)
    def on_unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected failure", exc_info=error)
        return answer(request, INTERNAL, "the failure is in the log under the request's id")
