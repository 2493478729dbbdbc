"""Reading requests off a connection: bounded in bytes and time before there is anything to refuse.

The parser takes heads of any length, and waits for them for as long as it takes. Strangers could
fill the memory, or hold connections open, before any key is asked for. A reverse proxy has such
limits of its own; a service without one needs them too.
"""

import asyncio
import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.problems import BAD_REQUEST, MEDIA_TYPE, as_json

#: Bytes that are neither body nor the end of a head: a head, trailers, or sizes of chunks.
MOST_HEAD_BYTES = 64 * 2**10
#: From the connection, or a head's first byte, to its last.
HEAD_SECONDS = 30.0

_REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)
_PROBLEM = json.dumps(as_json(BAD_REQUEST, "this is not an HTTP request")).encode()
_NO_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\n"
    b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
) % (MEDIA_TYPE.encode(), len(_PROBLEM), _PROBLEM)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What comes with one read, 256 KiB, is looked at before it is counted."""

    _bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """See :class:`asyncio.Protocol`, as the next two."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102 - see above
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:  # noqa: D102 - see above
        self._bytes += len(data)
        super().data_received(data)
        if self._bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            if not self._is_answering():
                self.transport.write(_REFUSAL)
            self.transport.close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """Tell a problem detail, as every other refusal does."""
        self.transport.write(_NO_HTTP)
        self.transport.close()

    def on_message_begin(self) -> None:
        """See ``httptools``, as the next two."""
        self._start_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:  # noqa: D102 - see above
        self._bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:  # noqa: D102 - see above
        self._bytes = 0
        super().on_body(body)

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self._is_answering():  # a head that comes after another one: it waits for its turn
            self._start_timer()
        else:
            self.transport.close()
