"""Notes on regions, and the table they came with, on SQLite and on PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from jobs_support import Store

from wsi_pipeline.service import audit, schema
from wsi_pipeline.service import notes as notes_module
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.garbage import Garbage
from wsi_pipeline.service.jobs.job import Job
from wsi_pipeline.service.jobs.requests import ConflictError, NotThereError
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.notes import MAX_COMMENT, NoteStore, Verdict
from wsi_pipeline.service.slides import SlideStore
from wsi_pipeline.service.tables import audit as audit_table
from wsi_pipeline.service.tables import clock, metadata, notes, workspaces
from wsi_pipeline.storage import open_storage

AGREE, DISAGREE = Verdict.AGREE, Verdict.DISAGREE


@pytest.fixture
def said(store: Store) -> NoteStore:
    return NoteStore(store.database)


@pytest.fixture
def ann(store: Store) -> Access:
    return store.access()


@pytest.fixture
def ben(store: Store, ann: Access) -> Access:
    """Another key of the same workspace."""
    access = store.access()
    assert access.workspace_id == ann.workspace_id
    return access


def finished(store: Store, access: Access, *, regions: int = 3, work: object = None) -> Job:
    """A job that is through; of work nobody else asks for, unless ``work`` says which."""
    slide = store.slide(access, sha256="5" * 64 if work is not None else None)
    request = store.request(slide, work=work)
    (job,) = store.requests.create(access, [request])
    if job.result_id is None:
        claim = store.claim()
        assert store.queue.succeed(claim, f"results/{job.id}/mask.zarr", {"regions": regions})[0]
    return store.requests.get(access, job.id)


def lines(store: Store) -> list[tuple[str, str, str]]:
    """The audit log's lines on notes: action, object and details."""
    wanted = (
        sa.select(audit_table.c.action, audit_table.c.object_id, audit_table.c.details)
        .where(audit_table.c.action.like("note.%"))
        .order_by(audit_table.c.id)
    )
    with store.database.read() as connection:
        return [(row[0], row[1], row[2]) for row in connection.execute(wanted)]


def count(store: Store) -> int:
    with store.database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(notes)).scalar_one()


def test_each_user_has_one_note_on_a_region(
    store: Store, said: NoteStore, ann: Access, ben: Access
) -> None:
    job = finished(store, ann)
    assert said.of_job(ann, job.id) == []
    first = said.write(ann, job.id, 2, AGREE, "clear\nenough – ja µ")
    said.write(ben, job.id, 2, DISAGREE, "")
    said.write(ben, job.id, 1, None, "a fold")
    assert first is not None
    assert (first.region, first.verdict, first.comment) == (2, AGREE, "clear\nenough – ja µ")
    assert (first.key_id, first.key_name) == (ann.key_id, "key")
    found = said.of_job(ann, job.id)
    assert [(note.region, note.key_id) for note in found] == [
        (1, ben.key_id), (2, ann.key_id), (2, ben.key_id),
    ]  # fmt: skip
    assert said.of_job(ben, job.id) == found
    changed = said.write(ann, job.id, 2, DISAGREE, "")
    assert changed is not None
    assert changed.changed_at >= first.changed_at
    assert len(said.of_job(ann, job.id)) == 3


def test_the_same_again_changes_nothing(store: Store, said: NoteStore, ann: Access) -> None:
    job = finished(store, ann)
    first = said.write(ann, job.id, 1, AGREE, "yes")
    told = lines(store)
    assert said.write(ann, job.id, 1, AGREE, "yes") == first
    assert lines(store) == told


def test_a_note_that_says_nothing_is_none(store: Store, said: NoteStore, ann: Access) -> None:
    job = finished(store, ann)
    assert said.write(ann, job.id, 1, None, "") is None
    assert lines(store) == []
    said.write(ann, job.id, 1, AGREE, "yes")
    assert said.write(ann, job.id, 1, None, "") is None
    assert said.of_job(ann, job.id) == []


def test_nobody_removes_anothers_note(
    store: Store, said: NoteStore, ann: Access, ben: Access
) -> None:
    job = finished(store, ann)
    said.write(ann, job.id, 1, AGREE, "")
    said.remove(ben, job.id, 1)
    assert len(said.of_job(ben, job.id)) == 1
    said.remove(ann, job.id, 1)
    said.remove(ann, job.id, 1)
    assert said.of_job(ben, job.id) == []
    assert [action for action, _, _ in lines(store)] == ["note.write", "note.delete"]


