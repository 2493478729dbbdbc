"""The worker's second lane: has questions answered by a process of their own, beside analyses.

It computes nothing itself, as :mod:`workers.worker` does not. The process is started when the
first question comes; after a crash or a silence another one takes its place.
"""

import importlib.util
import logging
import random
import threading
import time
from typing import Any

import sqlalchemy as sa

from workers.messages import (
    Answered,
    Logged,
    Query,
    QueryItem,
    Ready,
    Unanswered,
    WorkerSetup,
)
from workers.process import ChildProcess, Ended
from wsi_pipeline.service import logs
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.image_files import new_answer_key
from wsi_pipeline.service.question import Question
from wsi_pipeline.service.questions import QuestionStore
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.service.tables import new_id
from wsi_pipeline.storage import Storage

log = logging.getLogger(__name__)

#: Questions answered together: enough for a model's batch, few enough for an urgent one to wait.
_TOGETHER = 16
#: Bounds of the time between two looks into an empty queue, seconds.
_IDLE_SECONDS = (0.06, 0.12)
#: How often what happened is looked at meanwhile, seconds.
_LOOK_SECONDS = 0.1
#: Longest the process may say nothing, seconds: it loads a model in less, also the first time.
_SILENT_SECONDS = 600.0
#: Wait after the process could not start, or the database could not be reached, seconds.
_TROUBLE_SECONDS = 5.0
#: What explanations need, beside an inference runtime.
_EXPLAINING = ("torch", "captum")
#: Kinds of questions that need it.
_EXPLAINED = ("explain", "why")


class Answerer:
    """Answers questions; :meth:`run` is its life.

    Args:
        settings: The service's.
        database: The service's.
        storage: The service's.
    """

    def __init__(self, settings: ServiceSettings, database: Database, storage: Storage) -> None:
        self._questions = QuestionStore(database, settings.lease_seconds)
        self._storage = storage
        self._child = ChildProcess("workers.answering", WorkerSetup.of(settings))
        self._ready = False
        self._renew_seconds = settings.lease_seconds / 3
        self._id = new_id()
        able = all(importlib.util.find_spec(name) is not None for name in _EXPLAINING)
        # Another worker may be able: this one only says in the end that none is.
        self._last_resort = () if able else _EXPLAINED

    def run(self, stop: threading.Event) -> None:
        """Answer until told to stop; what is being answered is then given back.

        The process dies with the thread that calls this.
        """
        with logs.bound(worker_id=self._id):
            try:
                while not stop.is_set():
                    try:
                        self._turn(stop)
                    except (sa.exc.SQLAlchemyError, OSError) as error:
                        self._drop()
                        log.warning("questions cannot be answered now", exc_info=error)
                        stop.wait(_TROUBLE_SECONDS)
            finally:
                self._drop()

    def _turn(self, stop: threading.Event) -> None:
        """Have the next questions answered, or wait a moment for some."""
        if not self._ready:
            if self._questions.is_any_due():
                self._get_ready(stop)
            else:
                stop.wait(random.uniform(*_IDLE_SECONDS))
            return
        claimed = self._questions.claim(self._id, _TOGETHER, last_resort=self._last_resort)
        if claimed:
            self._answer(claimed, stop)
        # Also told if the process dies meanwhile.
        elif isinstance(self._hear(random.uniform(*_IDLE_SECONDS)), Ended):
            self._ready = False

    def _get_ready(self, stop: threading.Event) -> None:
        """Start the process; no question is claimed for one that cannot start."""
        self._child.start()
        heard = self._hear(_LOOK_SECONDS)
        if isinstance(heard, Ready):
            self._ready = True
        elif isinstance(heard, Ended):
            log.error("the answering process cannot start", extra={"facts": {"how": heard.how}})
            stop.wait(_TROUBLE_SECONDS)

    def _answer(self, claimed: list[Question], stop: threading.Event) -> None:
        first, left = claimed[0], {question.id: question for question in claimed}
        pictures = {question.id: new_answer_key(question.id) for question in claimed}
        items = tuple(QueryItem(one.id, one.facts, pictures[one.id]) for one in claimed)
        self._child.ask(Query(first.kind, first.model, first.model_sha256, items))
        heard_at = renewed_at = time.monotonic()
        while left:
            if stop.is_set():
                self._drop()  # first of all nothing may be computed any more
                self._questions.release(list(left.values()))
                return
            at = time.monotonic()
            if at - renewed_at > self._renew_seconds:
                renewed_at = at
                left = {one.id: one for one in self._questions.renew(list(left.values()))}
                if not left:
                    self._drop()  # nobody waits for it any more
                    return
            heard = self._hear(_LOOK_SECONDS)
            if heard is None:
                if at - heard_at > _SILENT_SECONDS:
                    self._drop()
                    self._lose(left, f"it said nothing for {_SILENT_SECONDS / 60:g} minutes")
                    return
                continue
            heard_at = at
            match heard:
                case Answered():
                    self._publish(heard, left, pictures[heard.question_id])
                case Unanswered():
                    self._fail(heard, left)
                case Ended():
                    self._ready = False
                    facts = {"how": heard.how, "where": heard.where, "questions": len(left)}
                    log.error("the answering process crashed", extra={"facts": facts})
                    self._lose(left, f"it ended with {heard.how}")
                    return

    def _publish(self, told: Answered, left: dict[str, Question], picture: str) -> None:
        question = left.pop(told.question_id, None)
        held = question is not None and self._questions.answer(
            question,
            told.answer,
            picture=picture if told.drawn else None,
            doubt=told.doubt,
            review=told.review,
            called=told.called,
        )
        if not held and told.drawn:
            try:
                self._storage.delete(picture)
            except OSError as error:  # `wsi gc` will find it
                log.warning("an unpublished picture could not be removed", exc_info=error)

    def _fail(self, told: Unanswered, left: dict[str, Question]) -> None:
        question = left.pop(told.question_id, None)
        if question is None:
            return
        facts = {"kind": question.kind, "problem": told.problem["type"], "final": told.final}
        log.warning("question not answered", extra={"facts": facts})
        if told.final:
            self._questions.fail(question, told.problem)
        else:
            self._questions.lose([question], told.problem)

    def _lose(self, left: dict[str, Question], how: str) -> None:
        self._questions.lose(list(left.values()), _crashed(how))

    def _hear(self, seconds: float) -> Any:
        """What the process says, but what it only wants logged."""
        heard = self._child.hear(seconds)
        if isinstance(heard, Logged):
            log.log(heard.level, "%s", heard.message, extra={"facts": heard.facts})
            return None
        return heard

    def _drop(self) -> None:
        """Kill the process; the next question starts another."""
        self._child.kill()
        self._ready = False


def _crashed(how: str) -> dict[str, Any]:
    return {
        "type": "/problems/crashed",
        "title": "The process that answers questions crashed",
        "status": 500,
        "detail": f"the process that computed the answer failed three times; the last time {how}; "
        "the file may be damaged or malicious, or the memory too small",
    }
