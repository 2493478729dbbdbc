"""What a worker and the processes that compute for it tell each other: a line of JSON each."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from wsi_pipeline.service.settings import ServiceSettings

#: The only file of an analysis' folder that stays: its result, until it is published.
RESULT = "mask.zarr"


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What all work of a worker shares; the first line that its processes are told.

    Attributes:
        storage: Address of slides and results.
        copies: Folder for local copies of stored slides.
        models: Folder of the model packages.
        cache: Folder for converted models.
        device: Where the work leaves it open: ``auto``, ``cpu`` or ``cuda:N``.
        scheduler: Address of a Dask scheduler; None computes in the process.
        check_seconds: Longest the look at an opened slide may take.
        check_memory_bytes: Most memory it may use.
    """

    storage: str
    copies: str
    models: str
    cache: str
    device: str
    scheduler: str | None
    check_seconds: float
    check_memory_bytes: int

    @classmethod
    def of(cls, settings: ServiceSettings) -> Self:
        """As the service's settings say."""
        return cls(
            storage=settings.storage_url,
            copies=str(settings.work_dir),
            models=str(settings.models_dir),
            cache=str(settings.cache_dir),
            device=settings.device,
            scheduler=settings.scheduler,
            check_seconds=settings.check_seconds,
            check_memory_bytes=settings.check_memory_bytes,
        )

    def line(self) -> bytes:
        """As a line."""
        return _line(asdict(self))

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """From a line."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Order:
    """One analysis.

    Attributes:
        job_id: For the log.
        slide_location: Key in storage, or ``file:`` and a path.
        slide_sha256: What the slide's bytes must hash to.
        model: Name of the package.
        model_sha256: What must be found under it.
        config: What differs from the default configuration.
        fingerprint: What the configuration must come to.
        folder: Where unfinished work lies, and the result before it is stored.
        destination: Key under which the result is stored.
    """

    job_id: str
    slide_location: str
    slide_sha256: str
    model: str
    model_sha256: str
    config: dict[str, Any]
    fingerprint: str
    folder: str
    destination: str

    @property
    def result(self) -> Path:
        """Where the result stands before it is stored."""
        return Path(self.folder) / RESULT

    def line(self) -> bytes:
        """As a line."""
        return _line(asdict(self))

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """From a line."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class QueryItem:
    """One question of a query.

    Attributes:
        question_id: Which.
        facts: What was stored with it.
        picture: Key under which a picture is stored that answers it.
    """

    question_id: str
    facts: dict[str, Any]
    picture: str


@dataclass(frozen=True, slots=True)
class Query:
    """Questions of one kind and model; each is answered by a message.

    Attributes:
        kind: ``classify``, ``explain`` or ``why``.
        model: Name of the package.
        model_sha256: What must be found under it.
        items: The questions.
    """

    kind: str
    model: str
    model_sha256: str
    items: tuple[QueryItem, ...]

    def line(self) -> bytes:
        """As a line."""
        return _line(asdict(self))

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """From a line."""
        facts = json.loads(line)
        return cls(**{**facts, "items": tuple(QueryItem(**item) for item in facts["items"])})


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything is loaded but the model: orders may come."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an analysis is; None where nothing new is told.

    Attributes:
        stage: ``checking``, ``loading`` (the model), ``tissue``, ``classifying``, ``writing`` or
            ``publishing``.
        tiles_total: Of the slide.
        tiles_done: Of the slide, with those of earlier attempts.
        resumed_tiles: Those of earlier attempts.
        tiles_per_second: Of this attempt.
    """

    stage: str | None = None
    tiles_total: int | None = None
    tiles_done: int | None = None
    resumed_tiles: int | None = None
    tiles_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """The result is stored; ``summary`` is what the API tells of it."""

    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no result.

    Attributes:
        problem: Why, as a problem detail.
        final: Trying again is of no use.
        disk_errno: The disk of this host has no room: nothing is wrong with the job.
    """

    problem: dict[str, Any]
    final: bool
    disk_errno: int | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A question has its answer; pictures that belong to it are stored.

    Attributes:
        question_id: Which.
        answer: As the API gives it.
        drawn: Whether a picture is stored under the key of the query.
        doubt: 1 - the largest probability.
        review: Whether a person has to look again.
        called: What it is called.
    """

    question_id: str
    answer: dict[str, Any]
    drawn: bool = False
    doubt: float | None = None
    review: bool | None = None
    called: str | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question has no answer.

    Attributes:
        question_id: Which.
        problem: Why, as a problem detail.
        final: Asking again would end the same way.
    """

    question_id: str
    problem: dict[str, Any]
    final: bool


@dataclass(frozen=True, slots=True)
class Logged:
    """A record for the worker's log."""

    level: int
    message: str
    facts: dict[str, Any]


Message = Ready | Progress | Stored | Failed | Answered | Unanswered | Logged
_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind for kind in (Ready, Progress, Stored, Failed, Answered, Unanswered, Logged)
}


def message_line(message: Message) -> bytes:
    """A message as a line."""
    return _line({"kind": type(message).__name__, **asdict(message)})


def parse_message(line: bytes) -> Message:
    """A message from a line.

    Raises:
        ValueError: it is none; the process died while it wrote.
    """
    try:
        facts = json.loads(line)
        return _KINDS[facts.pop("kind")](**facts)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a message") from error


def _line(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts).encode() + b"\n"
