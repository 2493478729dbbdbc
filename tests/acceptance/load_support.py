"""Mixed load on a running service, and the memory of each of its processes meanwhile."""

import contextlib
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx
import psutil

#: Between two requests of one actor, seconds: no more than so many in all, however fast it goes.
_PAUSE_SECONDS = 0.05
_SAMPLE_SECONDS = 0.5
_KEPT_SLIDES = 6


@dataclass
class Load:
    """Actors that ask a service for everything it does, each in a thread, for some time.

    Attributes:
        url: Of the service.
        key: Of an administrator.
        slide_id: A slide that is ready and stays.
        model: Of the jobs.
        files: Bytes of slides that are uploaded, and of what is none.
        answers: How often each actor got each status.
        errors: What went wrong in an actor.
    """

    url: str
    key: str
    slide_id: str
    model: str
    files: Sequence[bytes]
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    errors: list[BaseException] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, seconds: float, most: float) -> None:
        """Let all of them act for so long, and until a result was looked at: most of all so long.

        A busy machine takes its time to load the model.
        """
        acts: tuple[Callable[[httpx.Client, random.Random], None], ...] = (
            self._upload,
            self._look,
            self._look,
            self._analyse,
            self._listen,
        )
        threads = [
            threading.Thread(target=self._act, args=(act, seed)) for seed, act in enumerate(acts)
        ]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        self._over.wait(seconds)
        while not self.answers["result", 200] and time.monotonic() < began + most:
            if self._over.wait(1):
                break
        self._over.set()
        for thread in threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in threads), "an actor hangs"

    def _act(self, act: Callable[[httpx.Client, random.Random], None], seed: int) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        chance = random.Random(seed)
        try:
            with httpx.Client(base_url=self.url, headers=headers, timeout=90) as client:
                while not self._over.wait(_PAUSE_SECONDS):
                    act(client, chance)
        except BaseException as error:
            self.errors.append(error)
            self._over.set()

    def _ask(
        self, what: str, client: httpx.Client, method: str, path: str, **options: object
    ) -> httpx.Response:
        answer = client.request(method, path, **options)  # type: ignore[arg-type]  # passed on
        with self._lock:
            self.answers[what, answer.status_code] += 1
        assert answer.status_code < 500, (method, path, answer.text)
        return answer

    def _upload(self, client: httpx.Client, chance: random.Random) -> None:
        """A slide, or what is none; the oldest of too many goes."""
        data = chance.choice(self.files)
        self._ask("upload", client, "PUT", "/v1/slides?name=a.tiff", content=data)
        slides = self._ask("list", client, "GET", "/v1/slides?limit=200").json()["slides"]
        others = [one["id"] for one in slides if one["id"] != self.slide_id]
        for slide_id in others[_KEPT_SLIDES:]:
            self._ask("delete", client, "DELETE", f"/v1/slides/{slide_id}")
        self._over.wait(0.5)

    def _look(self, client: httpx.Client, chance: random.Random) -> None:
        """Around in the slide that stays: tiles, its thumbnail, the pages and lists."""
        slide = f"/v1/slides/{self.slide_id}"
        for _ in range(8):
            level, tiles = chance.choice(((8, 1), (9, 1), (10, 2)))
            column, row = chance.randrange(tiles), chance.randrange(tiles)
            self._ask("tile", client, "GET", f"{slide}_files/{level}/{column}_{row}.png")
        for path in (f"{slide}/thumbnail", "/", "/v1/slides", "/v1/jobs", "/healthz"):
            self._ask("page", client, "GET", path)

    def _analyse(self, client: httpx.Client, chance: random.Random) -> None:
        """A job no earlier one was like; what is made of its result; away with it."""
        order = {"slide_id": self.slide_id, "model": self.model, "precision": "fp32"}
        order["threshold"] = chance.uniform(0.1, 0.9)  # type: ignore[assignment]  # a number
        job = self._ask("job", client, "POST", "/v1/jobs", json=order).json()
        url = f"/v1/jobs/{job['id']}"
        while (state := self._ask("poll", client, "GET", url).json()["state"]) in (
            "queued",
            "running",
        ):
            if self._over.wait(0.2):
                self._ask("cancel", client, "POST", f"{url}/cancel")
                return
        assert state == "succeeded"
        for name in ("heatmap/0/0_0", "heatmap.png", "regions.geojson", "mask.zarr/zarr.json"):
            assert self._ask("result", client, "GET", f"{url}/{name}").status_code == 200
        self._ask("delete", client, "DELETE", url)

    def _listen(self, client: httpx.Client, chance: random.Random) -> None:
        """Ten streams at once, which are left after a moment."""
        with contextlib.ExitStack() as streams:
            for _ in range(10):
                opened = streams.enter_context(client.stream("GET", "/v1/events"))
                with self._lock:
                    self.answers["events", opened.status_code] += 1
                next(opened.iter_raw())
            self._over.wait(chance.uniform(0.2, 1.0))


class Memory(threading.Thread):
    """Notes the memory of a service's lasting processes until the end of its block.

    Args:
        pid: Of ``wsi serve``, whose children are the others.
    """

    def __init__(self, pid: int) -> None:
        super().__init__()
        self._root = psutil.Process(pid)
        self._over = threading.Event()
        #: For each kind of process, the most bytes that one of it held at each look.
        self.seen: dict[str, list[int]] = {}

    def __enter__(self) -> "Memory":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.wait(_SAMPLE_SECONDS):
            held: dict[str, int] = {}
            for process in (self._root, *self._root.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    command = process.cmdline()
                    if not command:
                        continue  # it is just ending
                    kind = _kind(command)
                    held[kind] = max(held.get(kind, 0), process.memory_info().rss)
            for kind, size in held.items():
                self.seen.setdefault(kind, []).append(size)

    def growth(self, kind: str) -> float:
        """Bytes by which the last third's median lies above the middle third's."""
        seen = self.seen[kind]
        third = len(seen) // 3
        assert third >= 3, "too short to tell"
        return statistics.median(seen[-third:]) - statistics.median(seen[third : 2 * third])


def _kind(command: Sequence[str]) -> str:
    told = " ".join(command)
    for part, kind in (
        ("workers.analysis", "analysis"),
        ("workers.answering", "answers"),
        ("wsi_pipeline.slide.", "check"),
        (" serve", "serve"),
        ("api", "api"),
        ("worker", "worker"),
    ):
        if part in told:
            return kind
    return "other"


def wait_until_ready(client: httpx.Client, slide_id: str, seconds: float = 120) -> None:
    """Return when a slide is checked and good."""
    deadline = time.monotonic() + seconds
    while (state := client.get(f"/v1/slides/{slide_id}").json()["state"]) == "checking":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert state == "ready"