def test_the_audit_log_does_not_repeat_what_was_said(
    store: Store, said: NoteStore, ann: Access
) -> None:
    job = finished(store, ann)
    said.write(ann, job.id, 3, DISAGREE, "Jane Doe, again")
    said.remove(ann, job.id, 3)
    assert lines(store) == [
        ("note.write", job.id, '{"region": 3, "verdict": "disagree"}'),
        ("note.delete", job.id, '{"region": 3}'),
    ]
    audit.verify_chain(store.database)


@pytest.mark.parametrize("region", [0, -1, 4, 2**31 - 1])
def test_a_region_that_is_not_there(
    store: Store, said: NoteStore, ann: Access, region: int
) -> None:
    job = finished(store, ann)
    calls: list[Callable[[], object]] = [
        lambda: said.write(ann, job.id, region, AGREE, ""),
        lambda: said.write(ann, job.id, region, None, ""),
        lambda: said.remove(ann, job.id, region),
    ]
    for call in calls:
        with pytest.raises(NotThereError, match="no region"):
            call()


def test_without_a_result_there_is_nothing_to_say(
    store: Store, said: NoteStore, ann: Access
) -> None:
    job = store.job(ann)
    with pytest.raises(ConflictError, match="queued and has no result"):
        said.of_job(ann, job.id)
    with pytest.raises(ConflictError, match="no result"):
        said.write(ann, job.id, 1, AGREE, "")
    claim = store.claim()
    store.queue.succeed(claim, "results/x/mask.zarr", {})  # as results were kept once
    with pytest.raises(NotThereError, match="no region 1"):
        said.write(ann, job.id, 1, AGREE, "")


def test_another_workspace_learns_nothing(store: Store, said: NoteStore, ann: Access) -> None:
    """Also where identical work gave it the same result."""
    theirs = store.access("other")
    job, same = finished(store, ann, work="w"), finished(store, theirs, work="w")
    assert job.result_id == same.result_id
    said.write(ann, job.id, 1, AGREE, "ours")
    assert said.of_job(theirs, same.id) == []
    calls: list[Callable[[], object]] = [
        lambda: said.of_job(theirs, job.id),
        lambda: said.write(theirs, job.id, 1, DISAGREE, ""),
        lambda: said.remove(theirs, job.id, 1),
    ]
    for call in calls:
        with pytest.raises(NotThereError, match="no job"):
            call()
    said.write(theirs, same.id, 1, DISAGREE, "theirs")
    assert [note.comment for note in said.of_job(ann, job.id)] == ["ours"]
    assert [note.comment for note in said.of_job(theirs, same.id)] == ["theirs"]
    store.requests.delete(theirs, same.id)
    assert [note.comment for note in said.of_job(ann, job.id)] == ["ours"]
    assert count(store) == 1


def test_notes_belong_to_the_result_and_go_with_its_last_job(
    store: Store, said: NoteStore, ann: Access, ben: Access
) -> None:
    one, two = finished(store, ann, work="w"), finished(store, ben, work="w")
    assert one.result_id == two.result_id
    said.write(ann, one.id, 1, AGREE, "seen through the one")
    said.write(ben, two.id, 1, DISAGREE, "")
    assert said.of_job(ann, one.id) == said.of_job(ann, two.id)
    store.requests.delete(ann, one.id)
    assert len(said.of_job(ann, two.id)) == 2
    store.requests.delete(ann, two.id)
    assert count(store) == 0
    again = finished(store, ann, work="w")
    assert again.result_id == one.result_id
    assert said.of_job(ann, again.id) == []


def test_the_last_two_jobs_deleted_at_once_leave_no_notes(
    store: Store, said: NoteStore, ann: Access
) -> None:
    for attempt in range(5):
        made = [finished(store, ann, work=attempt) for _ in range(2)]
        said.write(ann, made[0].id, 1, AGREE, "")
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda job: store.requests.delete(ann, job.id), made))
        assert count(store) == 0


