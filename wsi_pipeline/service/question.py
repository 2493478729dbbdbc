"""Questions as values: what is asked, and where it stands."""

import enum
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa


class QuestionState(enum.StrEnum):
    """States of a question: queued → running → answered | failed | cancelled."""

    QUEUED = "queued"
    RUNNING = "running"
    ANSWERED = "answered"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens by itself."""
        return self not in (QuestionState.QUEUED, QuestionState.RUNNING)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked.

    Attributes:
        kind: ``classify``, ``explain`` or ``why``.
        subject: Of what: the id of an image, for instance.
        facts: What the worker has to know.
        model: Name of the model package.
        model_sha256: Of the package.
    """

    kind: str
    subject: str
    facts: dict[str, Any]
    model: str
    model_sha256: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it stands. Fields as in the table ``questions``."""

    id: str
    workspace_id: str
    kind: str
    subject: str
    facts: dict[str, Any]
    model: str
    model_sha256: str
    urgent: bool
    state: QuestionState
    losses: int
    fence: int
    worker_id: str | None
    lease_until: float | None
    answer: dict[str, Any] | None
    picture: str | None
    doubt: float | None
    review: bool | None
    called: str | None
    problem: dict[str, Any] | None
    created_at: float
    finished_at: float | None

    @classmethod
    def of(cls, row: sa.RowMapping) -> Self:
        """From a row of the table."""
        facts = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**{**facts, "state": QuestionState(row["state"])})
