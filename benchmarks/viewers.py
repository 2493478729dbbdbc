"""Fifty people look at one slide while a job computes: what each of them waits, what it costs.

``python -m benchmarks.viewers`` starts ``wsi serve`` with one worker, uploads a synthetic slide,
lets a quick job make a heatmap of it, queues a long one, and measures the worker's tiles per
second three times: alone, with viewers, alone again. A viewer has a window of 1600 × 1000 px and
walks about as people do (seeded): mostly it pans by a part of the window, sometimes it zooms; it
asks for the tiles of slide and heatmap it has not seen yet over six connections, as browsers do,
waits until the view is complete, looks at it for a second or so, and goes on. The viewers run on
the same machine and take their share of its processors.

``build/viewers.json`` keeps:

* ``tile_ms``: latency of each tile, from sending the request to its last byte: p50, p95, p99, max;
* ``cell_ms``: the same of the tiles of the heatmap, which are few;
* ``view_ms``: from a viewer's move until all tiles of the new view are there: p50, p95;
* ``tiles``, ``tiles_per_second``: served; ``failed``: how often, by status or error;
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
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil

from benchmarks.simulated_viewer import Scene, look
from wsi_pipeline.synth import SynthSpec, parse_size, write_slide

_SAMPLE_SECONDS = 0.2
#: A job that is over soon, because it looks at a coarser level, and one of tiles so near each other
#: that it outlasts the measurement.
_QUICK = {"level": 1}
_LONG = {"level": 0, "stride": 64}
#: Tiles after which the long job is measured.
_UNDER_WAY = 200
#: Longest the start of a job may take; a model that was never used here is converted first.
_PATIENCE_SECONDS = 240.0


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
    command = [sys.executable, "-m", "wsi_pipeline.cli", "serve", "--port", "0", "--print-token"]
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
    # Afresh: what an earlier run left would be work that is done already.
    folder = arguments.out.parent / "viewers"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    slide = arguments.out.parent / "bench" / f"{arguments.size}.tiff"
    slide.parent.mkdir(exist_ok=True)
    if not slide.exists():
        write_slide(SynthSpec(parse_size(arguments.size), seed=7), slide)
    load = os.getloadavg()[0]
    with (
        serving(folder) as running,
        httpx.Client(base_url=running.url, headers=running.headers, timeout=60) as client,
    ):
        figures = _measure(running, client, _upload(client, slide), arguments)
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
    running: Running, client: httpx.Client, slide: str, arguments: argparse.Namespace
) -> dict[str, Any]:
    seconds = arguments.seconds
    scene = _scene(client, slide)
    job_id = _queue(client, slide, _LONG)
    _follow(client, job_id, lambda job: job["tiles"]["done"] >= _UNDER_WAY)
    alone = [rate(client, job_id, seconds)]
    # Once for all that is loaded and opened with the first tile: that is no growth.
    client.get(f"{slide}_files/0/0_0.jpeg").raise_for_status()
    memory = Memory(running.api)
    before = memory.now_mb()
    watched: list[float] = []
    meter = threading.Thread(target=lambda: watched.append(rate(client, job_id, seconds)))
    earlier = (*running.cpu_seconds(), _own_cpu())
    with memory:
        meter.start()
        looking = look(
            running.url, running.headers, scene, arguments.viewers, seconds, arguments.seed
        )
        seen = asyncio.run(looking)
        meter.join()
    spent = zip((*running.cpu_seconds(), _own_cpu()), earlier, strict=True)
    after = memory.now_mb()
    alone.append(rate(client, job_id, seconds))
    if client.get(f"/v1/jobs/{job_id}").json()["state"] != "running":
        raise SystemExit("the job did not last as long as the measurement; give a larger --size")
    client.post(f"/v1/jobs/{job_id}/cancel")
    served = len(seen.tiles) + len(seen.cells)
    return {
        "tile_ms": _percentiles(seen.tiles, 50, 95, 99, 100),
        "cell_ms": _percentiles(seen.cells, 50, 95, 99, 100),
        "view_ms": _percentiles(seen.views, 50, 95),
        "tiles": len(seen.tiles),
        "cells": len(seen.cells),
        "tiles_per_second": served / seen.seconds,
        "tile_kb": seen.size / max(1, served) / 1000,
        "failed": dict(seen.failed),
        "api_rss_mb": {"before": before, "peak": memory.peak_mb, "after": after},
        "cpu_seconds": {
            name: later - sooner
            for name, (later, sooner) in zip(("api", "worker", "viewers"), spent, strict=True)
        },
        "worker_tiles_per_second": {"alone": alone, "watched": watched[0]},
        "ratio": watched[0] / (sum(alone) / len(alone)),
    }


def _upload(client: httpx.Client, slide: Path) -> str:
    """Address of the slide, once it is checked."""
    answer = client.put("/v1/slides", params={"name": slide.name}, content=slide.read_bytes())
    address = f"/v1/slides/{answer.raise_for_status().json()['id']}"
    while (told := client.get(address).json())["state"] == "checking":
        time.sleep(0.2)
    if told["state"] != "ready":
        raise SystemExit(f"the slide was rejected: {told['problem']}")
    return address


def _scene(client: httpx.Client, slide: str) -> Scene:
    """The slide with a heatmap, of as few tiles as make one."""
    job_id = _queue(client, slide, _QUICK)
    _follow(client, job_id, lambda job: job["state"] == "succeeded")
    heatmap = f"/v1/jobs/{job_id}/heatmap"
    pyramid = client.get(f"{slide}/pyramid").raise_for_status().json()
    return Scene(slide, pyramid, heatmap, client.get(heatmap).raise_for_status().json())


def _queue(client: httpx.Client, slide: str, settings: dict[str, int]) -> str:
    order = {"slide_id": slide.rpartition("/")[2], "model": "demo", **settings}
    job_id: str = client.post("/v1/jobs", json=order).raise_for_status().json()["id"]
    return job_id


def _follow(client: httpx.Client, job_id: str, over: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until a job is so far."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not over(job := client.get(f"/v1/jobs/{job_id}").json()):
        if job["state"] not in ("queued", "running") or time.monotonic() > deadline:
            raise SystemExit(f"the job is {job['state']}, {job['tiles']}: {job['problem']}")
        time.sleep(0.2)


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
    tile, cells, view = (figures[name] for name in ("tile_ms", "cell_ms", "view_ms"))
    memory = figures["api_rss_mb"]
    worker = figures["worker_tiles_per_second"]
    print(
        f"{figures['viewers']} viewers, {figures['tiles']:,} and {figures['cells']:,} tiles "
        f"({figures['tiles_per_second']:.0f}/s, {figures['tile_kb']:.0f} kB each), "
        f"{sum(figures['failed'].values())} failed\n"
        f"tile   p50 {tile['p50']:.0f} ms   p95 {tile['p95']:.0f} ms   "
        f"p99 {tile['p99']:.0f} ms   max {tile['max']:.0f} ms\n"
        f"cells  p50 {cells['p50']:.0f} ms   p95 {cells['p95']:.0f} ms\n"
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
