"""The job store keeps its promises on SQLite and on PostgreSQL."""

import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import claimer_support
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from jobs_support import PROBLEM, Store, digest

from wsi_pipeline.service import audit, schema
from wsi_pipeline.service.access import Access, Scope
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.jobs.events import events_after
from wsi_pipeline.service.jobs.job import Claim, Job, JobState, Renewal
from wsi_pipeline.service.jobs.queue import MAX_ATTEMPTS, MAX_LOSSES
from wsi_pipeline.service.jobs.queue_order import AGEING_SECONDS
from wsi_pipeline.service.jobs.requests import (
    ConflictError,
    JobRequest,
    KeyReusedError,
    NotThereError,
)
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.tables import audit as audit_table
from wsi_pipeline.service.tables import jobs, metadata, results


@pytest.fixture
def lab(store: Store) -> Access:
    return store.access()


# -- claiming


def test_nothing_to_do(store: Store, lab: Access) -> None:
    assert store.queue.claim("w1") is None


def test_a_claim_holds_what_a_worker_needs(store: Store, lab: Access) -> None:
    slide = store.slide(lab)
    (job,) = store.requests.create(lab, [store.request(slide)])
    claim = store.claim()
    assert (claim.slide_sha256, claim.slide_location) == (slide.sha256, slide.location)
    assert claim.slide_name == slide.name
    assert claim.job.id == job.id
    assert claim.job.state is JobState.RUNNING
    assert claim.job.worker_id == "w1"
    assert claim.job.fence == job.fence + 1
    assert store.now(job) == claim.job
    assert store.last_told(job) == "running"
    assert store.queue.claim("w2") is None


def test_first_come_first_served(store: Store, lab: Access) -> None:
    made = [store.job(lab) for _ in range(5)]
    assert [store.claim().job.id for _ in made] == [job.id for job in made]


def test_a_batch_is_served_in_its_order(store: Store, lab: Access) -> None:
    wanted = [store.request(store.slide(lab)) for _ in range(8)]
    made = store.requests.create(lab, wanted)
    assert [store.claim().job.id for _ in made] == [job.id for job in made]


def test_slides_that_are_being_checked_wait(store: Store, lab: Access) -> None:
    slide = store.slides.add(lab, "new", "/spool/new", 10)
    store.requests.create(lab, [store.request(slide)])
    assert store.queue.claim("w1") is None
    store.slides.accept(slide.id, location="slides/x/slide.svs", sha256=digest("x"), info={})
    assert store.queue.claim("w1") is not None


def test_higher_priority_comes_first(store: Store, lab: Access) -> None:
    low, high, middle = (store.job(lab, priority=value) for value in (0, 2, 1))
    assert [store.claim().job.id for _ in range(3)] == [high.id, middle.id, low.id]


def test_waiting_raises_priority(store: Store, lab: Access) -> None:
    old = store.job(lab)
    store.let_time_pass(2 * AGEING_SECONDS + 1, old)
    urgent, more_urgent = store.job(lab, priority=2), store.job(lab, priority=3)
    assert [store.claim().job.id for _ in range(3)] == [more_urgent.id, old.id, urgent.id]


@pytest.mark.parametrize("older", [0.0, 10 * AGEING_SECONDS])
def test_workspaces_take_turns(store: Store, lab: Access, older: float) -> None:
    """Also with one that came late to another's old, urgent thousands."""
    many = [store.job(lab, priority=5) for _ in range(6)]
    store.let_time_pass(older)
    other = store.access("other")
    few = [store.job(other) for _ in range(2)]
    order = [store.claim().job.workspace_id for _ in range(8)]
    assert order[:4].count(other.workspace_id) == 2
    assert Counter(order) == {lab.workspace_id: len(many), other.workspace_id: len(few)}


