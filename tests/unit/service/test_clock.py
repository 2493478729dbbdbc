"""The service's time on SQLite: it never goes back, whatever becomes of the host's clock."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from jobs_support import Store

from wsi_pipeline.service import schema
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.jobs.job import JobState, Renewal
from wsi_pipeline.service.jobs.queue import JobQueue
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.tables import clock
from wsi_pipeline.service.uploads import UploadStore

HOUR = 3600.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    database = Database(f"sqlite:///{tmp_path / 'service.db'}")
    schema.migrate(database)
    yield Store(database)
    database.close()


def told(store: Store) -> float:
    with store.database.read() as connection:
        at: float = connection.execute(sa.select(now())).scalar_one()
        return at


def test_it_is_the_hosts_clock(store: Store) -> None:
    assert told(store) == pytest.approx(time.time(), abs=5)
    store.access()
    assert told(store) == pytest.approx(time.time(), abs=5)


def test_it_goes_on_at_half_speed_until_the_host_has_caught_up(store: Store) -> None:
    store.access()
    store.set_clock_back(HOUR)
    ahead = told(store) - time.time()
    assert ahead == pytest.approx(HOUR, abs=10)
    # An hour later, and another one.
    for expected in (HOUR / 2, 0):
        store.change(clock.update().values(at=clock.c.at - HOUR, uptime=clock.c.uptime - HOUR))
        assert told(store) - time.time() == pytest.approx(expected, abs=10)


def test_it_never_goes_back(store: Store) -> None:
    last = told(store)
    for step in range(6):
        if step % 2:
            store.set_clock_back(100.0)
        else:
            store.access(f"lab {step}")
        assert told(store) >= last
        last = told(store)


def test_after_a_restart_of_the_host_it_goes_on_from_where_it_was(store: Store) -> None:
    store.access()
    store.set_clock_back(HOUR)
    before = told(store)
    store.change(clock.update().values(uptime=clock.c.uptime + 1e9))  # it counts anew
    assert before - 5 <= told(store) <= before + 5
    store.access("another")
    with store.database.read() as connection:
        kept = connection.execute(sa.select(clock)).mappings().one()
    assert kept["uptime"] < 1e9, "the next change takes the new count"
    assert kept["at"] >= before - 5


def test_nothing_waits_for_the_hour_to_pass(store: Store) -> None:
    lab, other = store.access("lab"), store.access("other")
    first = store.job(lab)
    assert store.claim().job.id == first.id
    waiting = [store.job(lab) for _ in range(3)]
    store.set_clock_back(HOUR)
    later = store.job(lab)
    urgent = store.job(other)
    assert store.claim().job.id == urgent.id, "the other workspace's turn"
    order = [store.claim().job.id for _ in range(4)]
    assert order == [job.id for job in [*waiting, later]]


def test_leases_end_when_they_should_and_not_before(store: Store) -> None:
    queue = JobQueue(store.database, lease_seconds=1.5)
    for _ in range(2):
        store.job(store.access())
    held, lost = queue.claim("lives"), queue.claim("dies")
    assert held is not None
    assert lost is not None
    store.set_clock_back(HOUR)
    assert queue.claim("a third") is None, "both are held"
    again, ended = None, time.monotonic() + 30
    while again is None and time.monotonic() < ended:
        assert queue.renew(held.job) is Renewal.HELD
        again = queue.claim("a third")
        time.sleep(0.1)
    assert again is not None
    assert again.job.id == lost.job.id
    assert queue.renew(lost.job) is Renewal.LOST
    assert queue.succeed(held, "results/a/mask.zarr", {})[0]
    assert store.now(held.job).state is JobState.SUCCEEDED


def test_no_upload_expires_early(store: Store) -> None:
    access = store.access()
    uploads = UploadStore(store.database, max_bytes=1000, quota_bytes=0, expiry_seconds=60)
    upload = uploads.create(access, "a", 100)
    store.set_clock_back(HOUR)
    assert uploads.expire() == []
    assert uploads.get(access, upload.id).expires_at - told(store) == pytest.approx(60, abs=20)
    assert uploads.advance(access, upload, 50, "/spool/a").offset == 50


def test_keys_and_links_stay_good_and_end(store: Store) -> None:
    keys = ApiKeys(store.database)
    _, lasting = keys.create("lab", "a", Scope.VIEW, lifetime_seconds=60)
    _, ended = keys.create("lab", "b", Scope.VIEW, lifetime_seconds=0)
    store.set_clock_back(HOUR)
    assert keys.find(lasting) is not None
    assert keys.find(ended) is None, "it does not come back to life"
