"""How long an upload waits for its verdict, alone and while somebody's large slide is checked.

``python -m benchmarks.upload_checks`` starts ``wsi serve`` without workers and uploads twelve small
files with one key, four at a time: three slides and nine that are none or are damaged (text, noise,
cut short, a broken ZIP and so on). Then it uploads a slide of 2 GB with another key and, while that
is being checked, twelve small files again. It prints and keeps in ``build/upload_checks.json``:

* ``alone``, ``beside_large``: seconds from an upload's answer until its state is no longer
  ``checking``: median, p95, max; and ``all_seconds``, from the first upload to the last verdict;
* ``verdicts``: how many were ``ready`` and ``rejected``, which has to be the same both times;
* ``large_seconds``: the same wait of the large slide, and ``large_was_waiting``: at how many of
  the twelve verdicts it was still being checked;
* ``load_before``: how busy the machine was with other things.
"""

import argparse
import io
import json
import os
import shutil
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.formula_results import Running, serving
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.testing import write_pyramid

_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 300.0
_AT_ONCE = 4
_SEND_BYTES = 2**20


def files(folder: Path) -> dict[str, bytes]:
    """Twelve small files by name: three slides, nine that are none or are damaged."""
    rng = np.random.default_rng(12)
    path = folder / "slide.tiff"
    slides = []
    for _ in range(3):
        write_pyramid(path, rng.integers(0, 255, (1024, 1280, 3), np.uint8), compression="jpeg")
        slides.append(path.read_bytes())
    path.unlink()
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("report.txt", "not a slide")
        archive.writestr("letter.txt", "not one either")
    first = slides[0]
    return {
        "a.tiff": first,
        "b.tiff": slides[1],
        "c.tiff": slides[2],
        "text.svs": b"to whom it may concern\n" * 1000,
        "page.tiff": b"<!doctype html><title>Sign in</title>" * 100,
        "noise.ndpi": rng.bytes(3_000_000),
        "zeros.svs": bytes(5_000_000),
        "cut.tiff": first[: len(first) // 2],
        "beginning.tiff": first[:2000],
        "report.pdf": b"%PDF-1.7\n" + rng.bytes(200_000),
        "letters.zip": zipped.getvalue(),
        "broken.zip": zipped.getvalue()[:-30],
    }


def wait_for(client: httpx.Client, pending: dict[str, float]) -> Iterator[tuple[str, str, float]]:
    """What became of each slide: id, state, seconds since the time it has in ``pending``.

    Args:
        client: Asks.
        pending: Monotonic time by id; grows while this runs until it holds an empty id, "".
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    seen: set[str] = set()
    while "" not in pending or len(seen) < len(pending) - 1:
        told = client.get("/v1/slides", params={"limit": 100}).raise_for_status().json()["slides"]
        at = time.monotonic()
        for slide in told:
            known = slide["id"] in pending and slide["id"] not in seen
            if known and slide["state"] != "checking":
                seen.add(slide["id"])
                yield slide["id"], slide["state"], at - pending[slide["id"]]
        if at > deadline:
            raise SystemExit(f"{len(pending) - 1 - len(seen)} slides are still being checked")
        time.sleep(_POLL_SECONDS)


def measure(client: httpx.Client, small: dict[str, bytes], large: str | None) -> dict[str, Any]:
    """Upload the small files and wait for their verdicts.

    Args:
        client: With the uploader's key.
        small: Files by name.
        large: Id of a slide that is being checked meanwhile.
    """
    pending: dict[str, float] = {}
    began = time.monotonic()

    def send(item: tuple[str, bytes]) -> None:
        answer = client.put("/v1/slides", params={"name": item[0]}, content=item[1])
        pending[answer.raise_for_status().json()["id"]] = time.monotonic()

    def send_all() -> None:
        with ThreadPoolExecutor(_AT_ONCE) as senders:
            list(senders.map(send, small.items()))
        pending[""] = 0.0

    sending = threading.Thread(target=send_all)
    sending.start()
    waits, states, beside = [], [], 0
    for _, state, seconds in wait_for(client, pending):
        waits.append(max(0.0, seconds))
        states.append(state)
        if large and client.get(f"/v1/slides/{large}").json()["state"] == "checking":
            beside += 1
    sending.join()
    found = {
        "median": round(float(np.median(waits)), 3),
        "p95": round(float(np.percentile(waits, 95)), 3),
        "max": round(max(waits), 3),
        "all_seconds": round(time.monotonic() - began, 3),
        "verdicts": dict(Counter(states)),
    }
    return found if large is None else {**found, "large_was_waiting": beside}


def upload_large(client: httpx.Client, first: bytes, size_bytes: int) -> tuple[str, float]:
    """A slide followed by zeros no directory refers to: its id, and when it was there."""

    def body() -> Iterator[bytes]:
        yield first
        for start in range(len(first), size_bytes, _SEND_BYTES):
            yield bytes(min(_SEND_BYTES, size_bytes - start))

    length = {"Content-Length": str(size_bytes)}
    answer = client.put("/v1/slides", params={"name": "large.tiff"}, content=body(), headers=length)
    return answer.raise_for_status().json()["id"], time.monotonic()


def another(service: Running) -> httpx.Client:
    """Somebody else of the same workspace."""
    database = Database(service.settings.database_url)
    try:
        _, key = ApiKeys(database).create("default", "another", Scope.SUBMIT)
    finally:
        database.close()
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=service.url, headers=headers, timeout=600)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large-mb", type=int, default=2000, help="of the large slide, 10^6 B")
    parser.add_argument("--out", type=Path, default=Path("build/upload_checks.json"))
    arguments = parser.parse_args()
    folder = arguments.out.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    small = files(folder)
    with (
        serving(folder, workers=0, demo=False) as service,
        service.client() as own,
        another(service) as other,
    ):
        found["alone"] = measure(own, small, None)
        large, there = upload_large(other, small["a.tiff"], arguments.large_mb * 10**6)
        found["beside_large"] = measure(own, small, large)
        ((_, _, found["large_seconds"]),) = wait_for(other, {large: there, "": 0.0})
    shutil.rmtree(folder)
    text = json.dumps(found, indent=2)
    arguments.out.write_text(f"{text}\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