def test_the_place_in_the_queue_is_the_order_of_claims(store: Store, lab: Access) -> None:
    other, third = store.access("other"), store.access("third")
    made = [store.job(lab, priority=index % 3) for index in range(5)]
    store.claim()  # it is the first workspace's turn last
    made = [job for job in made if store.now(job).state is JobState.QUEUED]
    made += [store.job(other) for _ in range(3)] + [store.job(third)]
    places = {job.id: store.requests.place(store.now(job)).position for job in made}
    assert sorted(places.values(), key=int) == list(range(1, len(made) + 1))  # type: ignore[arg-type]  # all of them wait
    for expected in range(1, len(made) + 1):
        assert places[store.claim().job.id] == expected


def test_identical_work_waits_for_its_twin(store: Store, lab: Access) -> None:
    other = store.access("other")
    for access in (lab, other):
        slide = store.slide(access, digest("same bytes"))
        store.requests.create(access, [store.request(slide, work="same")])
    first = store.claim()
    assert store.queue.claim("w2") is None
    assert store.queue.succeed(first, "results/1/mask.zarr", {"score": 1}) == (
        True,
        "results/1/mask.zarr",
    )
    second = store.claim("w2")
    known = store.queue.known_result(second)
    assert known is not None
    assert store.queue.reuse(second, known)
    assert store.now(second.job).result_id == store.now(first.job).result_id


def test_no_twin_waits_for_one_whose_worker_is_gone(store: Store, lab: Access) -> None:
    slide = store.slide(lab)
    store.requests.create(lab, [store.request(slide, work=1), store.request(slide, work=1)])
    first = store.claim()
    store.let_lease_end(first.job)
    second = store.claim("w2")
    assert store.queue.claim("w3") is None
    assert store.queue.release(second.job)
    assert store.queue.claim("w3") is not None


# -- leases and fences


def test_renewing_extends_the_lease_and_tells_of_progress(store: Store, lab: Access) -> None:
    store.job(lab)
    claim = store.claim()
    store.let_time_pass(10)
    before = store.now(claim.job)
    told = store.queue.renew(
        claim.job, stage="classifying", tiles_done=5, tiles_total=10, tiles_per_second=2.5
    )
    assert told is Renewal.HELD
    after = store.now(claim.job)
    assert (after.stage, after.tiles_done, after.tiles_total) == ("classifying", 5, 10)
    assert after.lease_until is not None
    assert before.lease_until is not None
    assert after.lease_until > before.lease_until + 9
    assert store.queue.renew(claim.job, tiles_done=6) is Renewal.HELD
    progress = [e for e in events_after(store.database, claim.job.id, 0) if e.kind == "progress"]
    assert [event.data["tiles_done"] for event in progress] == [6]
    assert progress[0].data["tiles_total"] == 10


Ending = Callable[[Store, Claim], bool]
ENDINGS: dict[str, Ending] = {
    "succeed": lambda store, claim: store.queue.succeed(claim, "results/l/mask.zarr", {})[0],
    "fail": lambda store, claim: store.queue.fail(claim.job, PROBLEM, final=True),
    "retry": lambda store, claim: store.queue.fail(claim.job, PROBLEM, final=False),
    "release": lambda store, claim: store.queue.release(claim.job),
    "cancelled": lambda store, claim: store.queue.cancelled(claim.job),
    "renew": lambda store, claim: store.queue.renew(claim.job, tiles_done=9) is not Renewal.LOST,
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("how", ["expired", "claimed again", "finished by another", "finished"])
def test_a_lost_lease_changes_nothing(store: Store, lab: Access, ending: str, how: str) -> None:
    job = store.job(lab)
    claim = store.claim()
    if how == "finished":
        assert store.queue.succeed(claim, "results/1/mask.zarr", {})[0]
    else:
        store.let_lease_end(job)
    if how in ("claimed again", "finished by another"):
        second = store.claim("w2")
        assert second.job.fence == claim.job.fence + 1
        if how == "finished by another":
            assert store.queue.succeed(second, "results/2/mask.zarr", {})[0]
    before, found = store.now(job), store.results()
    assert not ENDINGS[ending](store, claim)
    assert store.now(job) == before
    assert store.results() == found


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        ("succeed", JobState.SUCCEEDED),
        ("fail", JobState.FAILED),
        ("retry", JobState.QUEUED),
        ("release", JobState.QUEUED),
        ("cancelled", JobState.CANCELLED),
        ("renew", JobState.RUNNING),
    ],
)
def test_endings(store: Store, lab: Access, ending: str, state: JobState) -> None:
    job = store.job(lab)
    assert ENDINGS[ending](store, store.claim())
    after = store.now(job)
    assert after.state is state
    assert store.last_told(job) == state
    assert (after.finished_at is not None) == state.is_final
    assert (after.result_id is not None) == (state is JobState.SUCCEEDED)