def test_many_at_once(store: Store, said: NoteStore, ann: Access, ben: Access) -> None:
    job = finished(store, ann, regions=6)
    wanted = [(who, region) for region in range(1, 7) for who in (ann, ben)] * 3
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda one: said.write(one[0], job.id, one[1], AGREE, "same"), wanted))
    assert len(said.of_job(ann, job.id)) == 12
    assert len(lines(store)) == 12
    audit.verify_chain(store.database)


def test_a_revoked_keys_notes_stay(store: Store, said: NoteStore, ann: Access, ben: Access) -> None:
    job = finished(store, ann)
    said.write(ben, job.id, 1, AGREE, "")
    ApiKeys(store.database).revoke(ben.key_id)
    assert [note.key_name for note in said.of_job(ann, job.id)] == ["key"]


def test_a_limit_to_what_one_key_says(
    store: Store,
    said: NoteStore,
    ann: Access,
    ben: Access,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notes_module, "MAX_NOTES", 2)
    job = finished(store, ann)
    for region in (1, 2):
        said.write(ann, job.id, region, AGREE, "x" * MAX_COMMENT)
    with pytest.raises(ConflictError, match="at most 2 notes"):
        said.write(ann, job.id, 3, AGREE, "")
    assert said.write(ann, job.id, 2, DISAGREE, "") is not None
    assert said.write(ben, job.id, 3, AGREE, "") is not None


def test_deleting_a_slide_and_collecting_garbage_leave_notes_alone(
    store: Store, said: NoteStore, ann: Access, tmp_path: Path
) -> None:
    job = finished(store, ann)
    said.write(ann, job.id, 1, AGREE, "")
    garbage = Garbage(store.database, open_storage(str(tmp_path / "storage")), dry=False)
    SlideStore(store.database).delete(ann, job.slide_id)
    assert list(garbage.results()) == []
    assert len(said.of_job(ann, job.id)) == 1
    store.requests.delete(ann, job.id)
    assert [waste.name for waste in garbage.results()] == [job.result_id]


# -- the table, where there was none


def to(database: Database, revision: str) -> None:
    """Migrate down to an earlier revision."""
    with database.write() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def test_a_database_with_rows_gets_the_table(store: Store, url: str) -> None:
    access, theirs = store.access(), store.access("other")
    jobs = [finished(store, one, work="w") for one in (access, theirs, access)]
    to(store.database, "0001")
    older = Database(url)  # as of another process: the first one knew newer tables
    with older.read() as connection:
        assert not sa.inspect(connection).has_table("notes")
    with pytest.raises(schema.SchemaError, match="revision 0001, older; run `wsi migrate`"):
        schema.check(older)
    before = everything(older)
    assert schema.migrate(older) == ("0001", schema.head())
    schema.check(older)
    assert everything(older, before) == before
    with older.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    audit.verify_chain(older)
    said = NoteStore(older)
    assert said.write(access, jobs[0].id, 3, AGREE, "after") is not None
    assert [note.comment for note in said.of_job(access, jobs[2].id)] == ["after"]
    assert said.of_job(theirs, jobs[1].id) == []
    older.close()


def test_going_back_keeps_the_rest(store: Store) -> None:
    store.access()
    before = everything(store.database)
    to(store.database, "0001")
    kept = everything(store.database)
    assert kept == {name: rows(before[name], kept[name]) for name in kept}


def everything(
    database: Database, like: dict[str, list[dict[str, Any]]] | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that is there, but notes and the time; of ``like``'s columns."""
    found: dict[str, list[dict[str, Any]]] = {}
    with database.read() as connection:
        inspector = sa.inspect(connection)
        for name in sorted(set(inspector.get_table_names()) & set(metadata.tables)):
            if name in {notes.name, clock.name} or (like is not None and name not in like):
                continue
            there = {column["name"] for column in inspector.get_columns(name)}
            columns = [column for column in metadata.tables[name].c if column.name in there]
            read = connection.execute(sa.select(*columns)).mappings()
            found[name] = [dict(row) for row in read]
            if like is not None:
                found[name] = rows(found[name], like[name])
    assert found[workspaces.name]
    return found


def rows(those: list[dict[str, Any]], like: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows with the columns of others."""
    names = like[0].keys() if like else set()
    return [{key: value for key, value in row.items() if key in names} for row in those]
