"""A bounded, thread-safe cache of decoded tiles in which each tile is decoded once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np
from numpy.typing import NDArray


class TileCache:
    """Least-recently-used tiles up to ``capacity`` bytes; safe to share between threads.

    A thread that wants a tile another thread is decoding waits for it instead of decoding it
    again.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._bytes = 0
        self._tiles: OrderedDict[Hashable, NDArray[np.uint8]] = OrderedDict()
        self._pending: dict[Hashable, threading.Event] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, decode: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """The tile of ``key``, decoded by ``decode`` if it is not held.

        Whatever ``decode`` raises reaches the caller; the next asker tries again.
        """
        while True:
            with self._lock:
                tile = self._tiles.get(key)
                if tile is not None:
                    self._tiles.move_to_end(key)
                    return tile
                event = self._pending.get(key)
                if event is None:
                    event = self._pending[key] = threading.Event()
                    break
            event.wait()
        try:
            tile = decode()
            with self._lock:
                self._tiles[key] = tile
                self._bytes += tile.nbytes
                while self._bytes > self._capacity and len(self._tiles) > 1:
                    self._bytes -= self._tiles.popitem(last=False)[1].nbytes
        finally:
            with self._lock:
                del self._pending[key]
            event.set()
        return tile
