"""Drawings on slides, on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from jobs_support import Store

from wsi_pipeline.service import audit
from wsi_pipeline.service import drawings as drawings_module
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.drawings import DrawingStore, Effect, Sketch, Tool
from wsi_pipeline.service.jobs.requests import ConflictError, NotThereError
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.slides import SlideStore
from wsi_pipeline.service.tables import audit as audit_table
from wsi_pipeline.service.tables import drawings, new_id

SQUARE = ((0.0, 0.0), (10.5, 0.0), (10.5, 10.0), (0.0, 10.0))


def sketch(comment: str = "", effect: Effect = Effect.ADD) -> Sketch:
    return Sketch(effect, Tool.POLYGON, "tumour", comment, (SQUARE,))


@pytest.fixture
def drawn(store: Store) -> DrawingStore:
    return DrawingStore(store.database)


@pytest.fixture
def ann(store: Store) -> Access:
    return store.access()


@pytest.fixture
def ben(store: Store, ann: Access) -> Access:
    """Another key of the same workspace."""
    access = store.access()
    assert access.workspace_id == ann.workspace_id
    return access


def test_each_users_drawings_come_back_in_their_order(
    store: Store, drawn: DrawingStore, ann: Access, ben: Access
) -> None:
    slide = store.slide(ann)
    first, second, theirs = (new_id() for _ in range(3))
    written = drawn.write(ann, slide.id, first, sketch("µ,\n«"))
    assert (written.number, written.sketch) == (1, sketch("µ,\n«"))
    drawn.write(ben, slide.id, theirs, sketch())
    drawn.write(ann, slide.id, second, sketch(effect=Effect.ERASE))
    assert [one.id for one in drawn.on_slide(ben, slide.id, ann.key_id)] == [first, second]
    assert {one.id for one in drawn.on_slide(ben, slide.id)} == {first, second, theirs}
    changed = drawn.write(ann, slide.id, first, sketch("other"))
    assert changed.number == 1
    assert [one.number for one in drawn.on_slide(ann, slide.id, ann.key_id)] == [1, 2]
    (listed,) = drawn.drawn_slides(ann)
    assert (listed.slide_id, listed.drawings, listed.authors) == (slide.id, 3, 2)


def test_the_same_again_changes_nothing(store: Store, drawn: DrawingStore, ann: Access) -> None:
    slide, drawing = store.slide(ann), new_id()
    before = drawn.write(ann, slide.id, drawing, sketch("a"))
    lines = _audited(store)
    assert drawn.write(ann, slide.id, drawing, sketch("a")) == before
    assert _audited(store) == lines
    assert lines == [("drawing.write", slide.id)]
    drawn.remove(ann, slide.id, drawing)
    drawn.remove(ann, slide.id, drawing)
    assert _audited(store) == [*lines, ("drawing.delete", slide.id)]
    audit.verify_chain(store.database)


def test_nobody_changes_anothers(
    store: Store, drawn: DrawingStore, ann: Access, ben: Access
) -> None:
    slide, other, drawing = store.slide(ann), store.slide(ann), new_id()
    drawn.write(ann, slide.id, drawing, sketch())
    with pytest.raises(ConflictError, match="choose another id"):
        drawn.write(ben, slide.id, drawing, sketch("mine"))
    with pytest.raises(ConflictError, match="choose another id"):
        drawn.write(ann, other.id, drawing, sketch())
    drawn.remove(ben, slide.id, drawing)
    assert [one.id for one in drawn.on_slide(ann, slide.id)] == [drawing]


def test_another_workspace_sees_none(store: Store, drawn: DrawingStore, ann: Access) -> None:
    slide, theirs = store.slide(ann), store.access("other")
    drawn.write(ann, slide.id, new_id(), sketch())
    assert drawn.drawn_slides(theirs) == []
    with pytest.raises(NotThereError, match="no slide"):
        drawn.on_slide(theirs, slide.id)
    with pytest.raises(NotThereError, match="no slide"):
        drawn.write(theirs, slide.id, new_id(), sketch())
    with pytest.raises(NotThereError, match="no slide"):
        drawn.remove(theirs, slide.id, new_id())


def test_drawings_stay_with_a_revoked_key_and_go_with_the_slide(
    store: Store, drawn: DrawingStore, ann: Access, ben: Access
) -> None:
    slide = store.slide(ann)
    drawn.write(ben, slide.id, new_id(), sketch())
    ApiKeys(store.database).revoke(ben.key_id)
    assert [one.key_name for one in drawn.on_slide(ann, slide.id)] == ["key"]
    SlideStore(store.database).delete(ann, slide.id)
    with store.database.read() as connection:
        assert connection.execute(sa.select(drawings.c.id)).all() == []


def test_numbers_of_one_user_are_distinct_whoever_writes_at_once(
    store: Store, drawn: DrawingStore, ann: Access
) -> None:
    slide = store.slide(ann)
    with ThreadPoolExecutor(8) as threads:
        for _ in range(16):
            threads.submit(drawn.write, ann, slide.id, new_id(), sketch())
    assert [one.number for one in drawn.on_slide(ann, slide.id)] == list(range(1, 17))


def test_there_is_an_end(
    store: Store, drawn: DrawingStore, ann: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawings_module, "MAX_DRAWINGS", 2)
    slide, first = store.slide(ann), new_id()
    drawn.write(ann, slide.id, first, sketch())
    drawn.write(ann, slide.id, new_id(), sketch())
    with pytest.raises(ConflictError, match="at most 2 drawings"):
        drawn.write(ann, slide.id, new_id(), sketch())
    assert drawn.write(ann, slide.id, first, sketch("changed")).sketch.comment == "changed"


def _audited(store: Store) -> list[tuple[str, str]]:
    wanted = sa.select(audit_table.c.action, audit_table.c.object_id).order_by(audit_table.c.id)
    with store.database.read() as connection:
        found = [(row.action, row.object_id) for row in connection.execute(wanted)]
    return [line for line in found if line[0].startswith("drawing.")]
