"""One person who looks at a slide and its heatmap in a browser: what is asked for, and when."""

import asyncio
import contextlib
import random
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

_WINDOW = (1600, 1000)
_CONNECTIONS = 6
_LOOK_SECONDS = 1.0


@dataclass
class Seen:
    """What all visitors met.

    Attributes:
        tiles: Seconds each tile of the slide took.
        cells: Seconds each tile of the heatmap took.
        views: Seconds until all of a new view was there.
        size: Bytes of all tiles.
        failed: What went wrong, how often: statuses other than 200, and errors.
        seconds: How long they looked.
    """

    tiles: list[float] = field(default_factory=list)
    cells: list[float] = field(default_factory=list)
    views: list[float] = field(default_factory=list)
    size: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


@dataclass(frozen=True)
class Scene:
    """What there is to see, as the service tells it.

    Attributes:
        slide: Address of the slide, ``/v1/slides/{id}``.
        pyramid: Its levels.
        heatmap: Address of the heatmap, ``/v1/jobs/{id}/heatmap``.
        cells: Its levels.
    """

    slide: str
    pyramid: dict[str, Any]
    heatmap: str
    cells: dict[str, Any]


class Visitor:
    """One person with a browser.

    Args:
        client: Talks to the service.
        scene: What is looked at.
        seed: Of the walk.
    """

    def __init__(self, client: httpx.AsyncClient, scene: Scene, seed: int) -> None:
        self._client = client
        self._scene = scene
        self._levels: list[dict[str, int]] = scene.pyramid["zoom_levels"]
        self._chance = random.Random(seed)
        self._free = asyncio.Semaphore(_CONNECTIONS)
        self._have: set[str] = set()
        fits = (one["level"] for one in self._levels if one["width"] >= _WINDOW[0] / 2)
        self._home = self._level = next(fits, len(self._levels) - 1)
        size = self._levels[self._level]
        self._x, self._y = size["width"] / 2, size["height"] / 2

    async def walk(self, until: float, seen: Seen) -> None:
        """Look around until the clock says so."""
        await asyncio.sleep(self._chance.uniform(0, _LOOK_SECONDS))
        while time.perf_counter() < until:
            began = time.perf_counter()
            wanted = [
                self._fetch(path, seen, took)
                for paths, took in ((self._tiles(), seen.tiles), (self._cells(), seen.cells))
                for path in paths
                if path not in self._have
            ]
            await asyncio.gather(*wanted)
            if wanted:
                seen.views.append(time.perf_counter() - began)
            await asyncio.sleep(min(3.0, self._chance.expovariate(1 / _LOOK_SECONDS)))
            self._move()

    def _tiles(self) -> Iterator[str]:
        """Tiles of the slide that the window touches."""
        size, side = self._levels[self._level], self._scene.pyramid["tile_size"]
        for column, row in self._touched(side, size["columns"], size["rows"]):
            yield f"{self._scene.slide}_files/{self._level}/{column}_{row}.jpeg"

    def _cells(self) -> Iterator[str]:
        """Tiles of the heatmap that the window touches, of cells not much larger than a px."""
        scale = self._levels[self._level]["downsample"]
        levels = self._scene.cells["levels"]
        fine = [number for number, one in enumerate(levels) if one["cell_px"] <= 2 * scale]
        chosen = fine[-1] if fine else 0
        level = levels[chosen]
        side = self._scene.cells["tile_cells"] * level["cell_px"] / scale
        for column, row in self._touched(side, level["tile_columns"], level["tile_rows"]):
            yield f"{self._scene.heatmap}/{chosen}/{column}_{row}"

    def _touched(self, side: float, columns: int, rows: int) -> Iterator[tuple[int, int]]:
        """Columns and rows of tiles the window touches; ``side`` in px of the shown level."""
        spans = []
        for at, window, tiles in zip((self._x, self._y), _WINDOW, (columns, rows), strict=True):
            first = max(0, int((at - window / 2) // side))
            last = min(tiles - 1, int((at + window / 2) // side))
            spans.append(range(first, last + 1))
        yield from ((column, row) for column in spans[0] for row in spans[1])

    async def _fetch(self, path: str, seen: Seen, took: list[float]) -> None:
        async with self._free:
            began = time.perf_counter()
            try:
                answer = await self._client.get(path)
            except httpx.HTTPError as error:
                seen.failed[type(error).__name__] += 1
                return
            if answer.status_code != 200:
                seen.failed[str(answer.status_code)] += 1
                return
            took.append(time.perf_counter() - began)
        self._have.add(path)
        seen.size += len(answer.content)

    def _move(self) -> None:
        choice = self._chance.random()
        if choice < 0.25 and self._level + 1 < len(self._levels):
            self._level, scale = self._level + 1, 2.0
        elif choice < 0.4 and self._level > self._home:
            self._level, scale = self._level - 1, 0.5
        else:
            scale = 1.0
        size = self._levels[self._level]
        pan = _WINDOW[0] / 2 if scale == 1 else _WINDOW[0] / 4
        self._x = self._x * scale + self._chance.uniform(-pan, pan)
        self._y = self._y * scale + self._chance.uniform(-pan, pan)
        self._x = min(max(self._x, 0.0), float(size["width"]))
        self._y = min(max(self._y, 0.0), float(size["height"]))


async def look(
    url: str, headers: dict[str, str], scene: Scene, count: int, seconds: float, seed: int
) -> Seen:
    """Let so many visitors walk for a time."""
    seen = Seen()
    limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
    # One for all: making one takes longer than many tiles.
    trusted = ssl.create_default_context()
    async with contextlib.AsyncExitStack() as stack:
        visitors = []
        for number in range(count):
            client = httpx.AsyncClient(
                base_url=url, headers=headers, limits=limits, timeout=60, verify=trusted
            )
            await stack.enter_async_context(client)
            visitors.append(Visitor(client, scene, seed + number))
        began = time.perf_counter()
        await asyncio.gather(*(one.walk(began + seconds, seen) for one in visitors))
        seen.seconds = time.perf_counter() - began
    return seen
