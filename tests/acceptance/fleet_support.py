"""An API process and workers that are killed again and again, and somebody always there anew."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from forks_support import Forked, Nursery, nursery
from workers_support import Crew

from api.server import listen
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.keys import ApiKeys

ALL = ("api", "first worker", "second worker")


@dataclass
class Fleet:
    """Two workers and an API process, each replaced at once when it is killed."""

    crew: Crew
    started_by: Nursery
    descriptor: int
    port: int
    names: tuple[str, ...]
    running: dict[str, Forked] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __post_init__(self) -> None:
        for name in self.names:
            self._start(name)

    def kill(self, name: str) -> None:
        self.running[name].kill()
        self._start(name)

    def _start(self, name: str) -> None:
        log = self.crew.folder / f"{name}.log"
        is_api = name == "api"
        arguments = ("--fd", str(self.descriptor)) if is_api else ()
        self.running[name] = self.started_by.start(
            "api" if is_api else "workers",
            *arguments,
            environment=self.crew.environment,
            log=log,
        )

    def logs(self) -> str:
        """What was logged last, for whoever has to find out."""
        return "".join(
            self.crew.folder.joinpath(f"{n}.log").read_text()[-8000:] for n in self.names
        )


@contextmanager
def fleet(made: Crew, names: tuple[str, ...] = ALL) -> Iterator[Fleet]:
    modules = ("api.app", "api.server", "workers.main", "wsi_pipeline.storage.local")
    with (
        listen("127.0.0.1", 0) as sock,
        nursery(*modules, inherit=[sock.fileno()]) as started_by,
    ):
        port = sock.getsockname()[1]
        yield Fleet(made, started_by, sock.fileno(), port, names)


def token_of(service: Crew) -> str:
    return ApiKeys(service.database).create("lab", "reader", Scope.SUBMIT)[1]


def until(happened: Callable[[], bool], what: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)
