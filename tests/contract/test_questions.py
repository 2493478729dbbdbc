"""Questions to workers keep the promises of the job store, on SQLite and on PostgreSQL."""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
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
from jobs_support import MODEL_SHA256, PROBLEM, Store, digest

from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.asking import cancel_questions, forget_questions, insert_questions
from wsi_pipeline.service.database import now
from wsi_pipeline.service.garbage import Garbage
from wsi_pipeline.service.image_files import (
    display_key,
    image_key,
    new_answer_key,
    thumbnail_key,
)
from wsi_pipeline.service.image_tables import images, questions
from wsi_pipeline.service.jobs.requests import NotThereError
from wsi_pipeline.service.question import Asked, Question, QuestionState
from wsi_pipeline.service.questions import MAX_LOSSES, OTHERS_SECONDS, QuestionStore
from wsi_pipeline.service.tables import new_id
from wsi_pipeline.storage import open_storage


class Questions(QuestionStore):
    """The questions of a store, with ways to let leases end."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.database, lease_seconds=30)
        self.store = store

    def of(self, access: Access, subject: str, *, urgent: bool = False, **other: str) -> Question:
        kind, sha256 = other.get("kind", "classify"), other.get("model_sha256", MODEL_SHA256)
        return self.ask(access, kind, subject, {"of": subject}, "model", sha256, urgent=urgent)

    def one(self, worker: str = "w1") -> Question:
        (question,) = self.claim(worker, 1)
        return question

    def now(self, question: Question) -> Question:
        found = self.find(question)
        assert found is not None
        return found

    def find(self, question: Question) -> Question | None:
        with self.store.database.read() as connection:
            wanted = sa.select(questions).where(questions.c.id == question.id)
            row = connection.execute(wanted).mappings().first()
            return None if row is None else Question.of(row)

    def rows(self) -> list[sa.RowMapping]:
        with self.store.database.read() as connection:
            return list(connection.execute(sa.select(questions)).mappings())

    def let_lease_end(self, question: Question) -> None:
        running = (questions.c.id == question.id) & (questions.c.state == "running")
        self.store.change(questions.update().where(running).values(lease_until=1))

    def ask_many(self, access: Access, subjects: list[str]) -> list[str]:
        wanted = [Asked("classify", one, {"of": one}, "model", MODEL_SHA256) for one in subjects]
        with self.store.database.write() as connection:
            return insert_questions(connection, access, wanted)

    def cancel(self, ids: list[str]) -> int:
        with self.store.database.write() as connection:
            return cancel_questions(connection, ids)


@pytest.fixture
def asked(store: Store) -> Questions:
    return Questions(store)


@pytest.fixture
def lab(store: Store) -> Access:
    return store.access()


# -- asking


def test_the_same_question_is_asked_once(asked: Questions, store: Store, lab: Access) -> None:
    first = asked.of(lab, "image")
    assert asked.of(lab, "image") == first
    assert asked.of(lab, "image", urgent=True).id == first.id
    assert asked.now(first).urgent
    assert asked.of(lab, "image").urgent, "what is urgent stays so"
    assert asked.answer(asked.one(), {"a": 1}, doubt=0.25, review=True, called="a")
    again = asked.of(lab, "image", urgent=True)
    assert (again.id, again.state, again.answer) == (first.id, QuestionState.ANSWERED, {"a": 1})
    assert (again.doubt, again.review, again.called) == (0.25, True, "a")
    others = [
        asked.of(lab, "image", kind="explain"),
        asked.of(lab, "image", model_sha256="b" * 64),
        asked.of(lab, "other"),
        asked.of(store.access("elsewhere"), "image"),
    ]
    assert len({first.id, *(other.id for other in others)}) == 5


def test_what_failed_is_asked_anew(asked: Questions, lab: Access) -> None:
    question = asked.of(lab, "image", urgent=True)
    assert asked.fail(asked.one(), PROBLEM)
    assert asked.get(lab, question.id).problem == PROBLEM
    again = asked.of(lab, "image")
    assert again.id == question.id
    assert (again.state, again.problem, again.urgent) == (QuestionState.QUEUED, None, False)
    assert asked.one().fence == 2


def test_many_are_asked_at_once(asked: Questions, lab: Access) -> None:
    subjects = [f"image {number}" for number in range(700)]
    there = asked.of(lab, "image 650")
    ids = asked.ask_many(lab, [*subjects, "image 0"])
    assert ids[650] == there.id
    assert ids[-1] == ids[0]
    assert len(set(ids)) == 700
    assert asked.ask_many(lab, subjects) == ids[:-1]
    order = [question.subject for question in asked.claim("w1", 100)]
    assert order == ["image 650", *subjects[:99]]
    with ThreadPoolExecutor(4) as pool:  # the same by several, in other orders
        orders = [subjects, subjects[::-1], subjects[300:] + subjects[:300], subjects]
        made = list(pool.map(lambda one: asked.ask_many(lab, [*one, "new"]), orders))
    assert len({many[-1] for many in made}) == 1


def test_another_workspace_sees_nothing(asked: Questions, store: Store, lab: Access) -> None:
    question = asked.of(lab, "image")
    with pytest.raises(NotThereError):
        asked.get(store.access("elsewhere"), question.id)


# -- claiming


def test_urgent_ones_come_first_and_alike_ones_together(asked: Questions, lab: Access) -> None:
    asked.ask_many(lab, [f"image {number}" for number in range(5)])
    asked.of(lab, "image 1", kind="explain")
    asked.of(lab, "urgent", urgent=True)
    claimed = [asked.claim("w1", 3) for _ in range(4)]
    assert [[question.subject for question in each] for each in claimed] == [
        ["urgent"],
        ["image 0", "image 1", "image 2"],
        ["image 3", "image 4"],
        ["image 1"],
    ]
    assert asked.claim("w1", 3) == []
    assert all(question.worker_id == "w1" for question in claimed[1])
    assert [question.fence for question in claimed[1]] == [1, 1, 1]


@pytest.mark.parametrize("how", ["lease", "process"])
def test_what_was_lost_comes_alone_and_is_given_up_in_the_end(
    asked: Questions, lab: Access, how: str
) -> None:
    """So that one bad image costs its neighbours one more claim, and nothing else."""
    asked.ask_many(lab, ["hostile", "good 1", "good 2"])
    order = []
    while claimed := asked.claim("w1", 3):
        order.append([question.subject for question in claimed])
        lost = [question for question in claimed if "hostile" in order[-1]]
        if how == "process":
            asked.lose(lost, PROBLEM)
        for question in claimed:
            if how == "lease" and question in lost:
                asked.let_lease_end(question)
            elif question not in lost:
                assert asked.answer(question, {})
    assert order[0] == ["hostile", "good 1", "good 2"]
    assert sorted(order[1:]) == [["good 1"], ["good 2"], ["hostile"], ["hostile"]]
    states = {row["subject"]: Question.of(row) for row in asked.rows()}
    assert states["hostile"].state is QuestionState.FAILED
    assert states["hostile"].losses == MAX_LOSSES
    told = {"lease": "/problems/worker-lost", "process": PROBLEM["type"]}[how]
    assert (states["hostile"].problem or {})["type"] == told
    assert {states[name].state for name in ("good 1", "good 2")} == {QuestionState.ANSWERED}


def test_who_cannot_answer_leaves_it_to_others_for_a_while(asked: Questions, lab: Access) -> None:
    asked.of(lab, "image", kind="explain", urgent=True)
    other = asked.of(lab, "image")
    unable = {"last_resort": ("explain", "why")}
    assert [question.id for question in asked.claim("w1", 2, **unable)] == [other.id]
    assert asked.claim("w1", 2, **unable) == []
    earlier = questions.c.created_at - OTHERS_SECONDS - 1
    asked.store.change(questions.update().values(created_at=earlier))
    assert [question.kind for question in asked.claim("w1", 2, **unable)] == ["explain"]


def test_released_questions_count_no_loss(asked: Questions, lab: Access) -> None:
    asked.ask_many(lab, ["a", "b"])
    asked.release(asked.claim("w1", 2))
    assert [question.losses for question in asked.claim("w2", 2)] == [0, 0]


# -- leases and fences

Ending = Callable[[Questions, Question], bool]
ENDINGS: dict[str, Ending] = {
    "answer": lambda asked, question: asked.answer(question, {}, picture="answers/1/1.jpg"),
    "fail": lambda asked, question: asked.fail(question, PROBLEM),
    "release": lambda asked, question: _changed(asked, question, asked.release),
    "lose": lambda asked, question: _changed(
        asked, question, lambda held: asked.lose(held, PROBLEM)
    ),
    "renew": lambda asked, question: asked.renew([question]) == [question],
}


def _changed(asked: Questions, question: Question, call: Callable[[list[Question]], None]) -> bool:
    before = asked.find(question)
    call([question])
    return asked.find(question) != before


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("how", ["expired", "claimed again", "forgotten", "finished"])
def test_a_lost_lease_changes_nothing(asked: Questions, lab: Access, ending: str, how: str) -> None:
    asked.of(lab, "image")
    question = asked.one()
    if how == "finished":
        assert asked.answer(question, {"by": "the first"}, picture="answers/0/0.jpg")
    elif how == "forgotten":
        with asked.store.database.write() as connection:
            assert forget_questions(connection, lab, "image") == []
    else:
        asked.let_lease_end(question)
    if how == "claimed again":
        assert asked.one("w2").fence == question.fence + 1
    before = asked.find(question)
    assert not ENDINGS[ending](asked, question)
    assert asked.find(question) == before


def test_renewing_keeps_the_lease(asked: Questions, lab: Access) -> None:
    asked.ask_many(lab, ["a", "b"])
    kept, lost = asked.claim("w1", 2)
    asked.let_lease_end(lost)
    moved = questions.update().where(questions.c.id == kept.id)
    asked.store.change(moved.values(lease_until=questions.c.lease_until - 10))
    assert asked.renew([kept, lost]) == [kept]
    assert (asked.now(kept).lease_until or 0) >= (kept.lease_until or 0)


# -- cancelling and forgetting


def test_cancelling_ends_what_waits_and_nobody_waits_for(asked: Questions, lab: Access) -> None:
    ids = asked.ask_many(lab, ["running", "waiting", "urgent"])
    assert asked.one().subject == "running"
    asked.of(lab, "urgent", urgent=True)
    assert asked.cancel(ids) == 1
    states = [asked.get(lab, question_id).state for question_id in ids]
    assert states == [QuestionState.RUNNING, QuestionState.CANCELLED, QuestionState.QUEUED]


def test_forgetting_names_the_pictures(asked: Questions, lab: Access) -> None:
    for kind in ("classify", "explain"):
        asked.of(lab, "image", kind=kind)
    other = asked.of(lab, "other")
    for claimed in (asked.one(), asked.one()):
        picture = "answers/1/2.jpg" if claimed.kind == "explain" else None
        assert asked.answer(claimed, {}, picture=picture)
    with asked.store.database.write() as connection:
        assert forget_questions(connection, lab, "image") == ["answers/1/2.jpg"]
    assert [row["id"] for row in asked.rows()] == [other.id]


def test_questions_about_tiles_go_with_the_slide_or_the_job(
    asked: Questions, store: Store, lab: Access
) -> None:
    first, second, kept = (store.job(lab) for _ in range(3))
    ids = {
        job.id: asked.of(lab, f"{job.id}/1/2/tumour", kind="why").id
        for job in (first, second, kept)
    }
    for job in (first, second):
        store.requests.cancel(lab, job.id)
    store.slides.delete(lab, first.slide_id)
    store.requests.delete(lab, second.id)
    assert {row["id"] for row in asked.rows()} == {ids[second.id], ids[kept.id]}
    dry, wet = (Garbage(store.database, open_storage("/nowhere"), dry=dry) for dry in (True, False))
    assert [waste.name for waste in dry.questions()] == [ids[second.id]]
    assert [waste.name for waste in wet.questions()] == [ids[second.id]]
    assert list(wet.questions()) == []
    assert [row["id"] for row in asked.rows()] == [ids[kept.id]]


def add_image(store: Store, access: Access, image_id: str, state: str) -> None:
    values = {"id": image_id, "workspace_id": access.workspace_id, "name": "a.png", "state": state}
    values |= {"sha256": digest(image_id), "location": image_key(digest(image_id), image_id)}
    with store.database.write() as connection:
        connection.execute(images.insert().values(**values, size_bytes=2, created_at=now()))


def test_bytes_that_nobody_names_are_garbage(
    asked: Questions, store: Store, lab: Access, tmp_path: Path
) -> None:
    storage = open_storage(str(tmp_path / "store"))
    there, deleted, unknown = (new_id() for _ in range(3))
    for image_id, state in ((there, "ready"), (deleted, "deleted")):
        add_image(store, lab, image_id, state)
    asked.of(lab, there, kind="explain")
    question = asked.one()
    assert asked.answer(question, {}, picture=new_answer_key(question.id))
    picture = asked.now(question).picture
    assert picture is not None
    keep = {picture}
    waste = {new_answer_key(question.id), new_answer_key(new_id())}
    for image_id, keys in ((there, keep), (deleted, waste), (unknown, waste)):
        location = image_key(digest(image_id), image_id)
        keys |= {location, thumbnail_key(location), display_key(location)}
    for key in keep | waste:
        (tmp_path / "file").write_bytes(b"px")
        storage.put_file(key, tmp_path / "file")
    garbage = Garbage(store.database, storage, dry=False)
    garbage.check_belongs()
    assert [*garbage.image_bytes(), *garbage.answer_pictures()] == [], "they may be on their way"
    for path in (tmp_path / "store").rglob("*"):
        os.utime(path, (1, 1))
    removed = {one.name for one in (*garbage.image_bytes(), *garbage.answer_pictures())}
    assert removed == waste
    assert {file.key for file in storage.list("")} == keep
    store.change(images.delete())
    with pytest.raises(UsageError, match="images"):
        garbage.check_belongs()


# -- everything at once


class QuestionMachine(RuleBasedStateMachine):
    """Users and workers do what they like in any order; the store stays sound.

    Claims are kept for ever: only the newest of a running question whose lease has not ended may
    change anything.
    """

    claims: "Bundle[Question]" = Bundle("claims")

    def __init__(self, asked: Questions) -> None:
        super().__init__()
        self.asked = asked
        self.accesses: list[Access] = []
        self.fences: dict[str, int] = {}

    @initialize()
    def begin(self) -> None:
        self.asked.store.change(questions.delete())
        self.accesses = [self.asked.store.access(name) for name in ("one", "two")]

    @rule(
        who=st.integers(0, 1),
        subject=st.sampled_from("abc"),
        kind=st.sampled_from(["classify", "explain"]),
        urgent=st.booleans(),
    )
    def ask(self, who: int, subject: str, kind: str, urgent: bool) -> None:
        question = self.asked.of(self.accesses[who], subject, kind=kind, urgent=urgent)
        assert question.state not in (QuestionState.FAILED, QuestionState.CANCELLED)
        assert question.workspace_id == self.accesses[who].workspace_id

    @rule(target=claims, worker=st.sampled_from(["w1", "w2"]), limit=st.integers(1, 4))
    def claim(self, worker: str, limit: int) -> Any:
        claimed = self.asked.claim(worker, limit)
        assert len(claimed) <= limit
        assert len({(one.kind, one.urgent) for one in claimed}) <= 1
        assert len(claimed) <= 1 or not any(one.losses for one in claimed)
        for question in claimed:
            assert question.fence > self.fences.get(question.id, 0)
            self.fences[question.id] = question.fence
        return claimed[-1] if claimed else NOTHING

    @rule(question=claims, ending=st.sampled_from(sorted(ENDINGS)))
    def end(self, question: Question, ending: str) -> None:
        if question is NOTHING:
            return
        before = self.asked.find(question)
        held = (
            before is not None
            and before.state is QuestionState.RUNNING
            and before.fence == question.fence
            and (before.lease_until or 0) > 1000
        )
        assert ENDINGS[ending](self.asked, question) is held
        if not held:
            assert self.asked.find(question) == before

    @rule(question=claims)
    def let_lease_end(self, question: Question) -> None:
        if question is not NOTHING:
            self.asked.let_lease_end(question)

    @rule()
    def cancel(self) -> None:
        self.asked.cancel([row["id"] for row in self.asked.rows()])

    @rule(who=st.integers(0, 1), subject=st.sampled_from("abc"))
    def forget(self, who: int, subject: str) -> None:
        with self.asked.store.database.write() as connection:
            forget_questions(connection, self.accesses[who], subject)

    @invariant()
    def sound(self) -> None:
        for question in (Question.of(row) for row in self.asked.rows()):
            running = question.state is QuestionState.RUNNING
            assert (question.worker_id is not None) == running
            assert (question.lease_until is not None) == running
            assert (question.finished_at is not None) == question.state.is_final
            assert (question.problem is not None) == (question.state is QuestionState.FAILED)
            assert (question.answer is not None) == (question.state is QuestionState.ANSWERED)
            assert question.losses <= MAX_LOSSES


NOTHING: Any = object()


def test_any_order_of_events_leaves_the_questions_sound(asked: Questions) -> None:
    class Machine(QuestionMachine):
        def __init__(self) -> None:
            super().__init__(asked)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_question_is_claimed_twice(asked: Questions, lab: Access) -> None:
    ids = asked.ask_many(lab, [f"image {number}" for number in range(60)])

    def work(name: str) -> list[str]:
        taken: list[str] = []
        while claimed := asked.claim(name, 7):
            taken += [question.id for question in claimed]
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = list(itertools.chain(*pool.map(work, ["w1", "w2", "w3", "w4"])))
    assert sorted(taken) == sorted(ids)
