"""Questions: short work that workers answer within seconds, beside their analyses.

The rules are those of jobs (:mod:`wsi_pipeline.service.jobs.queue`): a claim carries a fencing
token and a lease, and who lost either changes nothing. Questions are claimed several at a time,
because a model answers many images together; one that was lost with its worker or process is
claimed alone from then on, so that what ends the process costs itself only.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from wsi_pipeline.service.access import Access
from wsi_pipeline.service.asking import WAITING, changes, find_question, insert_questions
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.image_tables import questions
from wsi_pipeline.service.jobs.requests import NotThereError
from wsi_pipeline.service.question import Asked, Question, QuestionState

#: What questions that are claimed together have in common.
_TOGETHER = ("urgent", "kind", "model", "model_sha256")
#: Times a question may be lost before it is given up.
MAX_LOSSES = 3
#: How long a question waits for a worker that can answer it, before one says that it cannot, s.
OTHERS_SECONDS = 10.0
_LOST = {
    "type": "/problems/worker-lost",
    "title": "The workers that answered this question stopped",
    "status": 500,
    "detail": f"{MAX_LOSSES} times the process that answered it stopped without a message; the "
    "file may be damaged or malicious, or the memory too small",
}


class QuestionStore:
    """Questions, for those who ask and for those who answer.

    Args:
        database: Holds them.
        lease_seconds: How long a claim is good without being renewed.
    """

    def __init__(self, database: Database, lease_seconds: float = 30.0) -> None:
        self._database = database
        self._lease_seconds = lease_seconds

    def ask(
        self,
        access: Access,
        kind: str,
        subject: str,
        facts: dict[str, Any],
        model: str,
        model_sha256: str,
        *,
        urgent: bool,
    ) -> Question:
        """Ask; the same question again is the one that is there.

        One that failed or was cancelled is asked anew. With ``urgent`` somebody waits for it: a
        waiting question becomes urgent, too. The other arguments are those of
        :class:`~wsi_pipeline.service.question.Asked`.
        """
        asked = Asked(kind, subject, facts, model, model_sha256)
        with self._database.read() as connection:
            found = find_question(connection, access, asked)
        if found is not None and not changes(found, urgent=urgent):
            return found  # who asks again and again writes nothing
        with self._database.write() as connection:
            insert_questions(connection, access, [asked], urgent=urgent)
            found = find_question(connection, access, asked)
            assert found is not None  # it has just been asked
            return found

    def get(self, access: Access, question_id: str) -> Question:
        """One of the workspace's.

        Raises:
            NotThereError: there is none of this id.
        """
        mine = (questions.c.workspace_id == access.workspace_id) & (questions.c.id == question_id)
        with self._database.read() as connection:
            row = connection.execute(sa.select(questions).where(mine)).mappings().first()
        if row is None:
            raise NotThereError(f"there is no question {question_id}")
        return Question.of(row)

    def claim(
        self, worker_id: str, limit: int, *, last_resort: Collection[str] = ()
    ) -> list[Question]:
        """The next questions, now this worker's, all of one kind and model; none if none waits.

        Urgent ones come first, then those that were never lost, then the oldest.

        Args:
            worker_id: Who claims.
            limit: How many at most; one that was lost before comes alone.
            last_resort: Kinds that are left to other workers for :data:`OTHERS_SECONDS`.
        """
        if not self.is_any_due():
            return []  # idle workers write nothing
        with self._database.write() as connection:
            self._reclaim(connection)
            ids = _next(connection, limit, last_resort)
            changed = (
                questions.update()
                .where(questions.c.id.in_(ids))
                .values(
                    state=QuestionState.RUNNING,
                    fence=questions.c.fence + 1,
                    worker_id=worker_id,
                    lease_until=now() + self._lease_seconds,
                )
                .returning(questions)
            )
            rows = connection.execute(changed).mappings().all() if ids else []
        return [Question.of(row) for row in sorted(rows, key=lambda row: ids.index(row["id"]))]

    def renew(self, held: Sequence[Question]) -> list[Question]:
        """Extend the leases; returns those that are still held."""
        with self._database.write() as connection:
            kept = _update(connection, held, lease_until=now() + self._lease_seconds)
        return [question for question in held if question.id in kept]

    def answer(
        self,
        question: Question,
        answer: dict[str, Any],
        *,
        picture: str | None = None,
        doubt: float | None = None,
        review: bool | None = None,
        called: str | None = None,
    ) -> bool:
        """Publish an answer; returns whether the lease still held.

        Args:
            question: As claimed.
            answer: As the API gives it.
            picture: Key in storage of the picture that is the answer.
            doubt: 1 - the largest probability.
            review: Whether a person has to look again.
            called: What it is called.
        """
        return self._finish(
            question,
            state=QuestionState.ANSWERED,
            answer=answer,
            picture=picture,
            doubt=doubt,
            review=review,
            called=called,
        )

    def fail(self, question: Question, problem: dict[str, Any]) -> bool:
        """End a question without an answer; returns whether the lease still held."""
        return self._finish(question, state=QuestionState.FAILED, problem=problem)

    def release(self, held: Sequence[Question]) -> None:
        """Give questions back untouched."""
        with self._database.write() as connection:
            _update(connection, held, **WAITING)

    def lose(self, held: Sequence[Question], problem: dict[str, Any]) -> None:
        """Give back questions whose process ended without a word, or give them up.

        Args:
            held: As claimed.
            problem: Why they are given up, those that were lost too often.
        """
        with self._database.write() as connection:
            kept = _update(connection, held, **WAITING, losses=questions.c.losses + 1)
            _give_up(connection, kept, problem)

    def is_any_due(self) -> bool:
        """Whether a question waits, or its worker is gone."""
        due = questions.c.state == QuestionState.QUEUED
        with self._database.read() as connection:
            wanted = sa.select(questions.c.id).where(sa.or_(due, _expired())).limit(1)
            return connection.execute(wanted).first() is not None

    def _finish(self, question: Question, **values: Any) -> bool:
        over = {"worker_id": None, "lease_until": None, "finished_at": now()}
        with self._database.write() as connection:
            return bool(_update(connection, [question], **over, **values))

    def _reclaim(self, connection: sa.Connection) -> None:
        """Put questions whose worker is gone back into the queue, or give them up."""
        lost = sa.select(questions.c.id).where(_expired()).with_for_update(skip_locked=True)
        ids = connection.execute(lost).scalars().all()
        if not ids:
            return
        again = questions.update().where(questions.c.id.in_(ids))
        connection.execute(again.values(**WAITING, losses=questions.c.losses + 1))
        _give_up(connection, ids, _LOST)


def _next(connection: sa.Connection, limit: int, last_resort: Collection[str]) -> list[str]:
    """Ids of the questions whose turn it is."""
    order = (
        questions.c.urgent.desc(),
        questions.c.losses,
        questions.c.created_at,
        questions.c.id,
    )
    waiting = sa.select(questions).where(questions.c.state == QuestionState.QUEUED)
    if last_resort:
        late = questions.c.created_at < now() - OTHERS_SECONDS
        waiting = waiting.where(questions.c.kind.not_in(last_resort) | late)
    waiting = waiting.order_by(*order).with_for_update(skip_locked=True)
    first = connection.execute(waiting.limit(1)).mappings().first()
    if first is None:
        return []
    ids = [str(first["id"])]
    if first["losses"] == 0 and limit > 1:
        alike = [questions.c[name] == first[name] for name in _TOGETHER]
        others = waiting.where(*alike, questions.c.losses == 0, questions.c.id != first["id"])
        rows = connection.execute(others.limit(limit - 1)).mappings()
        ids += [str(row["id"]) for row in rows]
    return ids


def _update(connection: sa.Connection, held: Sequence[Question], **values: Any) -> set[str]:
    """Change those whose claim is still good; returns their ids."""
    claims = [(question.id, question.fence) for question in held]
    changed = (
        questions.update()
        .where(
            sa.tuple_(questions.c.id, questions.c.fence).in_(claims),
            questions.c.state == QuestionState.RUNNING,
            questions.c.lease_until >= now(),
        )
        .values(**values)
        .returning(questions.c.id)
    )
    return set(connection.execute(changed).scalars())


def _give_up(connection: sa.Connection, ids: Iterable[str], problem: dict[str, Any]) -> None:
    """Fail those that were lost too often."""
    too_often = questions.update().where(
        questions.c.id.in_(list(ids)), questions.c.losses >= MAX_LOSSES
    )
    ended = {"state": QuestionState.FAILED, "problem": problem, "finished_at": now()}
    connection.execute(too_often.values(**ended))


def _expired() -> sa.ColumnElement[bool]:
    return (questions.c.state == QuestionState.RUNNING) & (questions.c.lease_until < now())
