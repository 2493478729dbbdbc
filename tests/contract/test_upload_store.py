"""Uploads keep their promises on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from wsi_pipeline.service.access import Access, Scope
from wsi_pipeline.service.audit import verify_chain
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.jobs.requests import ConflictError, NotThereError
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.quota import TooLargeError
from wsi_pipeline.service.schema import migrate
from wsi_pipeline.service.slides import SlideState, SlideStore
from wsi_pipeline.service.tables import slides, uploads
from wsi_pipeline.service.upload import GoneError, UploadState
from wsi_pipeline.service.uploads import UploadStore


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database) -> UploadStore:
    return UploadStore(database, max_bytes=1000, quota_bytes=0, expiry_seconds=60)


def access(database: Database, workspace: str) -> Access:
    keys = ApiKeys(database)
    found = keys.find(keys.create(workspace, "key", Scope.SUBMIT)[1])
    assert found is not None
    return found


@pytest.fixture
def lab(database: Database) -> Access:
    return access(database, "lab")


def let_pass(database: Database, seconds: float) -> None:
    """Move every upload into the past."""
    with database.write() as connection:
        connection.execute(uploads.update().values(expires_at=uploads.c.expires_at - seconds))


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(slides)).scalar_one())


def test_the_last_bytes_and_the_slide_are_one_step(
    store: UploadStore, lab: Access, database: Database
) -> None:
    upload = store.create(lab, "a.svs", 100, "filename YS5zdnM=")
    assert (upload.offset, upload.state, upload.slide_id) == (0, UploadState.OPEN, None)
    upload = store.advance(lab, upload, 40, "/spool/x")
    assert (upload.offset, upload.state) == (40, UploadState.OPEN)
    assert count(database) == 0
    upload = store.advance(lab, upload, 100, "/spool/x")
    assert upload.state is UploadState.COMPLETE
    assert upload.slide_id is not None
    assert store.get(lab, upload.id) == upload
    slide = SlideStore(database).get(lab, upload.slide_id)
    assert (slide.name, slide.state) == ("a.svs", SlideState.CHECKING)
    assert (slide.source, slide.size_bytes) == ("/spool/x", 100)
    assert verify_chain(database)[0] == 3  # the key, the upload, the slide


def test_an_offset_that_moved_is_a_conflict(
    store: UploadStore, lab: Access, database: Database
) -> None:
    stale = store.create(lab, "a", 100)
    done = store.advance(lab, stale, 100, "/spool/x")
    for seen in (stale, done):
        with pytest.raises(ConflictError):
            store.advance(lab, seen, 100, "/spool/x")
    assert count(database) == 1


def test_of_two_that_finish_at_once_one_makes_the_slide(
    store: UploadStore, lab: Access, database: Database
) -> None:
    upload = store.create(lab, "a", 100)

    def finish(_: int) -> bool:
        try:
            store.advance(lab, upload, 100, "/spool/x")
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(finish, range(8))) == 1
    assert count(database) == 1


def test_another_workspace_sees_nothing(
    store: UploadStore, lab: Access, database: Database
) -> None:
    upload = store.create(lab, "a", 100)
    other = access(database, "other")
    for refused in (store.get, store.terminate):
        with pytest.raises(NotThereError):
            refused(other, upload.id)
    assert store.get(lab, upload.id) == upload


def test_what_was_given_up_is_gone(store: UploadStore, lab: Access) -> None:
    upload = store.create(lab, "a", 100)
    store.terminate(lab, upload.id)
    for call in (
        lambda: store.get(lab, upload.id),
        lambda: store.terminate(lab, upload.id),
        lambda: store.advance(lab, upload, 10, "/spool/x"),
        lambda: store.resize(lab, upload, 10),
        lambda: store.extend(lab, upload, 10),
    ):
        with pytest.raises(GoneError):
            call()


def test_a_complete_upload_cannot_be_given_up(store: UploadStore, lab: Access) -> None:
    upload = store.advance(lab, store.create(lab, "a", 1), 1, "/spool/x")
    with pytest.raises(ConflictError, match=upload.slide_id or "?"):
        store.terminate(lab, upload.id)
    with pytest.raises(ConflictError):
        store.resize(lab, upload, 10)


def test_nobody_continued_it(store: UploadStore, lab: Access, database: Database) -> None:
    left = store.create(lab, "a", 100)
    let_pass(database, 40)
    continued = store.advance(lab, store.create(lab, "b", 100), 1, "/spool/y")
    let_pass(database, 40)
    with pytest.raises(GoneError):  # before anybody cleaned up
        store.get(lab, left.id)
    assert store.expire() == [left.id]
    assert store.expire() == []
    with pytest.raises(GoneError):
        store.get(lab, left.id)
    assert store.get(lab, continued.id).offset == 1
    assert store.spooled() == {continued.id}


def test_one_that_is_written_is_put_off(
    store: UploadStore, lab: Access, database: Database
) -> None:
    upload = store.create(lab, "a", 100, lifetime_seconds=5)
    store.extend(lab, upload, 100)
    let_pass(database, 90)
    assert store.expire() == []
    let_pass(database, 20)
    assert store.expire() == [upload.id]


def test_long_ago_is_forgotten(store: UploadStore, lab: Access, database: Database) -> None:
    over = store.create(lab, "a", 100)
    store.terminate(lab, over.id)
    finished = store.advance(lab, store.create(lab, "b", 1), 1, "/spool/x")
    let_pass(database, 31 * 86400)
    store.expire()
    for upload in (over, finished):
        with pytest.raises(NotThereError):
            store.get(lab, upload.id)
    assert count(database) == 1


def test_one_slide_may_be_so_large(store: UploadStore, lab: Access) -> None:
    with pytest.raises(TooLargeError, match="1,000"):
        store.create(lab, "a", 1001)
    upload = store.create(lab, "a", 1000)
    with pytest.raises(TooLargeError):
        store.resize(lab, upload, 1001)


def test_a_workspace_may_keep_so_much(database: Database, lab: Access) -> None:
    store = UploadStore(database, max_bytes=10**6, quota_bytes=1000, expiry_seconds=60)
    known = SlideStore(database)
    finished = store.advance(lab, store.create(lab, "a", 400), 400, "/spool/x")
    open_one = store.create(lab, "b", 500)
    assert store.room(lab.workspace_id) == 100
    with pytest.raises(TooLargeError, match="100 left"):
        store.create(lab, "c", 101)
    with pytest.raises(TooLargeError):
        store.admit(lab, "c", "s3://bucket/c", 101)
    # Its own promise does not stand in its way.
    assert store.resize(lab, open_one, 600).length == 600
    with pytest.raises(TooLargeError):
        store.resize(lab, open_one, 601)
    # What lies elsewhere takes no room, neither unchecked nor ready.
    linked = known.add(lab, "d", "file:/slides/d.svs", 10**9)
    assert store.room(lab.workspace_id) == 0
    known.accept(linked.id, location="file:/slides/d.svs", sha256="d" * 64, info={})
    store.terminate(lab, open_one.id)
    assert store.room(lab.workspace_id) == 600
    assert store.room(access(database, "other").workspace_id) == 1000
    # Nor do slides that are gone.
    assert finished.slide_id is not None
    known.delete(lab, finished.slide_id)
    assert store.room(lab.workspace_id) == 1000


def test_a_quota_is_not_promised_twice(database: Database, lab: Access) -> None:
    store = UploadStore(database, max_bytes=10**6, quota_bytes=1000, expiry_seconds=60)

    def create(_: int) -> bool:
        try:
            store.create(lab, "a", 300)
        except TooLargeError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(8))) == 3


def test_what_the_spool_must_keep(store: UploadStore, lab: Access, database: Database) -> None:
    open_one = store.create(lab, "a", 10)
    ended = store.create(lab, "b", 10)
    store.terminate(lab, ended.id)
    complete = store.create(lab, "c", 10)
    complete = store.advance(lab, complete, 10, f"/spool/{complete.id}")
    assert complete.slide_id is not None
    assert store.spooled() == {open_one.id, complete.id, complete.slide_id}
    SlideStore(database).reject(complete.slide_id, {})
    assert store.spooled() == {open_one.id}


def test_bytes_are_shared_only_with_a_slide_that_is_there(
    database: Database, lab: Access, store: UploadStore
) -> None:
    known = SlideStore(database)
    facts: dict[str, Any] = {"sha256": "a" * 64, "info": {}}
    first = known.add(lab, "a", "/spool/a", 10)
    assert known.accept(first.id, location="slides/a/1", **facts)
    second, third = known.add(lab, "b", "/spool/b", 10), known.add(lab, "c", "/spool/c", 10)
    assert known.known("a" * 64) == "slides/a/1"
    assert known.accept(second.id, location="slides/a/1", shared=True, **facts)
    assert known.delete(lab, first.id) is None, "the second still needs the bytes"
    assert known.delete(lab, second.id) == "slides/a/1"
    assert not known.accept(third.id, location="slides/a/1", shared=True, **facts)
    assert known.state_of(third.id) is SlideState.CHECKING
    assert known.accept(third.id, location="slides/a/3", size_bytes=7, **facts)
    assert known.get(lab, third.id).size_bytes == 7
    assert not known.accept(third.id, location="slides/a/4", **facts), "it is ready already"
