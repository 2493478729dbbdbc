"""Around every request: its id, one line of log, security headers, and what a failure looks like.

Pure ASGI, so that bodies stream through untouched.
"""

import json
import logging
import re
import time
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import INTERNAL, MEDIA_TYPE, Kind, as_json
from wsi_pipeline.service.logs import bound
from wsi_pipeline.service.tables import new_id

log = logging.getLogger(__name__)

REQUEST_ID = "x-request-id"
#: What a page of ours may load: its own files, and pictures it makes itself. Nothing inline.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; worker-src 'self' blob:; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_SECURITY: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
#: Addresses below this are let read by pages of every site: they hold their own right to be.
SHARED = "/v1/shared/"
#: On all their answers, refusals too: viewers tell a missing chunk by its status.
_FOR_ALL_SITES: tuple[tuple[bytes, bytes], ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"ETag, Accept-Ranges, Content-Range, Content-Length"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)
#: Unless a route says otherwise: answers belong to whoever has the key.
_CACHE = (b"cache-control", b"no-store")
_CLIENT_LEFT = 499
#: Asked every few seconds by machines; a line for each would hide the others.
_QUIET = {"/healthz", "/readyz", "/metrics"}
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OBJECT_ID = re.compile(r"[0-9a-f]{32}")


class RequestContext:
    """The outermost layer: gives each request an id and answers for what goes wrong inside.

    The log line holds the route's template and the ids in it, never the path, the query, a key or
    a name.

    Args:
        app: The layers inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        began = time.perf_counter()
        status = _CLIENT_LEFT

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": _headers(message, request_id, scope["path"])}
            await send(message)

        with bound(request_id=request_id):
            try:
                await self._app(scope, receive, sending)
            except ClientDisconnect:
                pass  # told by the status of the log line
            except Exception:
                log.exception("unexpected failure")
                if status == _CLIENT_LEFT:
                    detail = "the failure is in the log under the request's id"
                    await send_problem(scope, sending, INTERNAL, detail)
                # Else the answer has begun; the server ends the connection short of its length.
            finally:
                _log(scope, status, time.perf_counter() - began)


async def send_problem(
    scope: Scope, send: Send, kind: Kind, detail: str, headers: dict[str, str] | None = None
) -> None:
    """Answer with a problem detail where no route is there to do so."""
    content = as_json(kind, detail) | {"request_id": scope["state"]["request_id"]}
    body = json.dumps(content).encode()
    all_headers = {
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
        **(headers or {}),
    }
    raw = [(key.lower().encode(), value.encode()) for key, value in all_headers.items()]
    await send({"type": "http.response.start", "status": kind.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: str) -> str | None:
    """The first header of this name."""
    wanted = name.encode()
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == wanted), None)


def route_of(scope: Scope) -> str:
    """Template of the route a request met; ``-`` if none."""
    return getattr(scope.get("route"), "path", None) or "-"


def _request_id(scope: Scope) -> str:
    given = header(scope, REQUEST_ID)
    return given if given and _SANE_ID.fullmatch(given) else new_id()


def _headers(message: Message, request_id: str, path: str) -> list[tuple[bytes, bytes]]:
    given = list(message.get("headers", ()))
    if path.startswith(SHARED):
        given += _FOR_ALL_SITES
    names = {key.lower() for key, _ in given}
    added = [pair for pair in (*_SECURITY, _CACHE) if pair[0] not in names]
    return [*given, *added, (REQUEST_ID.encode(), request_id.encode())]


def _log(scope: Scope, status: int, seconds: float) -> None:
    route = route_of(scope)
    facts: dict[str, Any] = {
        "method": scope["method"],
        "route": route,
        "status": status,
        "ms": round(1000 * seconds, 1),
        # Behind a trusted proxy the one it names.
        "client": (scope.get("client") or ("unknown",))[0],
    }
    access = scope["state"].get("access")
    if access is not None:
        facts |= {"workspace": access.workspace_id, "key": access.key_id}
        if access.session_id is not None:
            facts["session"] = access.session_id
    for name, value in scope.get("path_params", {}).items():
        if name.endswith("_id") and _OBJECT_ID.fullmatch(str(value)):
            facts[name] = value
    level = logging.DEBUG if route in _QUIET and status < 400 else logging.INFO
    log.log(level, "request", extra={"facts": facts})