def test_an_expired_lease_gives_the_job_to_another(store: Store, lab: Access) -> None:
    job = store.job(lab)
    first = store.claim()
    assert store.queue.claim("w2") is None
    store.let_lease_end(job)
    second = store.claim("w2")
    assert second.job.id == job.id
    assert second.job.fence > first.job.fence
    assert (second.job.losses, second.job.attempts) == (1, 0)


def test_workers_that_vanish_one_after_the_other_end_the_job(store: Store, lab: Access) -> None:
    job = store.job(lab)
    for losses in range(1, MAX_LOSSES + 1):
        store.claim()
        store.let_lease_end(job)
        if losses > 1:
            assert store.queue.claim("w1") is None, "it waits before it is tried again"
            assert store.now(job).losses == losses
            store.let_time_pass(3600)
    assert store.queue.claim("w1") is None
    after = store.now(job)
    assert after.state is JobState.FAILED
    assert after.problem is not None
    assert after.problem["type"] == "/problems/worker-lost"


def test_a_job_that_loses_worker_after_worker_lets_others_go_first(
    store: Store, lab: Access
) -> None:
    """Workers may die for reasons of their own: not all of them with the same job."""
    first, second = store.job(lab), store.job(lab)
    for expected in (first, first, second):
        claim = store.claim()
        assert claim.job.id == expected.id
        store.let_lease_end(claim.job)
    store.let_time_pass(3600)
    assert store.claim().job.id == first.id


def test_progress_forgives_earlier_losses(store: Store, lab: Access) -> None:
    job = store.job(lab)
    for attempt in range(3 * MAX_LOSSES):
        claim = store.claim()
        store.queue.renew(claim.job, tiles_done=attempt, resumed_tiles=attempt)
        store.queue.renew(claim.job, tiles_done=attempt + 1)
        store.let_lease_end(job)
    assert store.claim().job.losses == 1


def test_progress_counts_from_where_the_attempt_began(store: Store, lab: Access) -> None:
    """On another host an analysis begins anew: what it then does is progress."""
    job = store.job(lab)
    claim = store.claim()
    store.queue.renew(claim.job, tiles_done=1000)
    for _ in range(2 * MAX_LOSSES):
        store.let_lease_end(job)
        claim = store.claim("elsewhere")
        store.queue.renew(claim.job, tiles_done=0, resumed_tiles=0)
        store.queue.renew(claim.job, tiles_done=10)
    assert store.now(job).losses == 1


def test_three_failures_are_final(store: Store, lab: Access) -> None:
    job = store.job(lab)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        claim = store.claim()
        assert store.queue.fail(claim.job, PROBLEM | {"detail": str(attempt)}, final=False)
        after = store.now(job)
        assert after.attempts == attempt
        assert after.problem == PROBLEM | {"detail": str(attempt)}
        assert store.queue.claim("w1") is None, "it waits before it is tried again"
        store.let_time_pass(3600)
    assert store.now(job).state is JobState.FAILED


