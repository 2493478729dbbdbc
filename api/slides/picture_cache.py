"""Encoded pictures kept in memory, each made once however many ask for it at the same time."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from api.problems import ApiError, Kind

T = TypeVar("T")

#: A place that could not be read is not tried again for so long: every try opens the slide anew.
_FAILURE_SECONDS = 30.0
#: Failures remembered.
_FAILURES = 10_000


class InFlight(Generic[T]):
    """Work that several ask for is done once. For one event loop.

    Who gives up waiting stops nobody else, and not the work either.
    """

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What ``make`` returns or raises, begun now or by an earlier call that still runs."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(make())
            task.add_done_callback(lambda done: self._over(key, done))
        return await asyncio.shield(task)

    def _over(self, key: Hashable, task: "asyncio.Task[T]") -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # seen: nobody may be waiting any more


class PictureCache:
    """The pictures used last, up to ``capacity`` bytes. For one event loop.

    Args:
        capacity: Most bytes kept.
        clock: Seconds that only grow.
    """

    def __init__(self, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._clock = clock
        self._bytes = 0
        self._pictures: OrderedDict[Hashable, bytes] = OrderedDict()
        self._failures: OrderedDict[Hashable, tuple[Kind, str, float]] = OrderedDict()
        self._making = InFlight[bytes]()

    @property
    def held_bytes(self) -> int:
        """Bytes of the pictures that are kept."""
        return self._bytes

    async def get(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        """The picture of ``key``, made by ``make`` if it is not held.

        Raises:
            ApiError: as ``make`` raised it, now or a moment ago.
        """
        picture = self._pictures.get(key)
        if picture is not None:
            self._pictures.move_to_end(key)
            return picture
        failure = self._failures.get(key)
        if failure is not None:
            kind, detail, until = failure
            if self._clock() < until:
                raise ApiError(kind, detail)
            del self._failures[key]
        return await self._making.get(key, lambda: self._make(key, make))

    def clear(self) -> None:
        """Forget all of them."""
        self._pictures.clear()
        self._failures.clear()
        self._bytes = 0

    async def _make(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        try:
            picture = await make()
        except ApiError as error:
            if error.kind.status < 500:  # the others may be over in a moment
                # Not the error itself: it would keep the px it met alive.
                until = self._clock() + _FAILURE_SECONDS
                self._failures[key] = error.kind, str(error), until
                if len(self._failures) > _FAILURES:
                    self._failures.popitem(last=False)
            raise
        if len(picture) <= self._capacity:
            self._pictures[key] = picture
            self._bytes += len(picture)
        while self._bytes > self._capacity:
            self._bytes -= len(self._pictures.popitem(last=False)[1])
        return picture
