"""A reader of results, as a viewer is one: polls their URLs and never sees part of one."""

import hashlib
import random
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify

ROOT = "zarr.json"


def names_in(store: Path) -> list[str]:
    """Names of a store's files, as URLs have them."""
    return sorted(str(path.relative_to(store)) for path in store.rglob("*") if path.is_file())


def hashes(store: Path) -> dict[str, str]:
    """SHA-256 of every decoded array, found to be true."""
    found: dict[str, str] = verify(store).attributes["arrays"]
    return found


class Poller(threading.Thread):
    """Polls jobs' results until the end of its block.

    A job's result is absent (409), or all of it is there, verifies, and never changes again. What
    breaks off because the server was killed is asked for again.

    Args:
        url: Of the service.
        token: Key of the jobs' workspace.
        expected: For each job's id a store with what its result must decode to.
        folder: For copies.
    """

    def __init__(self, url: str, token: str, expected: Mapping[str, Path], folder: Path) -> None:
        super().__init__()
        self._client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        self._expected = dict(expected)
        self._folder = folder
        self._over = threading.Event()
        self._chance = random.Random(3)
        self._errors: list[BaseException] = []
        #: Of each job that was seen whole: digests of what was read.
        self._known: dict[str, dict[str, str]] = {}
        self.absent = self.whole = self.same = self.broken_off = 0

    def __enter__(self) -> "Poller":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
        self._client.close()
        assert self._errors == []

    def expect(self, job_id: str, store: Path) -> None:
        """Look at another job, too."""
        self._expected[job_id] = store

    def told(self) -> str:
        """What was seen, in figures."""
        return (
            f"read {self.absent} absent, {self.whole} whole, {self.same} the same again, "
            f"{self.broken_off} broken off"
        )

    def seen(self) -> set[str]:
        """Jobs whose results were seen, all of them."""
        return set(self._known)

    def check(self) -> None:
        """Fail now if something was seen that may not be."""
        assert self._errors == []

    def run(self) -> None:
        try:
            while not self._over.is_set():
                for job_id in list(self._expected):
                    self._poll(job_id)
                    if self._over.wait(0.02):
                        break
        except BaseException as error:
            self._errors.append(error)

    def _poll(self, job_id: str) -> None:
        known = self._known.get(job_id)
        if known is None:
            self._look_for(job_id)
            return
        name = self._chance.choice(list(known))
        answer = self._get(f"/v1/jobs/{job_id}/{name}")
        if answer is not None:
            assert answer.status_code == 200, (name, answer.text)
            assert _digest(answer) == known[name], name
            self.same += 1

    def _look_for(self, job_id: str) -> None:
        first = self._get(f"/v1/jobs/{job_id}/mask.zarr/{ROOT}")
        if first is None:
            return
        if first.status_code == 409:
            self.absent += 1
            return
        assert first.status_code == 200, first.text
        copy = self._folder / job_id / "mask.zarr"
        known = self._read_all(job_id, names_in(self._expected[job_id]), copy)
        if known is None:
            return
        assert known[f"mask.zarr/{ROOT}"] == _digest(first)
        assert hashes(copy) == Result(self._expected[job_id]).attributes["arrays"]
        shutil.rmtree(copy)
        self.whole += 1
        self._known[job_id] = known

    def _read_all(self, job_id: str, names: Sequence[str], copy: Path) -> dict[str, str] | None:
        """Every file of a store and what is told of it; None if that took longer than the test."""
        known = {}
        for name in ("result", *(f"mask.zarr/{name}" for name in names)):
            while (answer := self._get(f"/v1/jobs/{job_id}/{name}")) is None:
                if self._over.is_set():
                    return None
            assert answer.status_code == 200, (name, answer.text)
            known[name] = _digest(answer)
            path = copy / name.removeprefix("mask.zarr/")
            if path != copy / "result":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(answer.content)
        return known

    def _get(self, path: str) -> httpx.Response | None:
        try:
            return self._client.get(path)
        except httpx.TransportError:
            self.broken_off += 1
            return None


def _digest(answer: httpx.Response) -> str:
    return hashlib.sha256(answer.content).hexdigest()