def test_a_result_is_published_once(store: Store, lab: Access) -> None:
    """Two workers finish the same work, each with a lease of its own, at the same time."""
    slide = store.slide(lab)
    store.requests.create(lab, [store.request(slide, work=index) for index in range(2)])
    claims = [store.claim("w1"), store.claim("w2")]
    store.change(jobs.update().values(fingerprint=digest("the same")))
    same = [Claim(store.now(c.job), c.slide_sha256, c.slide_location, c.slide_name) for c in claims]
    with ThreadPoolExecutor(2) as pool:
        ended = list(
            pool.map(lambda i: store.queue.succeed(same[i], f"results/{i}/mask.zarr", {}), (0, 1))
        )
    assert [won for won, _ in ended] == [True, True]
    (row,) = store.results()
    assert {location for _, location in ended} == {row["location"]}
    assert {store.now(c.job).result_id for c in claims} == {row["id"]}


def test_a_result_that_is_gone_is_not_reused(store: Store, lab: Access) -> None:
    job = store.job(lab)
    claim = store.claim()
    assert not store.queue.reuse(claim, "0" * 32)
    assert store.now(job).state is JobState.RUNNING


# -- cancelling, retrying, deleting


def test_cancelling_a_waiting_job(store: Store, lab: Access) -> None:
    job = store.job(lab)
    assert store.requests.cancel(lab, job.id).state is JobState.CANCELLED
    assert store.queue.claim("w1") is None
    assert store.last_told(job) == "cancelled"
    assert store.requests.cancel(lab, job.id).state is JobState.CANCELLED


def test_cancelling_a_running_job_reaches_its_worker(store: Store, lab: Access) -> None:
    job = store.job(lab)
    claim = store.claim()
    assert store.requests.cancel(lab, job.id).state is JobState.RUNNING
    assert store.queue.renew(claim.job) is Renewal.CANCEL
    assert store.queue.cancelled(claim.job)
    assert store.now(job).state is JobState.CANCELLED


@pytest.mark.parametrize("ending", ["retry", "release", "vanish"])
def test_a_cancelled_job_is_not_queued_again(store: Store, lab: Access, ending: str) -> None:
    job = store.job(lab)
    claim = store.claim()
    store.requests.cancel(lab, job.id)
    if ending == "vanish":
        store.let_lease_end(job)
    else:
        assert ENDINGS[ending](store, claim)
    assert store.queue.claim("w2") is None
    assert store.now(job).state is JobState.CANCELLED


def test_what_is_over_cannot_be_cancelled(store: Store, lab: Access) -> None:
    job = store.job(lab)
    store.queue.succeed(store.claim(), "results/1/mask.zarr", {})
    with pytest.raises(ConflictError):
        store.requests.cancel(lab, job.id)


def test_retrying_gives_all_attempts_back(store: Store, lab: Access) -> None:
    job = store.job(lab)
    with pytest.raises(ConflictError):
        store.requests.retry(lab, job.id)
    store.queue.fail(store.claim().job, PROBLEM, final=True)
    again = store.requests.retry(lab, job.id)
    assert (again.state, again.attempts, again.problem) == (JobState.QUEUED, 0, None)
    assert store.claim().job.id == job.id


def test_deleting(store: Store, lab: Access) -> None:
    job = store.job(lab)
    with pytest.raises(ConflictError):
        store.requests.delete(lab, job.id)
    store.requests.cancel(lab, job.id)
    store.requests.delete(lab, job.id)
    with pytest.raises(NotThereError):
        store.requests.get(lab, job.id)
    assert events_after(store.database, job.id, 0) == []


def test_a_rejected_slide_fails_its_jobs(store: Store, lab: Access) -> None:
    slide = store.slides.add(lab, "bad", "/spool/bad", 10)
    (job,) = store.requests.create(lab, [store.request(slide)])
    store.slides.reject(slide.id, PROBLEM)
    after = store.now(job)
    assert (after.state, after.problem) == (JobState.FAILED, PROBLEM)


