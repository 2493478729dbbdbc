"""Waiting for workers to answer a question, without holding a thread meanwhile."""

import asyncio
import time
from typing import Any

from starlette.concurrency import run_in_threadpool

from api.dependencies import Services
from api.problems import ApiError, Kind
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.question import Question, QuestionState

#: Longest time to wait where the client does not say, s.
WAIT_SECONDS = 20.0
#: Between two looks into the database, s.
_LOOK_SECONDS = 0.06
#: When to ask again for an answer that was not ready in time, s.
RETRY_SECONDS = 1


async def wait_for_answer(
    services: Services, access: Access, question: Question, seconds: float | None = None
) -> Question:
    """The question once it is answered; as it stands when the time is over.

    Args:
        services: The application's.
        access: Who asked.
        question: As it was asked.
        seconds: Longest time to wait, None for :data:`WAIT_SECONDS`; less while the server stops.

    Raises:
        ApiError: it failed, with the problem that the worker told.
        NotThereError: what it is about was deleted meanwhile.
    """
    deadline = time.monotonic() + (WAIT_SECONDS if seconds is None else seconds)
    while not question.state.is_final and not services.stopping.is_set():
        left = deadline - time.monotonic()
        if left <= 0:
            break
        await asyncio.sleep(min(left, _LOOK_SECONDS))
        question = await run_in_threadpool(services.questions.get, access, question.id)
    if question.state is QuestionState.FAILED:
        raise error_of(question.problem or {})
    return question


def error_of(problem: dict[str, Any]) -> ApiError:
    """A problem detail that was kept, as the error it tells of."""
    slug = str(problem.get("type", "")).rpartition("/")[2] or "internal"
    kind = Kind(int(problem.get("status", 500)), slug, str(problem.get("title", "")))
    return ApiError(kind, str(problem.get("detail", "")))
