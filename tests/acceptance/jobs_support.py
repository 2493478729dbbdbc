"""A job store with workspaces, slides and jobs in it, and ways to let its time pass."""

import hashlib
import itertools
from dataclasses import dataclass, field

import sqlalchemy as sa

from wsi_pipeline.service.access import Access, Scope
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.jobs.job import Claim, Job
from wsi_pipeline.service.jobs.queue import JobQueue
from wsi_pipeline.service.jobs.requests import JobRequest, JobRequests
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.slides import Slide, SlideStore
from wsi_pipeline.service.tables import audit, job_events, jobs, metadata, results, workspaces

MODEL_SHA256 = "a" * 64
PROBLEM = {"type": "/problems/internal", "title": "it failed", "status": 500, "detail": "so"}


def digest(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()


@dataclass
class Store:
    """One database, seen by its users and by its workers."""

    database: Database
    queue: JobQueue = field(init=False)
    requests: JobRequests = field(init=False)
    slides: SlideStore = field(init=False)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.queue = JobQueue(self.database, lease_seconds=30)
        self.requests = JobRequests(self.database)
        self.slides = SlideStore(self.database)

    def access(self, workspace: str = "lab", scope: Scope = Scope.SUBMIT) -> Access:
        keys = ApiKeys(self.database)
        found = keys.find(keys.create(workspace, "key", scope)[1])
        assert found is not None
        return found

    def slide(self, access: Access, sha256: str | None = None) -> Slide:
        """One that passed its check."""
        number = next(self.numbers)
        slide = self.slides.add(access, f"slide {number}", f"/spool/{number}", 10)
        sha256 = sha256 or digest(f"slide {number}")
        self.slides.accept(slide.id, location=f"slides/{sha256}/slide.svs", sha256=sha256, info={})
        return self.slides.get(access, slide.id)

    def request(self, slide: Slide, *, priority: int = 0, work: object = None) -> JobRequest:
        """Of work nobody else asks for, unless ``work`` says which."""
        work = next(self.numbers) if work is None else work
        return JobRequest(slide.id, "model", MODEL_SHA256, {}, digest(work), priority=priority)

    def job(self, access: Access, *, priority: int = 0) -> Job:
        request = self.request(self.slide(access), priority=priority)
        return self.requests.create(access, [request])[0]

    def claim(self, worker: str = "w1") -> Claim:
        claim = self.queue.claim(worker)
        assert claim is not None
        return claim

    def now(self, job: Job) -> Job:
        with self.database.read() as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.id == job.id)).mappings().one()
            return Job.of(row)

    def let_lease_end(self, job: Job) -> None:
        self.change(jobs.update().where(jobs.c.id == job.id).values(lease_until=1))

    def let_time_pass(self, seconds: float, *only: Job) -> None:
        """Move what is waited for and what happened into the past."""
        moved = jobs.update().values(
            due_at=jobs.c.due_at - seconds,
            created_at=jobs.c.created_at - seconds,
            lease_until=jobs.c.lease_until - seconds,
        )
        if only:
            moved = moved.where(jobs.c.id.in_([job.id for job in only]))
        self.change(moved)

    def set_clock_back(self, seconds: float) -> None:
        """What a host's clock that was set back looks like on SQLite: what was written is ahead.

        The times in the database are moved instead of the host's clock.
        """
        with self.database.write() as connection:
            for table in metadata.sorted_tables:
                moved = {
                    column.name: column + seconds
                    for column in table.columns
                    if column.name == "at" or column.name.endswith(("_at", "_until", "_due"))
                }
                if table is workspaces:
                    never = workspaces.c.served_at == 0
                    moved["served_at"] = sa.case((never, 0.0), else_=moved["served_at"])
                # The log's entries are sealed, and nothing goes by their times.
                if moved and table is not audit:
                    connection.execute(table.update().values(moved))

    def change(self, statement: sa.Update | sa.Delete) -> None:
        with self.database.write() as connection:
            connection.execute(statement)

    def results(self) -> list[sa.RowMapping]:
        with self.database.read() as connection:
            return list(connection.execute(sa.select(results)).mappings())

    def last_told(self, job: Job) -> str:
        """The state listeners know of."""
        wanted = (
            sa.select(job_events.c.data)
            .where(job_events.c.job_id == job.id, job_events.c.kind == "state")
            .order_by(job_events.c.id.desc())
            .limit(1)
        )
        with self.database.read() as connection:
            return str(connection.execute(wanted).scalar_one()["state"])

    def forget_turns(self) -> None:
        self.change(workspaces.update().values(served_at=0))
