"""Answers to questions about images without a model: what a worker leaves, in a moment."""

import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from PIL import Image
from service_support import Service

from wsi_pipeline.service.image_files import display_key, new_answer_key, thumbnail_key
from wsi_pipeline.service.question import Question
from wsi_pipeline.service.questions import QuestionStore
from wsi_pipeline.storage import Storage, open_storage

#: Probability of the first class of two.
Rule = Callable[[Question], float]


def png(colour: tuple[int, int, int] = (200, 80, 120), side: int = 8) -> bytes:
    """A small image."""
    return _encoded("PNG", colour, side)


def _encoded(kind: str, colour: tuple[int, int, int], side: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, kind)
    return file.getvalue()


def answer_for(first: float) -> dict[str, Any]:
    """An answer of two classes, as a worker gives it."""
    called = ["a" if first >= 0.5 else "b"]
    unsure = 0.3 < first < 0.7
    return {
        "width": 8,
        "height": 8,
        "warnings": [],
        "probabilities": {"a": first, "b": 1 - first},
        "called": called,
        "set": ["a", "b"] if unsure else called,
        "review": unsure,
        "reason": "may be a or b" if unsure else "",
        "coverage": 0.9,
    }


def answer_all(service: Service, rule: Rule = lambda _: 0.9, most: int = 10_000) -> int:
    """Answer what waits, at most so many; returns how many it was."""
    store = QuestionStore(service.database)
    storage = open_storage(service.settings.storage_url)
    answered = 0
    while answered < most and (claimed := store.claim("a worker", min(16, most - answered))):
        for question in claimed:
            _answer(store, storage, question, rule(question), service)
        answered += len(claimed)
    return answered


def explained(service: Service, http: httpx.Client, image_id: str, model: str) -> httpx.Response:
    """Ask for an image's explanation, and answer meanwhile all that is asked."""
    path, params = f"/v1/images/{image_id}/explanation", {"model": model}
    with ThreadPoolExecutor(1) as pool:
        while True:
            asking = pool.submit(http.get, path, params=params)
            while not asking.done():
                answer_all(service)
                time.sleep(0.02)
            if asking.result().status_code != 202:
                return asking.result()


def _answer(
    store: QuestionStore, storage: Storage, question: Question, first: float, service: Service
) -> None:
    picture = _encoded("JPEG", (10, 20, 30), 8)
    file = service.settings.data_dir / "picture.jpg"

    def put(key: str) -> str:
        file.write_bytes(picture)
        storage.put_file(key, file, move=True)
        return key

    if question.kind == "classify":
        for key_of in (thumbnail_key, display_key):
            put(key_of(question.facts["location"]))
        answer = answer_for(first)
        told: dict[str, Any] = {"doubt": min(first, 1 - first), "review": answer["review"]}
        assert store.answer(question, answer, called=answer["called"][0], **told)
    else:
        assert store.answer(question, {}, picture=put(new_answer_key(question.id)))
