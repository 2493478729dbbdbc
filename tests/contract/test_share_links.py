"""ShareLinks to one result, on SQLite and on PostgreSQL."""

import json
import time

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobs_support import Store

from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.access import Access, Scope
from wsi_pipeline.service.jobs.results import JobResult, ResultStore
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.share_links import MOST_SECONDS, ShareLinks
from wsi_pipeline.service.tables import api_keys
from wsi_pipeline.service.tables import audit as audit_table

HOUR = 3600


@pytest.fixture
def ann(store: Store) -> Access:
    return store.access()


@pytest.fixture
def passes(store: Store) -> ShareLinks:
    return ShareLinks(store.database)


@pytest.fixture
def found(store: Store, ann: Access) -> JobResult:
    job = store.job(ann)
    claim = store.claim()
    assert store.queue.succeed(claim, f"results/{job.id}/mask.zarr", {"regions": 1})[0]
    return ResultStore(store.database).of_job(ann, job.id)


def test_a_pass_lets_one_result_be_read(
    passes: ShareLinks, store: Store, ann: Access, found: JobResult
) -> None:
    text, ends_at = passes.create(ann, found, HOUR)
    allowed = passes.find(text)
    assert allowed is not None
    assert allowed.job_id == found.job_id
    assert allowed.access == Access(ann.workspace_id, ann.key_id, Scope.VIEW)
    assert found == ResultStore(store.database).of_job(allowed.access, allowed.job_id)
    with store.database.read() as connection:
        line = connection.execute(sa.select(audit_table).order_by(audit_table.c.id.desc())).first()
    assert line is not None
    assert (line.action, line.object_id, line.actor) == ("result.share", found.job_id, ann.key_id)
    assert json.loads(line.details) == {"ends_at": int(ends_at)}


@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=50,
)
@given(data=st.data())
def test_what_was_altered_is_worth_nothing(
    passes: ShareLinks, ann: Access, found: JobResult, data: st.DataObject
) -> None:
    text, _ = passes.create(ann, found, HOUR)
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(codec="utf-8"))
    altered = text[:at] + letter + text[at + 1 :]
    if altered == text:
        return
    assert passes.find(altered) is None
    assert passes.find(altered + "x") is None


def test_nobody_else_can_make_one(
    passes: ShareLinks, store: Store, ann: Access, found: JobResult
) -> None:
    text, _ = passes.create(ann, found, HOUR)
    key_id, job_id, ends_at, seal = text.split(".")
    stranger = store.access("elsewhere")
    other = store.job(ann)
    for forged in (
        f"{stranger.key_id}.{job_id}.{ends_at}.{seal}",
        f"{key_id}.{other.id}.{ends_at}.{seal}",
        f"{key_id}.{job_id}.{int(ends_at) + 1}.{seal}",
        f"{key_id}.{job_id}.{ends_at}.",
        f"{key_id}.{job_id}.{ends_at}",
        "",
        "\ud800",
    ):
        assert passes.find(forged) is None


def test_it_ends_with_its_time(passes: ShareLinks, ann: Access, found: JobResult) -> None:
    text, _ = passes.create(ann, found, HOUR)
    short, _ = passes.create(ann, found, 1)
    deadline = time.monotonic() + 30
    while passes.find(short) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert passes.find(text) is not None


@pytest.mark.parametrize("seconds", [0, -1, MOST_SECONDS + 1])
def test_it_lasts_some_time(
    passes: ShareLinks, ann: Access, found: JobResult, seconds: int
) -> None:
    with pytest.raises(UsageError, match="30 days"):
        passes.create(ann, found, seconds)


def test_it_ends_with_its_key(
    passes: ShareLinks, store: Store, ann: Access, found: JobResult
) -> None:
    text, _ = passes.create(ann, found, HOUR)
    store.change(api_keys.update().where(api_keys.c.id == ann.key_id).values(expires_at=1))
    assert passes.find(text) is None
    store.change(api_keys.update().where(api_keys.c.id == ann.key_id).values(expires_at=None))
    assert passes.find(text) is not None
    ApiKeys(store.database).revoke(ann.key_id)
    assert passes.find(text) is None
