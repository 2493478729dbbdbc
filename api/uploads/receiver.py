"""Taking a body in: written, made safe and counted as it comes, and kept when it breaks off."""

import asyncio
import errno
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar, cast

import anyio
import anyio.to_thread
from sqlalchemy.exc import OperationalError
from starlette.requests import Request
from starlette.types import Message

from api.dependencies import Services
from api.problems import LOCKED, NO_SPACE, UNAVAILABLE, ApiError

#: Nobody is there to read the answer any more; only logs have this status.
CLIENT_LEFT = 499
_BLOCK_BYTES = 2**20
#: So much, or so long, is at risk when the server is killed.
_COMMIT_BYTES = 8 * 2**20
_COMMIT_SECONDS = 1.0
#: A writer that got nothing for so long leaves if another one comes: its line is dead.
_STALLED_SECONDS = 3.0
#: So long a request waits for the one before it, whose bytes may still be saved.
_GRACE_SECONDS = 2.0
#: A writer that got nothing for so long leaves by itself.
_SILENT_SECONDS = 60.0
#: How often a silent writer looks up, seconds.
_LOOK_UP_SECONDS = 1.0
#: Threads for file work of all uploads: a slow disk must not keep other requests from theirs.
_THREADS = 8
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

_Result = TypeVar("_Result")


class LeftError(Exception):
    """The client went away in the middle of its request; what it sent is kept."""


class Writing(Protocol):
    """Where one request's bytes go. Every method blocks; one thread at a time.

    Attributes:
        name: Of what is written: nobody else writes it meanwhile.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see above

    def begin(self, offset: int) -> None:
        """Become the only writer."""

    def write(self, data: bytes) -> None:
        """Append bytes."""

    def count(self) -> None:
        """Make safe what was written, if parts count."""

    def finish(self) -> None:
        """All bytes were written."""

    def keep(self) -> None:
        """The request broke off: keep of it what counts."""

    def close(self) -> None:
        """Let others write; called whatever happened."""


class _Writer:
    """A request that is writing: when bytes last came, a way to ask it to leave, and its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.heard_at = loop.time()
        self.leave = asyncio.Event()
        self.gone = asyncio.Event()


class Receiver:
    """Takes bodies in; knows who is writing which upload in this process.

    Lives on the event loop, where it never blocks: files and database are worked with in threads
    of its own.

    Args:
        services: The application's parts.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._writers: dict[str, _Writer] = {}
        self._threads = anyio.CapacityLimiter(_THREADS)

    @staticmethod
    def of(request: Request) -> "Receiver":
        """The application's, for routes."""
        return cast("Receiver", request.app.state.receiver)

    async def work(self, call: Callable[[], _Result]) -> _Result:
        """Run something that blocks, in one of the threads for uploads.

        Raises:
            ApiError: the disk is full.
        """
        running = asyncio.ensure_future(anyio.to_thread.run_sync(call, limiter=self._threads))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # A thread cannot be stopped, and nobody may touch the file before it is through.
            await asyncio.wait({running})
            raise
        except (OSError, OperationalError) as error:
            if not _is_full(error):
                raise
            detail = "the disk is full; what was acknowledged is kept, continue later"
            raise ApiError(NO_SPACE, detail, {"Retry-After": "60"}) from error

    async def make_way(self, upload_id: str) -> None:
        """Wait a moment for an upload's writer, so that its client can continue here.

        A client that breaks off and continues comes here while its last request is still saved. A
        writer whose line is dead is sent away; one that still gets bytes stays.
        """
        writer = self._writers.get(upload_id)
        if writer is None:
            return
        if not self._is_stalled(writer):
            with anyio.move_on_after(_GRACE_SECONDS):
                await writer.gone.wait()
                return
        if self._is_stalled(writer):
            writer.leave.set()
            with anyio.move_on_after(_STALLED_SECONDS):
                await writer.gone.wait()

    @staticmethod
    def _is_stalled(writer: _Writer) -> bool:
        return asyncio.get_running_loop().time() - writer.heard_at >= _STALLED_SECONDS

    async def receive(self, request: Request, append: Writing, offset: int = 0) -> None:
        """Append a request's body to an upload.

        Args:
            request: Its body is read here, and not before the upload is locked.
            append: The writing.
            offset: Where the client thinks the upload stands.

        Raises:
            LeftError: the client went away; what it sent is kept, if it may be.
            ApiError, WsiError: as the writing raises them.
        """
        writer = _Writer(asyncio.get_running_loop())
        try:
            await self.work(lambda: append.begin(offset))
            self._writers[append.name] = writer
            try:
                await self._take(request, append, writer)
            except (LeftError, asyncio.CancelledError):
                await self.work(append.keep)
                raise
            except _Leave as leave:
                await self.work(append.keep)
                raise leave.answer from None
            await self.work(append.finish)
        finally:
            append.close()
            writer.gone.set()
            if self._writers.get(append.name) is writer:
                del self._writers[append.name]

    async def _take(self, request: Request, append: Writing, writer: _Writer) -> None:
        body = _Body(request, writer, self._services.stopping)
        loop = asyncio.get_running_loop()
        pending = bytearray()
        uncounted, counted_at = 0, loop.time()
        try:
            while body.has_more():
                pending += await body.next()
                due = loop.time() - counted_at >= _COMMIT_SECONDS
                if len(pending) >= _BLOCK_BYTES or due or not body.has_more():
                    block, pending = bytes(pending), bytearray()
                    await self.work(partial(append.write, block))
                    uncounted += len(block)
                if uncounted and body.has_more() and (due or uncounted >= _COMMIT_BYTES):
                    await self.work(append.count)
                    uncounted, counted_at = 0, loop.time()
        except (LeftError, asyncio.CancelledError, _Leave):
            await self.work(partial(append.write, bytes(pending)))
            raise
        finally:
            body.close()