def test_a_slide_in_use_cannot_be_deleted(store: Store, lab: Access) -> None:
    job = store.job(lab)
    with pytest.raises(ConflictError):
        store.slides.delete(lab, job.slide_id)


# -- idempotency, workspaces, keys, audit


def test_the_same_key_makes_the_jobs_once(store: Store, lab: Access) -> None:
    wanted = [store.request(store.slide(lab)) for _ in range(3)]
    first = store.requests.create(lab, wanted, "key")
    again = store.requests.create(lab, wanted, "key")
    assert [job.id for job in first] == [job.id for job in again]
    with pytest.raises(KeyReusedError):
        store.requests.create(lab, wanted[:2], "key")
    other = store.access("other")
    theirs = store.requests.create(other, [store.request(store.slide(other))], "key")
    assert theirs[0].id not in {job.id for job in first}


def test_the_same_key_at_once_makes_the_jobs_once(store: Store, lab: Access) -> None:
    wanted = [store.request(store.slide(lab)) for _ in range(3)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: store.requests.create(lab, wanted, "key"), range(16)))
    assert len({tuple(job.id for job in created) for created in made}) == 1
    assert store.requests.list(lab)[1] == 3


def test_a_batch_is_created_whole_or_not_at_all(store: Store, lab: Access) -> None:
    good = store.request(store.slide(lab))
    missing = JobRequest("0" * 32, "model", "a" * 64, {}, digest("x"))
    with pytest.raises(NotThereError):
        store.requests.create(lab, [good, missing])
    assert store.requests.list(lab) == ([], 0)


def test_identical_work_succeeds_at_once(store: Store, lab: Access) -> None:
    request = store.request(store.slide(lab))
    store.requests.create(lab, [request])
    store.queue.succeed(store.claim(), "results/1/mask.zarr", {})
    (again,) = store.requests.create(lab, [request])
    assert again.state is JobState.SUCCEEDED
    assert again.result_id == store.results()[0]["id"]


def test_another_workspace_sees_nothing(store: Store, lab: Access) -> None:
    job = store.job(lab)
    other = store.access("other")
    for call in (store.requests.get, store.requests.cancel, store.requests.retry):
        with pytest.raises(NotThereError):
            call(other, job.id)
    with pytest.raises(NotThereError):
        store.requests.delete(other, job.id)
    with pytest.raises(NotThereError):
        store.slides.get(other, job.slide_id)
    with pytest.raises(NotThereError):
        store.requests.create(other, [store.request(store.slides.get(lab, job.slide_id))])
    assert store.requests.list(other) == ([], 0)


def test_keys(store: Store) -> None:
    keys = ApiKeys(store.database)
    made, secret = keys.create("lab", "mine", Scope.SUBMIT)
    found = keys.find(secret)
    assert found is not None
    assert (found.key_id, found.scope) == (made.id, Scope.SUBMIT)
    assert keys.find(secret + "x") is None
    _, brief = keys.create("lab", "brief", Scope.VIEW, lifetime_seconds=-1)
    assert keys.find(brief) is None
    keys.revoke(made.id)
    assert keys.find(secret) is None
    with store.database.read() as connection:
        for table in metadata.sorted_tables:
            assert secret not in str(connection.execute(sa.select(table)).all())


def test_every_change_is_in_the_audit_log_once(store: Store, lab: Access) -> None:
    job = store.job(lab)
    store.requests.cancel(lab, job.id)
    store.requests.retry(lab, job.id)
    with store.database.read() as connection:
        lines = connection.execute(sa.select(audit_table).order_by(audit_table.c.id)).mappings()
        actions = [line["action"] for line in lines if line["object_id"] == job.id]
    assert actions == ["job.create", "job.cancel", "job.retry"]


