"""Asking questions, cancelling and forgetting them, in a transaction of the caller's."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from wsi_pipeline.service.access import Access
from wsi_pipeline.service.database import now
from wsi_pipeline.service.image_tables import questions
from wsi_pipeline.service.question import Asked, Question, QuestionState
from wsi_pipeline.service.tables import jobs, new_id

#: Rows of one statement: SQLite takes 32,766 values.
CHUNK = 500
#: Between questions asked together, s: they keep their order.
_APART_SECONDS = 1e-6
#: Columns that, with the workspace's, make a question the same.
_SAME = (questions.c.kind, questions.c.subject, questions.c.model_sha256)
#: Of a question that waits.
WAITING: dict[str, Any] = {
    "state": QuestionState.QUEUED,
    "worker_id": None,
    "lease_until": None,
}


def insert_questions(
    connection: sa.Connection, access: Access, wanted: Sequence[Asked], *, urgent: bool = False
) -> list[str]:
    """Ask many questions.

    Those that are there already stay as they are; failed and cancelled ones are asked anew.

    Returns:
        The ids, in the order of the questions.
    """
    at: float = connection.execute(sa.select(now())).scalar_one()
    rows = [
        {
            "id": new_id(),
            "workspace_id": access.workspace_id,
            "kind": asked.kind,
            "subject": asked.subject,
            "facts": asked.facts,
            "model": asked.model,
            "model_sha256": asked.model_sha256,
            "urgent": urgent,
            "state": QuestionState.QUEUED,
            "created_at": at + _APART_SECONDS * index,
        }
        for index, asked in enumerate(wanted)
    ]
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    same = ["workspace_id", *(column.name for column in _SAME)]
    once = insert(questions).on_conflict_do_nothing(index_elements=same)
    # In one order, so that two who ask the same at once do not wait for each other.
    rows.sort(key=lambda row: tuple(str(row[name]) for name in same))
    for start in range(0, len(rows), CHUNK):
        connection.execute(once, rows[start : start + CHUNK])
    found = _found(connection, access, wanted)
    for key, asked in {_key(asked): asked for asked in wanted}.items():
        question = found[key]
        if changes(question, urgent=urgent):
            _ask_again(connection, question, asked, urgent=urgent)
    return [found[_key(asked)].id for asked in wanted]


def cancel_questions(connection: sa.Connection, ids: Sequence[str]) -> int:
    """Cancel those that wait, but for urgent ones; returns how many.

    An urgent one somebody waits for by itself; and what is being answered ends within seconds.
    """
    count = 0
    for start in range(0, len(ids), CHUNK):
        ended = questions.update().where(
            questions.c.id.in_(ids[start : start + CHUNK]),
            questions.c.state == QuestionState.QUEUED,
            questions.c.urgent.is_(False),
        )
        values = {"state": QuestionState.CANCELLED, "finished_at": now()}
        count += connection.execute(ended.values(**values)).rowcount
    return count


def forget_questions(connection: sa.Connection, access: Access, subject: str) -> list[str]:
    """Remove all questions about an image that is being deleted.

    Returns:
        Keys of the pictures that answered them, to be removed from storage.
    """
    about = (questions.c.workspace_id == access.workspace_id) & (questions.c.subject == subject)
    gone = questions.delete().where(about).returning(questions.c.picture)
    return [key for key in connection.execute(gone).scalars() if key is not None]


def forget_tiles(connection: sa.Connection, slide_id: str) -> None:
    """Remove all questions about tiles of a slide that is being deleted.

    ``wsi gc`` removes the pictures that answered them.
    """
    its_jobs = sa.select(jobs.c.id).where(jobs.c.slide_id == slide_id)
    about = (questions.c.kind == "why") & job_of_subject().in_(its_jobs)
    connection.execute(questions.delete().where(about))


def job_of_subject() -> sa.ColumnElement[str]:
    """Id of the job that a question ``why`` is about."""
    return sa.func.substr(questions.c.subject, 1, 32)


def find_question(connection: sa.Connection, access: Access, asked: Asked) -> Question | None:
    """The question, if it was asked before."""
    return _found(connection, access, [asked]).get(_key(asked))


def changes(found: Question, *, urgent: bool) -> bool:
    """Whether asking again changes a question."""
    over = found.state in (QuestionState.FAILED, QuestionState.CANCELLED)
    return over or (urgent and not found.urgent and found.state is QuestionState.QUEUED)


def _found(
    connection: sa.Connection, access: Access, wanted: Sequence[Asked]
) -> dict[tuple[str, str, str], Question]:
    keys = sorted({_key(asked) for asked in wanted})
    found: dict[tuple[str, str, str], Question] = {}
    for start in range(0, len(keys), CHUNK):
        these = sa.select(questions).where(
            questions.c.workspace_id == access.workspace_id,
            sa.tuple_(*_SAME).in_(keys[start : start + CHUNK]),
        )
        for row in connection.execute(these).mappings():
            question = Question.of(row)
            found[question.kind, question.subject, question.model_sha256] = question
    return found


def _ask_again(connection: sa.Connection, found: Question, asked: Asked, *, urgent: bool) -> None:
    # Somebody may be asking the same at this moment: only what was found so is changed.
    unchanged = (questions.c.id == found.id) & (questions.c.state == found.state)
    values: dict[str, Any] = {"urgent": urgent or found.urgent}
    if found.state.is_final:
        values = {**WAITING, "urgent": urgent, "facts": asked.facts, "model": asked.model}
        values |= {"losses": 0, "problem": sa.null(), "created_at": now(), "finished_at": None}
    connection.execute(questions.update().where(unchanged).values(**values))


def _key(asked: Asked) -> tuple[str, str, str]:
    return asked.kind, asked.subject, asked.model_sha256
