"""Who is turned away before a route is asked: wrong host names, no text, too many requests."""

import asyncio
import hashlib
import ipaddress
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import COOKIE
from api.http.middleware import header, send_problem
from api.problems import BAD_REQUEST, INVALID, TOO_LARGE, TOO_MANY
from wsi_pipeline.service.settings import ServiceSettings

#: Small, many and cheap: what a viewer fetches while somebody looks around.
TILES = re.compile(
    r"/v1/(slides/[^/]+_files/|jobs/[^/]+/(heatmap|mask\.zarr)/|shared/"
    r"|images/[^/]+/(thumbnail|picture))"
)
#: Asked by those who watch the service, who must not be turned away.
_UNLIMITED = ("/healthz", "/readyz")
#: Least number of bad keys an address may try in a minute.
_LEAST_FAILURES = 30
_MOST_BODY_BYTES = 2 * 2**20
#: Longest such a body may take.
BODY_SECONDS = 60.0
_TOO_SLOW = f"the body was not complete after {BODY_SECONDS:g} s"
_TOO_LARGE = f"a body has at most {_MOST_BODY_BYTES:,} bytes here"
#: Callers remembered; about 2 MB. The one that was quiet longest is forgotten first.
_REMEMBERED = 10_000


class HostCheck:
    """Refuses names that are not this machine's, while only this machine is listened to.

    A page of another site could otherwise let its own name point at 127.0.0.1 (DNS rebinding) and
    talk to the service as if it came from there.

    Args:
        app: The layers inside.
        settings: Where the service listens, and under which other names it is reached.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app = app
        self._names = {name.lower() for name in settings.public_hosts}
        self._all = not self._names and not is_loopback(settings.host)
        self._names |= {"localhost", "127.0.0.1", "[::1]", settings.host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and not self._all:
            name = re.sub(r":\d*$", "", (header(scope, "host") or "").lower())
            if name not in self._names:
                detail = "this service is not reached under that name; see `public_hosts`"
                await send_problem(scope, send, BAD_REQUEST, detail)
                return
        await self._app(scope, receive, send)


class QueryCheck:
    """Refuses queries that are no text: they would be read with other characters in their place.

    Args:
        app: The layers inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            try:
                unquote_to_bytes(scope["query_string"]).decode()
            except UnicodeDecodeError:
                await send_problem(scope, send, INVALID, "the query is not text in UTF-8")
                return
        await self._app(scope, receive, send)


class BodyLimit:
    """Refuses bodies too large to be read at once, and too slow ones, where they are not slides.

    Bodies are read before the key is looked at: without a limit strangers could fill the memory.

    Args:
        app: The layers inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or _is_stream(scope):
            await self._app(scope, receive, send)
            return
        stated = header(scope, "content-length") or "0"
        if not stated.isdecimal() or int(stated) > _MOST_BODY_BYTES:
            await send_problem(scope, send, TOO_LARGE, _TOO_LARGE)
            return
        taken, complete = 0, False
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS

        async def receiving() -> Message:
            nonlocal taken, complete
            if complete:  # who streams an answer waits here for the client to leave
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(BAD_REQUEST.status, _TOO_SLOW) from None
            taken += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if taken > _MOST_BODY_BYTES:
                raise HTTPException(TOO_LARGE.status, _TOO_LARGE)
            return message

        await self._app(scope, receiving, send)


class RateLimits:
    """Answers 429 to a key that asks too often, and to an address that tries many keys.

    Each process counts for itself. A key may ask for a minute's worth at once, then as fast as
    its allowance grows again; its sessions share what it has.

    Args:
        app: The layers inside.
        settings: Requests per minute.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServiceSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._requests = Allowances(settings.requests_per_minute, clock)
        self._tiles = Allowances(settings.tile_requests_per_minute, clock)
        failures = settings.requests_per_minute // 10
        self._failures = Allowances(failures and max(failures, _LEAST_FAILURES), clock)
        #: Ids of the keys of what was presented before, by its hash.
        self._keys: OrderedDict[str, str] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["path"] in _UNLIMITED:
            await self._app(scope, receive, send)
            return
        address = (scope.get("client") or ("unknown", 0))[0]
        presented = _presented(scope)
        key_id = self._keys.get(presented or "")
        caller = key_id or presented or address
        allowances = self._tiles if TILES.match(scope["path"]) else self._requests
        known = key_id is not None or allowances.knows(caller)
        wait = allowances.take(caller)
        if not known:
            wait = max(wait, self._failures.wait(address))
        if wait > 0:
            detail = f"too many requests; try again in {math.ceil(wait)} s"
            retry = {"retry-after": str(math.ceil(wait))}
            await send_problem(scope, send, TOO_MANY, detail, retry)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                if key_id is None:
                    allowances.forget(caller)
                self._keys.pop(presented or "", None)
                self._failures.take(address)
            elif message["type"] == "http.response.start" and presented and key_id is None:
                access = scope["state"].get("access")
                if access is not None:
                    # What was taken under another name is taken from the key.
                    allowances.forget(presented)
                    allowances.take(access.key_id)
                    self._remember(presented, access.key_id)
            await send(message)

        await self._app(scope, receive, sending)

    def _remember(self, presented: str, key_id: str) -> None:
        self._keys[presented] = key_id
        if len(self._keys) > _REMEMBERED:
            self._keys.popitem(last=False)


class Allowances:
    """One token bucket for each caller.

    Args:
        per_minute: What each may take in a minute, and at once; 0 for no limit.
        clock: Seconds that only grow.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._most = per_minute
        self._clock = clock
        #: What is left, and when that was so.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def knows(self, caller: str) -> bool:
        """Whether this caller took something before."""
        return caller in self._left

    def wait(self, caller: str) -> float:
        """Seconds until the caller may take one; 0 is now."""
        if not self._most:
            return 0.0
        return max(0.0, (1 - self._now(caller)) * 60 / self._most)

    def take(self, caller: str) -> float:
        """Take one if there is one; returns the seconds to wait if there is not."""
        wait = self.wait(caller)
        if self._most and wait == 0:
            self._left[caller] = self._now(caller) - 1, self._clock()
            self._left.move_to_end(caller)
            if len(self._left) > _REMEMBERED:
                self._left.popitem(last=False)
        return wait

    def forget(self, caller: str) -> None:
        """Drop what is known of a caller."""
        self._left.pop(caller, None)

    def _now(self, caller: str) -> float:
        left, at = self._left.get(caller, (float(self._most), self._clock()))
        return min(self._most, left + (self._clock() - at) * self._most / 60)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_stream(scope: Scope) -> bool:
    """Whether the route takes the body piece by piece and has limits of its own."""
    path: str = scope["path"]
    method: str = scope["method"]
    if path.startswith("/v1/uploads"):
        return True
    return method == "PUT" and path in ("/v1/slides", "/v1/images")


def _presented(scope: Scope) -> str | None:
    """Hash of the key or session that is presented, good or not."""
    kind, _, secret = (header(scope, "authorization") or "").partition(" ")
    if kind.lower() != "bearer":
        try:
            morsel = SimpleCookie(header(scope, "cookie") or "").get(COOKIE)
        except CookieError:
            morsel = None
        secret = morsel.value if morsel else ""
    return hashlib.sha256(secret.encode()).hexdigest() if secret else None