@pytest.mark.parametrize(
    "tamper",
    [
        audit_table.update().where(audit_table.c.id == 3).values(actor="somebody"),
        audit_table.update().where(audit_table.c.id == 3).values(at=1.0),
        audit_table.delete().where(audit_table.c.id == 3),
    ],
)
def test_the_audit_chain_notices_changes(
    store: Store, lab: Access, tamper: sa.Update | sa.Delete
) -> None:
    for _ in range(3):
        store.job(lab)
    count, _ = audit.verify_chain(store.database)
    assert count > 5
    store.change(tamper)
    with pytest.raises(audit.BrokenChainError, match=r"line 3 "):
        audit.verify_chain(store.database)


def test_the_audit_chain_holds_under_many_writers(store: Store, lab: Access) -> None:
    others = [store.access(f"lab {index}") for index in range(4)]
    made = {access: [store.request(store.slide(access)) for _ in range(5)] for access in others}

    def work(access: Access) -> None:
        for job in store.requests.create(access, made[access]):
            store.requests.cancel(access, job.id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, others))
    assert audit.verify_chain(store.database)[0] >= 4 * 10


def test_events_resume_where_they_were_cut_off(store: Store, lab: Access) -> None:
    job = store.job(lab)
    claim = store.claim()
    store.queue.renew(claim.job, tiles_done=1)
    seen = events_after(store.database, job.id, 0)
    assert [event.kind for event in seen] == ["state", "state", "progress"]
    store.queue.succeed(claim, "results/1/mask.zarr", {})
    (last,) = events_after(store.database, job.id, seen[-1].id)
    assert (last.kind, last.data["state"]) == ("state", "succeeded")


# -- everything at once


class JobStoreMachine(RuleBasedStateMachine):
    """Users and workers do what they like in any order; the store stays sound.

    Claims are kept for ever, so that most of those used are old: only the newest claim of a
    running job whose lease has not ended may change anything.
    """

    claims: "Bundle[Claim]" = Bundle("claims")
    made: "Bundle[Job]" = Bundle("made")

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.accesses: list[Access] = []
        self.number = itertools.count()
        self.fences: dict[str, int] = {}

    @initialize()
    def begin(self) -> None:
        for table in (jobs, results):
            self.store.change(table.delete())
        self.accesses = [self.store.access(name) for name in ("one", "two")]
        self.shared = [self.store.slide(access, digest("shared")) for access in self.accesses]

    @rule(
        target=made,
        who=st.integers(0, 1),
        priority=st.integers(-2, 2),
        work=st.integers(0, 2),
        key=st.sampled_from([None, "k1", "k2"]),
    )
    def create(self, who: int, priority: int, work: int, key: str | None) -> Job:
        request = self.store.request(self.shared[who], priority=priority, work=work)
        try:
            (job,) = self.store.requests.create(self.accesses[who], [request], key)
        except KeyReusedError:
            assert key is not None
            (job,) = self.store.requests.create(self.accesses[who], [request])
        return job

    @rule(target=claims, worker=st.sampled_from(["w1", "w2", "w3"]))
    def claim(self, worker: str) -> Any:
        claim = self.store.queue.claim(worker)
        if claim is None:
            return _nothing()
        assert claim.job.fence > self.fences.get(claim.job.id, 0)
        self.fences[claim.job.id] = claim.job.fence
        return claim

    @rule(claim=claims, ending=st.sampled_from(sorted(ENDINGS)))
    def end(self, claim: Claim, ending: str) -> None:
        if claim is NOTHING:
            return
        before = self._job(claim.job)
        held = (
            before is not None
            and before.state is JobState.RUNNING
            and before.fence == claim.job.fence
            and (before.lease_until or 0) > 1000
        )
        assert ENDINGS[ending](self.store, claim) is held
        if not held:
            assert self._job(claim.job) == before

    @rule(job=made)
    def let_lease_end(self, job: Job) -> None:
        self.store.change(
            jobs.update()
            .where(jobs.c.id == job.id, jobs.c.state == "running")
            .values(lease_until=1)
        )

    @rule()
    def let_time_pass(self) -> None:
        self.store.change(jobs.update().values(due_at=jobs.c.due_at - 100))

    @rule(job=made, action=st.sampled_from(["cancel", "retry", "delete"]))
    def ask(self, job: Job, action: str) -> None:
        access = next(a for a in self.accesses if a.workspace_id == job.workspace_id)
        before = self._job(job)
        call: Callable[[Access, str], object] = getattr(self.store.requests, action)
        try:
            call(access, job.id)
        except NotThereError:
            assert before is None
        except ConflictError:
            assert self._job(job) == before

    @invariant()
    def sound(self) -> None:
        if not self.accesses:
            return
        with self.store.database.read() as connection:
            rows = [Job.of(row) for row in connection.execute(sa.select(jobs)).mappings()]
            found = connection.execute(sa.select(results)).mappings().all()
        assert len(found) == len({row["fingerprint"] for row in found})
        running = [job.fingerprint for job in rows if job.state is JobState.RUNNING]
        assert len(running) == len(set(running)), "identical work runs twice"
        for job in rows:
            assert (job.worker_id is None) == (job.state is not JobState.RUNNING)
            assert (job.lease_until is None) == (job.state is not JobState.RUNNING)
            assert (job.result_id is None) == (job.state is not JobState.SUCCEEDED)
            assert (job.finished_at is None) == (not job.state.is_final)
            assert job.attempts <= MAX_ATTEMPTS
            assert job.losses <= MAX_LOSSES
            assert not (job.state is JobState.QUEUED and job.cancel_requested)
            assert self.store.last_told(job) == job.state

    def teardown(self) -> None:
        audit.verify_chain(self.store.database)

    def _job(self, job: Job) -> Job | None:
        with self.store.database.read() as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.id == job.id)).mappings().first()
            return None if row is None else Job.of(row)


