"""Jobs as values: what is asked, where it stands, and the right to work on it."""

import enum
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa


class JobState(enum.StrEnum):
    """States of a job: queued → running → succeeded | failed | cancelled."""

    #: Waits for a worker; also after a failed attempt, until it is tried again.
    QUEUED = "queued"
    #: A worker holds a lease on it.
    RUNNING = "running"
    #: Its result is published and will not change.
    SUCCEEDED = "succeeded"
    #: Given up, with the reason; can be retried by hand.
    FAILED = "failed"
    #: Given up because somebody asked; can be retried by hand.
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens by itself."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Job:
    """A request to analyse one slide with one model package. Fields as in the table ``jobs``."""

    id: str
    workspace_id: str
    slide_id: str
    model: str
    model_sha256: str
    config: dict[str, Any]
    fingerprint: str
    priority: int
    state: JobState
    stage: str | None
    tiles_done: int
    tiles_total: int | None
    tiles_per_second: float | None
    attempts: int
    losses: int
    fence: int
    worker_id: str | None
    lease_until: float | None
    cancel_requested: bool
    problem: dict[str, Any] | None
    result_id: str | None
    webhook: str | None
    created_at: float
    due_at: float
    started_at: float | None
    finished_at: float | None

    @classmethod
    def of(cls, row: sa.RowMapping) -> Self:
        """From a row of the table."""
        facts = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**{**facts, "state": JobState(row["state"])})


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's time-limited right to run a job.

    Attributes:
        job: The job as it was claimed; ``job.fence`` is the claim's fencing token.
        slide_sha256: Of the slide's bytes.
        slide_location: Where they lie: a key in storage, or ``file:`` and a path.
        slide_name: What the user calls the slide; for results, never for logs.
    """

    job: Job
    slide_sha256: str
    slide_location: str
    slide_name: str


class Renewal(enum.Enum):
    """What a worker learns when it renews its lease."""

    #: Go on.
    HELD = enum.auto()
    #: Stop: somebody cancelled the job. The lease is still held.
    CANCEL = enum.auto()
    #: Stop and publish nothing: the lease ran out and another may have the job.
    LOST = enum.auto()
