"""Fifty people look at one slide while a job computes: what each of them waits, what it costs.

``python -m benchmarks.viewers`` starts ``wsi serve`` with one worker, uploads a synthetic slide,
queues a long job, and measures the worker's tiles per second three times: alone, with viewers,
alone again. A viewer has a window of 1600 × 1000 px and walks about as people do (seeded): mostly
it pans by a part of the window, sometimes it zooms; it asks for the tiles it has not seen yet over
six connections, as browsers do, waits until the view is complete, looks at it for a second or so,
and goes on. The viewers run on the same machine and take their share of its processors.

``build/viewers.json`` keeps:

* ``tile_ms``: latency of each tile, from sending the request to its last byte: p50, p95, p99, max;
* ``view_ms``: from a viewer's move until all tiles of the new view are there: p50, p95;
* ``tiles``, ``tiles_per_second``: served; ``failed``: other answers than 200;
* ``api_rss_mb``: resident memory of the API process before, at its peak, and afterwards;
* ``cpu_seconds``: processor time of ``api``, ``worker`` and ``viewers`` while there were viewers;
* ``worker_tiles_per_second``: ``alone`` (both times), ``watched``; ``ratio`` of the second to the
  mean of the first.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil

from wsi_pipeline.synth import SynthSpec, parse_size, write_slide

_WINDOW = (1600, 1000)
_CONNECTIONS = 6
_LOOK_SECONDS = 1.0
_SAMPLE_SECONDS = 0.2
#: Distance of the job's tiles: so many that it outlasts the measurement.
_STRIDE = 64


@dataclass
class Seen:
    """What all viewers met: seconds of tiles and of views, bytes, and other answers than 200."""

    tiles: list[float] = field(default_factory=list)
    views: list[float] = field(default_factory=list)
    size: int = 0
    failed: int = 0


class Viewer:
    """One person with a browser.

    Args:
        client: Talks to the service.
        address: Of the slide, ``/v1/slides/{id}``.
        pyramid: What the service told of it.
        seed: Of the walk.
    """

    def __init__(
        self, client: httpx.AsyncClient, address: str, pyramid: dict[str, Any], seed: int
    ) -> None:
        self._client = client
        self._address = address
        self._levels: list[dict[str, int]] = pyramid["zoom_levels"]
        self._side: int = pyramid["tile_size"]
        self._chance = random.Random(seed)
        self._free = asyncio.Semaphore(_CONNECTIONS)
        self._have: set[tuple[int, int, int]] = set()
        fits = (one["level"] for one in self._levels if one["width"] >= _WINDOW[0] / 2)
        self._home = self._level = next(fits, len(self._levels) - 1)
        size = self._levels[self._level]
        self._x, self._y = size["width"] / 2, size["height"] / 2

    async def walk(self, until: float, seen: Seen) -> None:
        """Look around until the clock says so."""
        await asyncio.sleep(self._chance.uniform(0, _LOOK_SECONDS))
        while time.perf_counter() < until:
            wanted = [tile for tile in self._view() if tile not in self._have]
            began = time.perf_counter()
            await asyncio.gather(*(self._fetch(tile, seen) for tile in wanted))
            if wanted:
                seen.views.append(time.perf_counter() - began)
            await asyncio.sleep(min(3.0, self._chance.expovariate(1 / _LOOK_SECONDS)))
            self._move()

    def _view(self) -> Iterator[tuple[int, int, int]]:
        """Level, column and row of the tiles the window touches."""
        size = self._levels[self._level]
        spans = []
        for at, window, tiles in zip(
            (self._x, self._y), _WINDOW, (size["columns"], size["rows"]), strict=True
        ):
            first = max(0, int((at - window / 2) // self._side))
            last = min(tiles - 1, int((at + window / 2) // self._side))
            spans.append(range(first, last + 1))
        yield from ((self._level, column, row) for column in spans[0] for row in spans[1])

    async def _fetch(self, tile: tuple[int, int, int], seen: Seen) -> None:
        level, column, row = tile
        async with self._free:
            began = time.perf_counter()
            try:
                answer = await self._client.get(
                    f"{self._address}_files/{level}/{column}_{row}.jpeg"
                )
            except httpx.HTTPError:
                seen.failed += 1
                return
            seen.tiles.append(time.perf_counter() - began)
        if answer.status_code == 200:
            self._have.add(tile)
            seen.size += len(answer.content)
        else:
            seen.failed += 1

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


class Memory:
    """Samples a process's resident memory while it is entered."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak_mb = self.now_mb()

    def now_mb(self) -> float:
        """In 10^6 bytes."""
        return float(self._process.memory_info().rss / 1e6)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            self.peak_mb = max(self.peak_mb, self.now_mb())


