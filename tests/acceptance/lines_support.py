"""A line between a client and a server that is cut where a test wants it."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Line:
    """Relays TCP to a server.

    Attributes:
        url: Address clients use.
        up: For each connection in turn, bytes from the client after which it is cut; no more
            entries: it is not cut.
        down: The same for bytes from the server.
        connections: How many there were.
    """

    target: tuple[str, int]
    url: str = ""
    up: list[int] = field(default_factory=list)
    down: list[int] = field(default_factory=list)
    connections: int = 0
    stopping: bool = False


@contextlib.contextmanager
def line_to(url: str) -> Iterator[Line]:
    """A line to the server at ``http://127.0.0.1:PORT``."""
    host, _, port = url.removeprefix("http://").partition(":")
    line = Line((host, int(port)))
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        line.url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def accept() -> None:
            while not line.stopping:
                with contextlib.suppress(TimeoutError):
                    client = listening.accept()[0]
                    thread = threading.Thread(target=_relay, args=(line, client))
                    threads.append(thread)
                    thread.start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield line
        finally:
            line.stopping = True
            acceptor.join()
            for thread in threads:
                thread.join()


def _relay(line: Line, client: socket.socket) -> None:
    line.connections += 1
    up = line.up.pop(0) if line.up else None
    down = line.down.pop(0) if line.down else None
    with client, socket.create_connection(line.target) as server:
        pumps = [
            threading.Thread(target=_pump, args=(line, client, server, up)),
            threading.Thread(target=_pump, args=(line, server, client, down)),
        ]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()


def _pump(line: Line, source: socket.socket, sink: socket.socket, left: int | None) -> None:
    source.settimeout(0.1)
    try:
        while not line.stopping:
            try:
                data = source.recv(65536)
            except TimeoutError:
                continue
            if left is not None:
                data = data[:left]
                left -= len(data)
            if data:
                sink.sendall(data)
            if not data or left == 0:
                break
    except OSError:
        pass  # cut from the other side: that is what this is for
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
