"""Slides and jobs as the service tells of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from wsi_pipeline.client.event_stream import Event

__all__ = ["DrawnSlide", "Event", "JobRecord", "ModelRecord", "SharedMask", "SlideRecord"]

_FINAL = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class SlideRecord:
    """One slide.

    Attributes:
        state: ``checking``, ``ready`` or ``rejected``.
        sha256: Of its bytes; known once it is ready.
        problem: Why it was rejected, as a problem detail.
        json: All the service told.
    """

    id: str
    name: str
    state: str
    size_bytes: int | None
    sha256: str | None
    problem: Mapping[str, Any] | None
    json: Mapping[str, Any]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From the service's JSON."""
        return cls(
            id=told["id"],
            name=told["name"],
            state=told["state"],
            size_bytes=told.get("size_bytes"),
            sha256=told.get("sha256"),
            problem=told.get("problem"),
            json=told,
        )


@dataclass(frozen=True, slots=True)
class DrawnSlide:
    """A slide that people drew on.

    Attributes:
        slide_id: Of the slide.
        name: What it is called.
        drawings: How many there are.
        authors: How many users drew them.
    """

    slide_id: str
    name: str
    drawings: int
    authors: int

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From the service's JSON."""
        return cls(told["slide_id"], told["name"], told["drawings"], told["authors"])


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job.

    Attributes:
        state: ``queued``, ``running``, ``succeeded``, ``failed`` or ``cancelled``.
        stage: What a running job is at.
        tiles_total: None until it is known.
        position: Place in the queue; 1 is next.
        expected_at: When it is likely to be through.
        problem: Why it failed, or why it is tried again, as a problem detail.
        json: All the service told.
    """

    id: str
    slide_id: str
    model: str
    state: str
    stage: str | None
    tiles_done: int
    tiles_total: int | None
    tiles_per_second: float | None
    position: int | None
    expected_at: datetime | None
    attempts: int
    problem: Mapping[str, Any] | None
    json: Mapping[str, Any]

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.state in _FINAL

    @property
    def slide_answer(self) -> Mapping[str, Any] | None:
        """Probability, interval, state, reason and rule of its slide; None where there is none."""
        findings: Mapping[str, Any] | None = self.json.get("findings")
        return None if findings is None else findings.get("slide_answer")

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From the service's JSON."""
        expected = told.get("expected_at")
        return cls(
            id=told["id"],
            slide_id=told["slide_id"],
            model=told["model"],
            state=told["state"],
            stage=told.get("stage"),
            tiles_done=told["tiles"]["done"],
            tiles_total=told["tiles"]["total"],
            tiles_per_second=told.get("tiles_per_second"),
            position=told.get("position"),
            expected_at=None if expected is None else datetime.fromisoformat(expected),
            attempts=told["attempts"],
            problem=told.get("problem"),
            json=told,
        )


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One model package.

    Attributes:
        name: That jobs name it by.
        task: ``binary``, ``multiclass`` or ``multilabel``.
        positive: The class that slides are ranked by.
        notice: To be shown wherever the model or its results are; empty: nothing.
        json: All the service told: threshold, training, figures, intended use and so on.
    """

    name: str
    version: str
    task: str
    classes: tuple[str, ...]
    positive: str
    licence: str
    notice: str
    json: Mapping[str, Any]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From the service's JSON; what an older service does not tell is empty."""
        return cls(
            name=told["name"],
            version=told["version"],
            task=told.get("task", "binary"),
            classes=tuple(told["classes"]),
            positive=told["positive"],
            licence=told["licence"],
            notice=told.get("notice", ""),
            json=told,
        )


@dataclass(frozen=True, slots=True)
class SharedMask:
    """An address of a mask that needs no key.

    Attributes:
        url: Of the OME-Zarr store, for vizarr, QuPath or zarr-python.
        expires_at: When it ends.
    """

    url: str
    expires_at: datetime

    @property
    def json(self) -> dict[str, str]:
        """As text."""
        return {"url": self.url, "expires_at": self.expires_at.isoformat()}