@dataclass(frozen=True)
class Running:
    """A running service: its address, token, and the processes of it that work."""

    url: str
    token: str
    api: psutil.Process
    workers: tuple[psutil.Process, ...]

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.token}"}

    def cpu_seconds(self) -> tuple[float, float]:
        """Processor time so far, of the API and of the workers with their children."""
        crew = itertools.chain(*([one, *one.children(recursive=True)] for one in self.workers))
        return _cpu(self.api), sum(_cpu(process) for process in crew)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Running]:
    """``wsi serve`` on a free port, stopped at the end."""
    command = [sys.executable, "-m", "wsi_pipeline.cli", "serve", "--port", "0"]
    command += ["--data-dir", str(folder), "--workers", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            address = urlsplit(process.stdout.readline().strip())
            if not address.netloc:
                raise SystemExit(f"wsi serve did not start; see {folder / 'log'}")
            children = psutil.Process(process.pid).children()
            by_name = {name: _running(children, name) for name in ("api", "workers")}
            yield Running(
                f"http://{address.netloc}",
                parse_qs(address.query)["token"][0],
                by_name["api"][0],
                tuple(by_name["workers"]),
            )
        finally:
            process.terminate()
            process.wait(60)


async def look(
    running: Running, address: str, pyramid: dict[str, Any], count: int, seconds: float, seed: int
) -> Seen:
    """Let viewers walk for a time."""
    seen, until = Seen(), time.perf_counter() + seconds
    limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
    async with contextlib.AsyncExitStack() as stack:
        viewers = []
        for number in range(count):
            client = httpx.AsyncClient(
                base_url=running.url, headers=running.headers, limits=limits, timeout=60
            )
            await stack.enter_async_context(client)
            viewers.append(Viewer(client, address, pyramid, seed + number))
        await asyncio.gather(*(viewer.walk(until, seen) for viewer in viewers))
    return seen


def rate(client: httpx.Client, job_id: str, seconds: float) -> float:
    """The job's tiles per second over a time, from its own progress."""
    first, began = _progress(client, job_id)
    time.sleep(seconds)
    last, ended = _progress(client, job_id)
    return (last - first) / (ended - began)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/viewers.json"))
    parser.add_argument("--size", default="20000x18000")
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each part")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    folder = arguments.out.parent / "viewers"
    (arguments.out.parent / "bench").mkdir(parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    slide = arguments.out.parent / "bench" / f"{arguments.size}.tiff"
    if not slide.exists():
        write_slide(SynthSpec(parse_size(arguments.size), seed=7), slide)
    load = os.getloadavg()[0]
    with (
        serving(folder) as running,
        httpx.Client(base_url=running.url, headers=running.headers, timeout=60) as client,
    ):
        address, pyramid = _upload(client, slide)
        job_id = _begin_job(client, address)
        try:
            figures = _measure(running, client, address, pyramid, job_id, arguments)
        finally:
            client.post(f"/v1/jobs/{job_id}/cancel")
    figures |= {
        "viewers": arguments.viewers,
        "seconds": arguments.seconds,
        "slide": arguments.size,
        "processors": len(os.sched_getaffinity(0)),
        "load_before": load,
    }
    arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    _show(figures)


def _measure(
    running: Running,
    client: httpx.Client,
    address: str,
    pyramid: dict[str, Any],
    job_id: str,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    seconds = arguments.seconds
    alone = [rate(client, job_id, seconds)]
    # Once for all that is loaded and opened with the first tile: that is no growth.
    client.get(f"{address}_files/0/0_0.jpeg").raise_for_status()
    memory = Memory(running.api)
    before = memory.now_mb()
    watched: list[float] = []
    meter = threading.Thread(target=lambda: watched.append(rate(client, job_id, seconds)))
    api, worker = running.cpu_seconds()
    mine = _own_cpu()
    with memory:
        meter.start()
        began = time.perf_counter()
        seen = asyncio.run(
            look(running, address, pyramid, arguments.viewers, seconds, arguments.seed)
        )
        took = time.perf_counter() - began
        meter.join()
    spent = {
        name: after - earlier
        for name, after, earlier in zip(
            ("api", "worker", "viewers"),
            (*running.cpu_seconds(), _own_cpu()),
            (api, worker, mine),
            strict=True,
        )
    }
    after = memory.now_mb()
    alone.append(rate(client, job_id, seconds))
    if client.get(f"/v1/jobs/{job_id}").json()["state"] != "running":
        raise SystemExit("the job did not last as long as the measurement; give a larger --size")
    return {
        "tile_ms": _percentiles(seen.tiles, 50, 95, 99, 100),
        "view_ms": _percentiles(seen.views, 50, 95),
        "tiles": len(seen.tiles),
        "tiles_per_second": len(seen.tiles) / took,
        "tile_kb": seen.size / max(1, len(seen.tiles)) / 1000,
        "failed": seen.failed,
        "api_rss_mb": {"before": before, "peak": memory.peak_mb, "after": after},
        "cpu_seconds": spent,
        "worker_tiles_per_second": {"alone": alone, "watched": watched[0]},
        "ratio": watched[0] / (sum(alone) / len(alone)),
    }


def _upload(client: httpx.Client, slide: Path) -> tuple[str, dict[str, Any]]:
    answer = client.put("/v1/slides", params={"name": slide.name}, content=slide.read_bytes())
    address = f"/v1/slides/{answer.raise_for_status().json()['id']}"
    while (told := client.get(address).json())["state"] == "checking":
        time.sleep(0.2)
    if told["state"] != "ready":
        raise SystemExit(f"the slide was rejected: {told['problem']}")
    pyramid: dict[str, Any] = client.get(f"{address}/pyramid").json()
    return address, pyramid


def _begin_job(client: httpx.Client, address: str) -> str:
    """Queue a job of very many tiles; returns once it classifies."""
    # A threshold nobody used yet: else the result, or half of it, would be there already.
    order = {
        "slide_id": address.rpartition("/")[2],
        "model": "demo",
        "level": 0,
        "stride": _STRIDE,
        "threshold": random.SystemRandom().uniform(0.4, 0.6),
    }
    job_id: str = client.post("/v1/jobs", json=order).raise_for_status().json()["id"]
    while _progress(client, job_id)[0] < 200:
        job = client.get(f"/v1/jobs/{job_id}").json()
        if job["state"] not in ("queued", "running"):
            raise SystemExit(f"the job {job['state']}: {job['problem']}")
        time.sleep(0.2)
    return job_id


def _progress(client: httpx.Client, job_id: str) -> tuple[int, float]:
    """Tiles done, and when: at the next report, because reports come about once a second."""
    done: int = client.get(f"/v1/jobs/{job_id}").json()["tiles"]["done"]
    deadline = time.perf_counter() + 10
    while time.perf_counter() < deadline:
        now: int = client.get(f"/v1/jobs/{job_id}").json()["tiles"]["done"]
        if now != done:
            return now, time.perf_counter()
        time.sleep(0.1)
    return done, time.perf_counter()


def _running(children: list[psutil.Process], module: str) -> list[psutil.Process]:
    return [child for child in children if child.cmdline()[1:3] == ["-m", module]]


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _percentiles(seconds: list[float], *wanted: int) -> dict[str, float]:
    """In ms; the nearest value at or above each percentile."""
    ranked = sorted(seconds)
    last = len(ranked) - 1
    return {
        f"p{share}" if share < 100 else "max": 1000 * ranked[min(last, len(ranked) * share // 100)]
        for share in wanted
    }


def _show(figures: dict[str, Any]) -> None:
    tile, view, memory = figures["tile_ms"], figures["view_ms"], figures["api_rss_mb"]
    worker = figures["worker_tiles_per_second"]
    print(
        f"{figures['viewers']} viewers, {figures['tiles']:,} tiles "
        f"({figures['tiles_per_second']:.0f}/s, {figures['tile_kb']:.0f} kB each), "
        f"{figures['failed']} failed\n"
        f"tile   p50 {tile['p50']:.0f} ms   p95 {tile['p95']:.0f} ms   "
        f"p99 {tile['p99']:.0f} ms   max {tile['max']:.0f} ms\n"
        f"view   p50 {view['p50']:.0f} ms   p95 {view['p95']:.0f} ms\n"
        f"API    {memory['before']:.0f} MB before, {memory['peak']:.0f} MB at most, "
        f"{memory['after']:.0f} MB after\n"
        f"worker {worker['alone'][0]:.0f} and {worker['alone'][1]:.0f} tiles/s alone, "
        f"{worker['watched']:.0f} watched: {figures['ratio']:.0%}\n"
        + "CPU s  "
        + "   ".join(f"{name} {spent:.1f}" for name, spent in figures["cpu_seconds"].items())
    )


if __name__ == "__main__":
    main()