class _Body:
    """A request's body as it comes, with an eye on the clock and on who else wants the upload."""

    def __init__(self, request: Request, writer: _Writer, stopping: threading.Event) -> None:
        self._ended = False
        self._receive = request.receive
        self._writer = writer
        self._stopping = stopping
        self._leave = asyncio.ensure_future(writer.leave.wait())
        self._coming: asyncio.Task[Message] | None = None

    def has_more(self) -> bool:
        """Whether not all of it came."""
        return not self._ended

    async def next(self) -> bytes:
        """What came next; nothing if it takes long.

        Raises:
            LeftError: the client went away.
            _Leave: there is a reason not to wait for the rest.
        """
        if self._stopping.is_set():
            raise _Leave(_later("the service is stopping; continue when it runs again"))
        coming = self._coming or asyncio.ensure_future(self._message())
        self._coming = coming
        await asyncio.wait(
            {coming, self._leave}, timeout=_LOOK_UP_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        now = asyncio.get_running_loop().time()
        if coming.done():
            self._coming = None
            self._writer.heard_at = now
            return self._bytes_of(coming.result())
        if self._writer.leave.is_set():
            detail = "the upload is continued by another request"
            raise _Leave(ApiError(LOCKED, detail, {"Retry-After": "1"}))
        if now - self._writer.heard_at > _SILENT_SECONDS:
            raise _Leave(_later(f"no bytes were received for {_SILENT_SECONDS:g} s; continue"))
        return b""

    def close(self) -> None:
        """Wait for nothing any more."""
        self._leave.cancel()
        if self._coming is not None:
            self._coming.cancel()

    async def _message(self) -> Message:
        return await self._receive()

    def _bytes_of(self, message: Message) -> bytes:
        if message["type"] == "http.disconnect":
            raise LeftError
        self._ended = not message.get("more_body", False)
        return bytes(message.get("body", b""))


class _Leave(Exception):  # noqa: N818 - not a failure: what came is kept
    """The request ends before its body does."""

    def __init__(self, answer: ApiError) -> None:
        super().__init__(str(answer))
        self.answer = answer


def _later(detail: str) -> ApiError:
    return ApiError(UNAVAILABLE, detail, {"Retry-After": "1"})


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    return "full" in str(getattr(error, "orig", error))
