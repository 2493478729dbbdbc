"""Uploads of several people are checked side by side: a large slide and junk delay nobody else."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import sqlalchemy as sa
from service_support import Service, running, settings_in

from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.tables import slides
from wsi_pipeline.testing import write_pyramid

#: Bytes after a slide's own, of a file that takes no room on the disk: hashing them takes seconds.
_LARGE = 3 * 2**30


def state(client: httpx.Client, slide_id: str) -> dict[str, Any]:
    told: dict[str, Any] = client.get(f"/v1/slides/{slide_id}").json()
    return told


def checked(client: httpx.Client, slide_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while (told := state(client, slide_id))["state"] == "checking":
        assert time.monotonic() < deadline, "the slide is still being checked"
        time.sleep(0.02)
    return told


def put(client: httpx.Client, name: str, data: bytes) -> str:
    answer = client.put("/v1/slides", params={"name": name}, content=data)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_small_uploads_pass_a_large_slide_that_is_being_hashed(tmp_path: Path) -> None:
    image = np.random.default_rng(3).integers(0, 255, (256, 320, 3), np.uint8)
    linked = tmp_path / "linked"
    linked.mkdir()
    for name in ("a.tiff", "b.tiff"):
        write_pyramid(linked / name, image)
    small = (linked / "a.tiff").read_bytes()
    for name in ("a.tiff", "b.tiff"):
        os.truncate(linked / name, _LARGE)
    with running(settings_in(tmp_path, roots=(linked,))) as service, service.client() as first:
        large = [
            first.post("/v1/slides", json={"uri": (linked / name).as_uri()}).json()["id"]
            for name in ("a.tiff", "b.tiff")
        ]
        # The same person's, and those of somebody else with a key of the same workspace.
        with service.client(service.key("default", Scope.SUBMIT)) as second:
            told = [
                checked(client, put(client, name, data))["state"]
                for client, name, data in (
                    (first, "c.tiff", small),
                    (second, "d.tiff", small),
                    (second, "text.svs", b"no slide"),
                    (second, "noise.tiff", os.urandom(100_000)),
                )
            ]
        assert told == ["ready", "ready", "rejected", "rejected"]
        assert [state(first, slide_id)["state"] for slide_id in large] == ["checking"] * 2
        assert _warm_processes() == 1
        service.stop()
        with service.database.read() as reading:
            kept = reading.execute(sa.select(slides.c.state).where(slides.c.id.in_(large)))
            assert kept.scalars().all() == ["checking"] * 2, "a stop waits for no hash"
        assert _warm_processes() == 0


def _warm_processes() -> int:
    """Children that wait to be forked; a look's own are theirs."""
    children = psutil.Process().children()
    return sum("wsi_pipeline.slide.sandbox" in " ".join(child.cmdline()) for child in children)


def test_equal_bytes_that_come_at_the_same_time_are_kept_once(tmp_path: Path) -> None:
    image = np.random.default_rng(4).integers(0, 255, (256, 320, 3), np.uint8)
    write_pyramid(tmp_path / "a.tiff", image)
    data = (tmp_path / "a.tiff").read_bytes()
    with running(settings_in(tmp_path / "service", checks=4)) as service:
        keys = [service.key(f"lab-{number}", Scope.SUBMIT) for number in range(4)]
        told = _at_once(service, keys, data)
        assert {slide["state"] for slide in told} == {"ready"}
        assert len({slide["sha256"] for slide in told}) == 1
        kept = Path(service.settings.storage_url) / "slides"
        assert len([path for path in kept.rglob("*") if path.is_file()]) == 1


def _at_once(service: Service, keys: list[str], data: bytes) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []

    def upload(key: str) -> None:
        with service.client(key) as client:
            told.append(checked(client, put(client, "a.tiff", data)))

    threads = [threading.Thread(target=upload, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told