NOTHING: Any = object()


def _nothing() -> Any:
    return NOTHING


def test_any_order_of_events_leaves_the_store_sound(store: Store) -> None:
    class Machine(JobStoreMachine):
        def __init__(self) -> None:
            super().__init__(store)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_eight_processes_claim_two_thousand_jobs_once_each(store: Store, url: str) -> None:
    expected = set()
    for name in ("one", "two", "three"):
        access = store.access(name)
        slide = store.slide(access)
        count = {"one": 1000, "two": 700, "three": 300}[name]
        wanted = [store.request(slide, priority=index % 3) for index in range(count)]
        expected |= {job.id for job in store.requests.create(access, wanted)}
    program = [sys.executable, claimer_support.__file__, url]
    claimers = [
        subprocess.Popen(
            [*program, f"w{index}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(8)
    ]
    for claimer in claimers:
        assert claimer.stdin is not None
        claimer.stdin.write("begin\n")
        claimer.stdin.flush()
    with ThreadPoolExecutor(8) as pool:
        output = list(pool.map(lambda claimer: claimer.communicate(), claimers))
    assert [claimer.returncode for claimer in claimers] == [0] * 8, output
    assert all(errors == "" for _, errors in output)
    claims = [line.split() for told, _ in output for line in told.splitlines()]
    assert Counter(job for job, _ in claims) == dict.fromkeys(expected, 1)
    assert {fence for _, fence in claims} == {"1"}
    shares = [told.count("\n") for told, _ in output]
    assert min(shares) > 0, f"somebody got nothing: {shares}"
    assert len(store.results()) == len(expected)


# -- migrations


def test_migrations_make_the_tables_the_code_means(store: Store) -> None:
    with store.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(store: Store) -> None:
    assert schema.migrate(store.database) == (schema.head(), schema.head())
    schema.check(store.database)


def test_a_database_without_tables_is_noticed(url: str) -> None:
    database = Database(url)
    with pytest.raises(schema.SchemaError, match="wsi migrate"):
        schema.check(database)
    database.close()


def test_several_servers_may_migrate_at_once(url: str) -> None:
    databases = [Database(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(schema.migrate, databases))
    schema.check(databases[0])
    for database in databases:
        database.close()
