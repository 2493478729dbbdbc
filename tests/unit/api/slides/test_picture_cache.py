"""Pictures are made once, kept within a bound, and failures are not tried over and over."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.problems import GONE, UNAVAILABLE, ApiError, Kind
from api.slides.picture_cache import InFlight, PictureCache


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Maker:
    """Makes pictures of so many bytes, or fails, and counts."""

    def __init__(self, size: int = 10, fails: Kind | None = None) -> None:
        self.calls = 0
        self.size = size
        self.fails = fails
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self) -> bytes:
        self.calls += 1
        await self.may_end.wait()
        if self.fails is not None:
            raise ApiError(self.fails, "as told")
        return bytes(self.size)


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(test())


def test_a_picture_is_made_once() -> None:
    async def test() -> None:
        pictures, make = PictureCache(1000), Maker()
        assert await pictures.get("a", make) == await pictures.get("a", make) == bytes(10)
        assert make.calls == 1
        assert pictures.held_bytes == 10

    run(test)


def test_those_who_ask_at_the_same_time_wait_for_the_same_picture() -> None:
    async def test() -> None:
        pictures, make = PictureCache(1000), Maker()
        make.may_end.clear()
        asked = [asyncio.create_task(pictures.get("a", make)) for _ in range(20)]
        await asyncio.sleep(0)
        impatient = asked.pop()
        impatient.cancel()
        await asyncio.sleep(0)
        make.may_end.set()
        assert await asyncio.gather(*asked) == [bytes(10)] * 19
        assert make.calls == 1
        assert impatient.cancelled()

    run(test)


def test_nobody_has_to_be_there_at_the_end() -> None:
    async def test() -> None:
        pictures, make = PictureCache(1000), Maker(fails=GONE)
        make.may_end.clear()
        asked = asyncio.create_task(pictures.get("a", make))
        await asyncio.sleep(0)
        asked.cancel()
        make.may_end.set()
        for _ in range(5):
            await asyncio.sleep(0)
        # Not "exception was never retrieved", which would be an error here.
        with pytest.raises(ApiError, match="as told"):
            await pictures.get("a", make)
        assert make.calls == 1

    run(test)


def test_the_longest_unused_goes_first() -> None:
    async def test() -> None:
        pictures, make = PictureCache(30), Maker()
        for key in ("a", "b", "c", "a", "d"):
            await pictures.get(key, make)
        assert make.calls == 4
        await pictures.get("a", make)
        assert make.calls == 4
        await pictures.get("b", make)
        assert make.calls == 5

    run(test)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 60)), max_size=60))
def test_the_bound_holds(wanted: list[tuple[int, int]]) -> None:
    async def test() -> None:
        pictures = PictureCache(100)
        sizes: dict[int, int] = {}
        for key, size in wanted:
            got = await pictures.get(key, Maker(size))
            assert len(got) in (size, sizes.get(key))
            sizes[key] = len(got)
            assert pictures.held_bytes <= 100
        pictures.clear()
        assert pictures.held_bytes == 0

    run(test)


def test_one_larger_than_the_bound_is_given_but_not_kept() -> None:
    async def test() -> None:
        pictures, make = PictureCache(100), Maker(size=101)
        await pictures.get("kept", Maker(50))
        assert len(await pictures.get("a", make)) == 101
        assert len(await pictures.get("a", make)) == 101
        assert make.calls == 2
        assert pictures.held_bytes == 50

    run(test)


def test_a_failure_is_remembered_for_a_while() -> None:
    async def test() -> None:
        clock = Clock()
        pictures, make = PictureCache(100, clock), Maker(fails=GONE)
        for _ in range(3):
            with pytest.raises(ApiError, match="as told") as failed:
                await pictures.get("a", make)
            assert failed.value.kind is GONE
        assert make.calls == 1
        clock.now = 31
        make.fails = None
        assert await pictures.get("a", make) == bytes(10)
        assert make.calls == 2

    run(test)


def test_what_may_be_over_in_a_moment_is_tried_again() -> None:
    async def test() -> None:
        pictures, make = PictureCache(100), Maker(fails=UNAVAILABLE)
        for _ in range(2):
            with pytest.raises(ApiError):
                await pictures.get("a", make)
        assert make.calls == 2

    run(test)


def test_work_in_flight_is_shared_only_while_it_lasts() -> None:
    async def test() -> None:
        flying, make = InFlight[bytes](), Maker()
        await asyncio.gather(*(flying.get("a", make) for _ in range(3)), flying.get("b", make))
        assert make.calls == 2
        await flying.get("a", make)
        assert make.calls == 3

    run(test)
