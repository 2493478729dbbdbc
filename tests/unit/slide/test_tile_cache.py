"""Each tile is decoded once, and memory stays within the capacity."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.slide.tile_cache import TileCache


def tile(value: int, size: int = 100) -> NDArray[np.uint8]:
    return np.full(size, value, np.uint8)


def test_a_tile_many_threads_want_is_decoded_once() -> None:
    cache = TileCache(10_000)
    gate, decoded = threading.Barrier(8), []

    def decode() -> NDArray[np.uint8]:
        decoded.append(1)
        threading.Event().wait(0.05)
        return tile(7)

    def ask(_: int) -> int:
        gate.wait()
        return int(cache.get("a", decode)[0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [7] * 8
    assert len(decoded) == 1


def test_the_least_recently_used_tile_goes_first() -> None:
    cache, decoded = TileCache(300), []

    def get(key: int) -> None:
        def decode() -> NDArray[np.uint8]:
            decoded.append(key)
            return tile(key)

        assert cache.get(key, decode)[0] == key

    for key in (1, 2, 3, 1, 4, 1, 3, 2):
        get(key)
    # 4 put 2 out, not 1, which had just been used; 2 then put 4 out.
    assert decoded == [1, 2, 3, 4, 2]


def test_a_tile_larger_than_the_cache_is_still_given() -> None:
    cache = TileCache(10)
    assert cache.get("a", lambda: tile(1)).size == 100
    assert cache.get("b", lambda: tile(2))[0] == 2


def test_a_failure_reaches_whoever_asked_and_is_not_remembered() -> None:
    cache = TileCache(1000)
    began, go_on = threading.Event(), threading.Event()

    def fail() -> NDArray[np.uint8]:
        began.set()
        go_on.wait(10)
        raise ValueError("broken tile")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "a", fail)
        began.wait(10)
        second = pool.submit(cache.get, "a", lambda: tile(5))
        go_on.set()
        with pytest.raises(ValueError, match="broken tile"):
            first.result(10)
        assert second.result(10)[0] == 5
