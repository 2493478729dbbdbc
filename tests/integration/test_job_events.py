"""News of jobs as server-sent events: complete, resumable, and ended when they should be."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from jobs_support import PROBLEM, Store
from servers_support import postgres_server
from service_support import TOKEN, Service, running, settings_in

from api.jobs import events
from wsi_pipeline.service.access import Access, Scope
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.jobs.job import Job
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.tables import job_events


@dataclass(frozen=True)
class Event:
    id: int
    kind: str
    data: dict[str, Any]


def parse(lines: Iterator[str]) -> Iterator[Event | str]:
    """Events and, as text, comments."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in fields:
                yield Event(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}
        elif line.startswith(":"):
            yield line
        else:
            name, _, value = line.partition(": ")
            fields[name] = value


class Listener:
    """Reads a stream; each wait is bounded by the client's timeout."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        self._lines = parse(answer.iter_lines())

    def next(self) -> Event | str | None:
        """An event or a comment; None at the end of the stream."""
        return next(self._lines, None)

    def event(self) -> Event:
        while not isinstance(found := self.next(), Event):
            assert found is not None, "the stream ended"
        return found

    def rest(self) -> list[Event]:
        return [one for one in iter(self.next, None) if isinstance(one, Event)]


@contextmanager
def listening(
    service: Service, path: str, last: int | None = None, key: str = TOKEN
) -> Iterator[Listener]:
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with service.client(key) as http, http.stream("GET", path, headers=headers) as answer:
        yield Listener(answer)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(settings_in(tmp_path_factory.mktemp("service"))) as service:
        yield service


@pytest.fixture(scope="module")
def store(service: Service) -> Store:
    return Store(service.database)


@pytest.fixture
def access(service: Service) -> Access:
    return service.access()


def finish(store: Store, job: Job) -> None:
    """Let a worker take a job through to its result; it must be the most urgent."""
    claim = store.claim()
    assert claim.job.id == job.id
    for done in (1, 2, 3):
        store.queue.renew(claim.job, stage="classifying", tiles_done=done, tiles_total=3)
    assert store.queue.succeed(claim, f"results/{job.id}/mask.zarr", {})[0]


def path_of(job: Job) -> str:
    return f"/v1/jobs/{job.id}/events"


def test_a_job_is_followed_to_its_end(service: Service, store: Store, access: Access) -> None:
    job = store.job(access, priority=50)
    with listening(service, path_of(job)) as listener:
        first = listener.event()
        assert (first.kind, first.data["state"]) == ("state", "queued")
        assert first.data["job_id"] == job.id
        claim = store.claim()
        assert listener.event().data["state"] == "running"
        store.queue.renew(
            claim.job, stage="classifying", tiles_done=1, tiles_total=9, tiles_per_second=3.5
        )
        progress = listener.event()
        assert (progress.kind, progress.data["stage"]) == ("progress", "classifying")
        assert progress.data["tiles"] == {"done": 1, "total": 9}
        assert progress.data["tiles_per_second"] == 3.5
        assert store.queue.fail(claim.job, PROBLEM, final=True)
        last = listener.event()
        assert (last.data["state"], last.data["problem"]) == ("failed", PROBLEM)
        assert listener.next() is None


def test_news_come_without_being_asked_for(service: Service, store: Store, access: Access) -> None:
    job = store.job(access, priority=50)
    with listening(service, path_of(job)) as listener:
        listener.event()
        store.requests.cancel(access, job.id)
        assert listener.event().data["state"] == "cancelled"


def test_who_comes_late_gets_everything_and_the_newest_progress(
    service: Service, store: Store, access: Access
) -> None:
    job = store.job(access, priority=50)
    finish(store, job)
    with listening(service, path_of(job)) as listener:
        told = listener.rest()
    kinds = [one.data.get("state", one.kind) for one in told]
    assert kinds == ["queued", "running", "progress", "succeeded"]
    assert told[2].data["tiles"]["done"] == 3


def test_resuming_misses_nothing_and_repeats_nothing(
    service: Service, store: Store, access: Access
) -> None:
    job = store.job(access, priority=50)
    with listening(service, path_of(job)) as listener:
        seen = [listener.event()]
    claim = store.claim()
    store.queue.renew(claim.job, stage="classifying", tiles_done=1, tiles_total=3)
    with listening(service, path_of(job), seen[-1].id) as listener:
        seen += [listener.event(), listener.event()]
    store.queue.release(claim.job)
    finish(store, job)
    with listening(service, path_of(job), seen[-1].id) as listener:
        seen += listener.rest()
    kinds = [one.data.get("state", one.kind) for one in seen]
    once = ["queued", "running", "progress"]
    assert kinds == [*once, *once, "succeeded"]
    ids = [one.id for one in seen]
    assert ids == sorted(set(ids))


def test_the_end_is_told_to_browsers(service: Service, store: Store, access: Access) -> None:
    """204 keeps an EventSource from connecting again for ever."""
    job = store.job(access)
    store.requests.cancel(access, job.id)
    with listening(service, path_of(job)) as listener:
        last = listener.rest()[-1].id
    with listening(service, path_of(job), last) as listener:
        assert listener.status == 204
    store.requests.retry(access, job.id)
    with listening(service, path_of(job), last) as listener:
        assert (listener.status, listener.event().data["state"]) == (200, "queued")
    store.requests.cancel(access, job.id)


def test_a_number_from_another_database_starts_over(
    service: Service, store: Store, access: Access
) -> None:
    job = store.job(access)
    store.requests.cancel(access, job.id)
    with listening(service, path_of(job), 10**15) as listener:
        assert [one.data["state"] for one in listener.rest()] == ["queued", "cancelled"]


def test_a_deleted_job_ends_its_stream(
    service: Service, store: Store, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_KEEP_ALIVE_SECONDS", 0.5)
    job = store.job(access)
    with listening(service, path_of(job)) as listener:
        listener.event()
        with service.database.write() as connection:
            connection.execute(job_events.delete().where(job_events.c.job_id == job.id))
        store.requests.cancel(access, job.id)
        store.requests.delete(access, job.id)
        listener.rest()


def test_the_workspace_is_followed_and_no_other(
    service: Service, store: Store, access: Access
) -> None:
    other = store.access("elsewhere")
    old = store.job(access)
    with listening(service, "/v1/events") as listener:
        start = listener.event()
        assert (start.kind, start.data) == ("start", {})
        store.job(other)
        one, two = store.job(access), store.job(access)
        store.requests.cancel(access, old.id)
        told = [listener.event() for _ in range(3)]
        assert [event.data["job_id"] for event in told] == [one.id, two.id, old.id]
        assert all(event.id > start.id for event in told)
    store.job(other)
    store.requests.cancel(access, one.id)
    with listening(service, "/v1/events", told[-1].id) as listener:
        missed = listener.event()
        assert (missed.data["job_id"], missed.data["state"]) == (one.id, "cancelled")
        store.job(other)
        store.requests.cancel(access, two.id)
        assert listener.event().data["job_id"] == two.id
    with service.client() as http:
        strange = http.get(path_of(store.job(other)))
        assert strange.status_code == 404


def test_quiet_streams_are_kept_alive_and_revoked_keys_cut_off(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_KEEP_ALIVE_SECONDS", 0.3)
    key, secret = ApiKeys(service.database).create("default", "guest", Scope.VIEW)
    with listening(service, "/v1/events", key=secret) as listener:
        listener.event()
        assert listener.next() == ": still here"
        ApiKeys(service.database).revoke(key.id)
        assert listener.rest() == []


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 30])
def test_numbers_that_are_none_are_refused(service: Service, value: str) -> None:
    with service.client() as http:
        answer = http.get("/v1/events", headers={"Last-Event-ID": value})
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")


def test_listeners_cost_no_threads(service: Service, store: Store, access: Access) -> None:
    job = store.job(access)
    before = threading.active_count()
    with service.client() as http:
        streams = []
        for _ in range(60):
            request = http.build_request("GET", path_of(job))
            streams.append(http.send(request, stream=True))
        firsts = [next(stream.iter_raw()) for stream in streams]
        assert all(first.startswith(b"retry:") for first in firsts)
        assert http.get(f"/v1/jobs/{job.id}").status_code == 200
        # Ours make none here; the server has its pools, at most 40 and a few for events.
        assert threading.active_count() - before < 50
        for stream in streams:
            stream.close()
    feed = service.app.state.feed
    deadline = time.monotonic() + 20
    while feed._listeners and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not feed._listeners


def test_a_stop_ends_streams(tmp_path: Path) -> None:
    with running(settings_in(tmp_path)) as service:
        store = Store(service.database)
        job = store.job(service.access())
        with listening(service, path_of(job)) as one, listening(service, "/v1/events") as all_jobs:
            one.event()
            all_jobs.event()
            service.stop()
            assert one.next() is None
            assert all_jobs.next() is None


def test_on_postgresql_what_is_committed_late_is_still_told(tmp_path: Path) -> None:
    """Numbers are given when an event is written: one with a lower number may appear later."""
    with postgres_server() as postgres:
        settings = settings_in(tmp_path, database=postgres.database())
        with running(settings) as service:
            store, access = Store(service.database), service.access()
            one, two = store.job(access), store.job(access)
            slow = Database(settings.database_url)
            with listening(service, "/v1/events") as listener:
                start = listener.event()
                with slow.write() as connection:
                    early = job_events.insert().values(
                        job_id=one.id, at=1.0, kind="state", data={"state": "running"}
                    )
                    connection.execute(early)
                    store.requests.cancel(access, two.id)
                    later = listener.event()
                    assert later.data["job_id"] == two.id
                late = listener.event()
                assert late.data["job_id"] == one.id
                assert start.id < late.id < later.id
            with listening(service, "/v1/events", later.id) as listener:
                assert late.id in {listener.event().id for _ in range(4)}
            slow.close()
