"""Many listeners to server-sent events at once, each on a connection of its own."""

import asyncio
import json
from dataclasses import dataclass, field


@dataclass
class Audience:
    """So many event streams on one service; use it in an event loop.

    Attributes:
        port: Of the service, on this machine.
        key: Sent with each request.
        path: Of the streams.
        heard: For each stream in turn, what it was told so far: ids of jobs and their states.
    """

    port: int
    key: str
    path: str
    heard: list[list[tuple[str, str]]] = field(default_factory=list)
    _readers: list["asyncio.Task[None]"] = field(default_factory=list)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _begun: int = 0

    async def come(self, count: int) -> None:
        """Open so many more; returns when each has had its first event."""
        wanted = len(self.heard) + count
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(
                f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Authorization: Bearer {self.key}\r\n\r\n".encode()
            )
            self._writers.append(writer)
            heard: list[tuple[str, str]] = []
            self.heard.append(heard)
            self._readers.append(asyncio.create_task(self._listen(reader, heard)))
        while self._begun < wanted:
            for reading in self._readers:
                if reading.done():
                    reading.result()
                    raise AssertionError("a stream ended")
            await asyncio.sleep(0.05)

    async def until_all_heard(self, news: tuple[str, str]) -> None:
        """Return when every stream was told this."""
        while not all(news in heard for heard in self.heard):
            await asyncio.sleep(0.02)

    async def go(self) -> None:
        """Leave without a word."""
        for reading in self._readers:
            reading.cancel()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def _listen(self, reader: asyncio.StreamReader, heard: list[tuple[str, str]]) -> None:
        status = await reader.readline()
        assert b" 200 " in status, status
        while line := await reader.readline():
            if line.startswith(b"event: start"):
                self._begun += 1
            elif line.startswith(b"data: "):
                told = json.loads(line.removeprefix(b"data: "))
                if "state" in told:
                    heard.append((told["job_id"], told["state"]))
