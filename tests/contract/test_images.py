"""Images, their labels and jobs over them, on SQLite and on PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from jobs_support import MODEL_SHA256, PROBLEM, Store, digest

from wsi_pipeline.service import audit
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.image_files import display_key, image_key, thumbnail_key
from wsi_pipeline.service.image_jobs import ImageJob, ImageJobRequest, ImageJobState, ImageJobStore
from wsi_pipeline.service.image_labels import By, LabelStore
from wsi_pipeline.service.images import CLASSIFY, ImageQuery, ImageStore, Only, Sort, StoredImage
from wsi_pipeline.service.jobs.requests import ConflictError, KeyReusedError, NotThereError
from wsi_pipeline.service.question import QuestionState
from wsi_pipeline.service.questions import QuestionStore
from wsi_pipeline.service.quota import TooLargeError
from wsi_pipeline.service.tables import audit as audit_table
from wsi_pipeline.service.tables import new_id

Add = Callable[..., StoredImage]


@pytest.fixture
def images(store: Store) -> ImageStore:
    return ImageStore(store.database, quota_bytes=0)


@pytest.fixture
def labels(store: Store) -> LabelStore:
    return LabelStore(store.database)


@pytest.fixture
def jobs(store: Store) -> ImageJobStore:
    return ImageJobStore(store.database)


@pytest.fixture
def questions(store: Store) -> QuestionStore:
    return QuestionStore(store.database)


@pytest.fixture
def ann(store: Store) -> Access:
    return store.access()


@pytest.fixture
def ben(store: Store) -> Access:
    return store.access()


def image(access: Access, name: str, content: str = "", size: int = 10) -> StoredImage:
    image_id, sha256 = new_id(), digest(content or name)
    location = image_key(sha256, image_id)
    return StoredImage(image_id, access.workspace_id, name, sha256, location, size, 0.0)


def add(images: ImageStore, access: Access, *names: str) -> list[StoredImage]:
    return [images.add(access, image(access, name))[0] for name in names]


def submit(
    jobs: ImageJobStore, access: Access, found: list[StoredImage], key: str | None = None
) -> ImageJob:
    ids = tuple(one.id for one in found)
    return jobs.create(access, ImageJobRequest("today", "model", MODEL_SHA256, ids), key)


def answer(questions: QuestionStore, said: dict[str, tuple[float, bool] | None]) -> None:
    """Answer by names of images: doubt and review, or fail."""
    for question in questions.claim("w", 100):
        told = said.get(question.facts["name"], (0.1, False))
        if told is None:
            assert questions.fail(question, PROBLEM)
        else:
            assert questions.answer(question, {}, doubt=told[0], review=told[1])


def audited(store: Store) -> list[tuple[str, str | None]]:
    wanted = sa.select(audit_table.c.action, audit_table.c.object_id).where(
        audit_table.c.action.like("image%")
    )
    with store.database.read() as connection:
        return [tuple(row) for row in connection.execute(wanted.order_by(audit_table.c.id))]


def test_the_same_bytes_under_one_name_are_one_image(
    store: Store, images: ImageStore, ann: Access
) -> None:
    wanted = [image(ann, "folder/a.png") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda one: images.add(ann, one), wanted))
    assert sum(new for _, new in made) == 1
    (kept,) = {one.id for one, _ in made}
    assert audited(store) == [("image.create", kept)]
    other = images.add(ann, image(ann, "folder/a.png", "other bytes"))[0]
    assert {one.image.id for one in images.list(ann, ImageQuery())[0]} == {kept, other.id}
    assert images.find(ann, "folder/a.png", made[0][0].sha256) == images.get(ann, kept)
    images.delete(ann, kept)
    again, new = images.add(ann, image(ann, "folder/a.png"))
    assert new
    assert again.id != kept


def test_images_and_slides_share_the_quota(store: Store, ann: Access) -> None:
    store.slide(ann)  # of 10 bytes
    images = ImageStore(store.database, quota_bytes=25)
    add(images, ann, "a.png")
    with pytest.raises(TooLargeError, match="10 bytes are more than the 5 left"):
        add(images, ann, "b.png")
    elsewhere = store.access("other")
    add(images, elsewhere, "b.png")
    (first,) = images.list(ann, ImageQuery())[0]
    images.delete(ann, first.image.id)
    add(images, ann, "b.png")


def test_lists_are_sorted_and_divided(
    images: ImageStore,
    labels: LabelStore,
    jobs: ImageJobStore,
    questions: QuestionStore,
    ann: Access,
    ben: Access,
) -> None:
    found = add(images, ann, "unsure", "sure", "look", "bad", "late", "Sure too")
    job = submit(jobs, ann, found[:5])
    said = {"unsure": (0.4, False), "sure": (0.1, False), "look": (0.3, True), "bad": None}
    for name in (*said, "late"):
        for question in questions.claim("w", 1):
            assert question.facts["name"] == name, "in the order of the job"
            told = said.get(name, (0, False))
            if name == "late":
                questions.release([question])
            elif told is None:
                questions.fail(question, PROBLEM)
            else:
                questions.answer(question, {}, doubt=told[0], review=told[1])
    labels.write(ben, found[1].id, "x")

    def names(limit: int = 10, offset: int = 0, **wanted: Any) -> list[str]:
        query = ImageQuery(**{"job_id": job.id, "model_sha256": MODEL_SHA256, **wanted})
        listed, total = images.list(ann, query, limit=limit, offset=offset)
        assert total >= len(listed)
        return [one.image.name for one in listed]

    assert names(sort=Sort.DOUBT) == ["look", "unsure", "sure", "bad", "late"]
    assert names(sort=Sort.DOUBT, limit=2, offset=1) == ["unsure", "sure"]
    assert names(sort=Sort.NAME) == ["bad", "late", "look", "sure", "unsure"]
    assert names(sort=Sort.NEWEST) == ["late", "bad", "look", "sure", "unsure"]
    assert names(only=Only.REVIEW) == ["look"]
    assert names(only=Only.FAILED) == ["bad"]
    assert names(only=Only.LABELLED) == ["sure"]
    assert names(search="SURE", sort=Sort.NEWEST) == ["sure", "unsure"]
    assert names(search="sure", job_id=None) in (
        ["Sure too", "sure", "unsure"],
        ["sure", "Sure too", "unsure"],
    )
    assert names(only=Only.REVIEW, model_sha256="b" * 64) == []
    listed = images.list(ann, ImageQuery(job.id, MODEL_SHA256))[0]
    states = {one.image.name: one.question and one.question.state for one in listed}
    assert states["bad"] is QuestionState.FAILED
    assert states["late"] is QuestionState.QUEUED
    assert all(one.question is None for one in images.list(ann, ImageQuery())[0])
    assert images.answered(ann, found[0].id, MODEL_SHA256).question is not None
    assert images.answered(ann, found[0].id, "b" * 64).question is None


def test_a_job_is_made_once_and_counts(
    store: Store, images: ImageStore, jobs: ImageJobStore, questions: QuestionStore, ann: Access
) -> None:
    found = add(images, ann, "a", "b", "c", "d")
    job = submit(jobs, ann, found, "key")
    assert (job.total, job.answered, job.state) == (4, 0, ImageJobState.RUNNING)
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda _: submit(jobs, ann, found, "key").id, range(4)))
    assert again == [job.id] * 4
    with pytest.raises(KeyReusedError):
        submit(jobs, ann, found[1:], "key")
    answer(questions, {"a": (0.2, True), "b": None})
    job = jobs.get(ann, job.id)
    assert (job.total, job.answered, job.failed, job.review) == (4, 3, 1, 1)
    assert job.state is ImageJobState.FINISHED
    with pytest.raises(ConflictError, match="finished"):
        jobs.cancel(ann, job.id)
    other = submit(jobs, ann, found)
    assert (other.answered, other.failed) == (3, 0), "what failed is asked anew"
    assert other.state is ImageJobState.RUNNING
    assert [one.id for one in jobs.list(ann)[0]] == [other.id, job.id]
    images.delete(ann, found[1].id)
    assert jobs.get(ann, other.id).state is ImageJobState.FINISHED
    assert jobs.get(ann, other.id).total == 3
    with pytest.raises(NotThereError, match=found[1].id):
        submit(jobs, ann, found)
    lines = [action for action, _ in audited(store)]
    assert lines.count("images.job.create") == 2


def test_cancelling_spares_what_another_job_waits_for(
    store: Store, images: ImageStore, jobs: ImageJobStore, questions: QuestionStore, ann: Access
) -> None:
    found = add(images, ann, "a", "b", "c")
    first, second = submit(jobs, ann, found[:2]), submit(jobs, ann, found[1:])
    assert jobs.cancel(ann, first.id).state is ImageJobState.CANCELLED
    assert jobs.cancel(ann, first.id).state is ImageJobState.CANCELLED
    assert [one.facts["name"] for one in questions.claim("w", 100)] == ["b", "c"]
    assert ("images.job.cancel", first.id) in audited(store)
    assert jobs.get(ann, second.id).state is ImageJobState.RUNNING
    # Asked anew by another job, it is answered.
    third = submit(jobs, ann, found[:1])
    assert [one.facts["name"] for one in questions.claim("w", 100)] == ["a"]
    assert jobs.get(ann, third.id).state is ImageJobState.RUNNING


def test_a_deleted_image_leaves_nothing(
    store: Store,
    images: ImageStore,
    labels: LabelStore,
    jobs: ImageJobStore,
    questions: QuestionStore,
    ann: Access,
) -> None:
    (found,) = add(images, ann, "a")
    submit(jobs, ann, [found])
    labels.write(ann, found.id, "x")
    answer(questions, {})
    asked = found.question("explain", "model", MODEL_SHA256)
    facts = (asked.kind, asked.subject, asked.facts, asked.model, asked.model_sha256)
    questions.ask(ann, *facts, urgent=True)
    (explain,) = questions.claim("w", 1)
    questions.answer(explain, {}, picture="answers/x.jpg")
    waste = images.delete(ann, found.id)
    at = found.location
    assert set(waste) == {at, thumbnail_key(at), display_key(at), "answers/x.jpg"}
    assert images.list(ann, ImageQuery()) == ([], 0)
    assert labels.table(ann, By.EVERYONE) == []
    for call in (images.get, images.delete, labels.remove):
        with pytest.raises(NotThereError):
            call(ann, found.id)
    with pytest.raises(NotThereError):
        labels.write(ann, found.id, "x")
    assert audited(store)[-1] == ("image.delete", found.id)
    audit.verify_chain(store.database)


def test_labels_are_each_users_own(
    store: Store, images: ImageStore, labels: LabelStore, ann: Access, ben: Access
) -> None:
    found = add(images, ann, "a", "b", "c")
    a, b, c = (one.id for one in found)
    labels.write(ann, a, "x")
    labels.write(ann, a, "x")
    labels.write(ben, a, "y")
    labels.write(ann, a, "µ, «y»")
    labels.write(ann, b, "x")
    labels.write(ben, b, "x")
    labels.write(ben, c, "y")
    labels.remove(ben, c)
    labels.remove(ben, c)
    given = labels.of_images([a, b, c])
    assert {one.key_id: one.label for one in given[a]} == {
        ann.key_id: "µ, «y»",
        ben.key_id: "y",
    }
    assert c not in given
    assert [(row.name, row.agreed) for row in labels.table(ann, By.EVERYONE)] == [
        ("a", None),
        ("b", "x"),
    ]
    mine = labels.table(ann, By.ME)
    assert [(row.name, row.agreed) for row in mine] == [("a", "µ, «y»"), ("b", "x")]
    assert [action for action, _ in audited(store)].count("image.label") == 7
    audit.verify_chain(store.database)


def test_another_workspace_has_none_of_it(
    store: Store, images: ImageStore, labels: LabelStore, jobs: ImageJobStore, ann: Access
) -> None:
    (found,) = add(images, ann, "a")
    job = submit(jobs, ann, [found])
    labels.write(ann, found.id, "x")
    other = store.access("other")
    assert images.list(other, ImageQuery(job.id, MODEL_SHA256)) == ([], 0)
    assert images.find(other, "a", found.sha256) is None
    assert jobs.list(other) == ([], 0)
    assert labels.table(other, By.EVERYONE, job.id) == []
    for call in (
        lambda: images.get(other, found.id),
        lambda: images.answered(other, found.id, MODEL_SHA256),
        lambda: images.delete(other, found.id),
        lambda: labels.write(other, found.id, "y"),
        lambda: jobs.get(other, job.id),
        lambda: jobs.cancel(other, job.id),
        lambda: submit(jobs, other, [found]),
    ):
        with pytest.raises(NotThereError):
            call()
    assert found.question(CLASSIFY, "m", MODEL_SHA256).subject == found.id
