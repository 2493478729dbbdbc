"""What the probability of a tile rests on: asked over HTTP, drawn as a worker draws it."""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray
from PIL import Image
from service_support import Service, running, settings_in

from api import waiting
from workers.desk import Desk
from workers.messages import Answered, Message, Query, QueryItem, Unanswered, WorkerSetup
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.export.findings import find
from wsi_pipeline.model.loaded import LOADED
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.run.work import Work
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.image_files import new_answer_key
from wsi_pipeline.service.image_tables import questions
from wsi_pipeline.service.jobs.queue import JobQueue
from wsi_pipeline.service.questions import QuestionStore
from wsi_pipeline.slide import open_slide
from wsi_pipeline.storage import open_storage
from wsi_pipeline.testing import write_pyramid
from wsi_pipeline.testing.kinds import KINDS_MPP, KINDS_PATCH_PX, draw_kinds
from wsi_pipeline.tiles.patches import read_input


@dataclass(frozen=True)
class Analysed:
    """A service with a finished job, and what was given to the model."""

    service: Service
    package: ModelPackage
    slide_id: str
    job_id: str
    waiting_id: str
    tiles: dict[tuple[int, int], NDArray[np.uint8]]
    glass: tuple[int, int]
    size: tuple[int, int]

    def ask(self, **query: object) -> httpx.Response:
        with self.service.client() as http:
            return http.get(f"/v1/jobs/{self.job_id}/why", params=query)  # type: ignore[arg-type]  # numbers and texts


@pytest.fixture(scope="module")
def analysed(
    tmp_path_factory: pytest.TempPathFactory, kinds_package: ModelPackage
) -> Iterator[Analysed]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "models").mkdir()
    (folder / "models" / "kinds").symlink_to(kinds_package.folder)
    slide = np.full((6 * KINDS_PATCH_PX, 7 * KINDS_PATCH_PX, 3), 243, np.uint8)
    tissue, _ = draw_kinds(4, 4, seed=3)
    slide[: tissue.shape[0], : tissue.shape[1]] = tissue
    write_pyramid(folder / "a.tiff", slide, mpp=KINDS_MPP)
    with running(settings_in(folder, requests_per_minute=0)) as service:
        with service.client() as http:
            made = http.put("/v1/slides?name=a.tiff", content=(folder / "a.tiff").read_bytes())
            slide_id = made.raise_for_status().json()["id"]
            order = {"slide_id": slide_id, "model": "kinds", "precision": "fp32"}
            job_id = http.post("/v1/jobs", json=order).raise_for_status().json()["id"]
        queue = JobQueue(service.database, lease_seconds=3600)
        deadline = time.monotonic() + 60
        while (claim := queue.claim("worker")) is None:
            assert time.monotonic() < deadline, "the slide was not accepted"
            time.sleep(0.1)
        config = AnalysisSettings.model_validate(claim.job.config)
        prepared = prepare(folder / "a.tiff", kinds_package, config)
        with connect(None, 1) as scheduler:
            request = RuntimeRequest("cpu", "fp32", folder / "cache", runtime="torch")
            work = Work(kinds_package, config, request, scheduler)
            result = analyse_slide(prepared, folder / "a.zarr", work)
        location = f"results/{claim.job.id}/mask.zarr"
        open_storage(service.settings.storage_url).put_tree(location, result.path)
        assert queue.succeed(claim, location, find(result).to_json())[0]
        with service.client() as http:
            again = http.post("/v1/jobs", json={**order, "threshold": 0.7})
        reader, grid = open_slide(folder / "a.tiff"), prepared.plan.grid
        tiles = {
            (int(column), int(row)): read_input(reader, grid, int(column), int(row))
            for column, row in prepared.plan.cells
        }
        reader.close()
        size = (grid.size.width, grid.size.height)
        glass = (size[0] - 1, size[1] - 1)
        assert glass not in tiles
        waiting_id = again.raise_for_status().json()["id"]
        yield Analysed(service, kinds_package, slide_id, job_id, waiting_id, tiles, glass, size)
    for predictor in LOADED._predictors.values():
        predictor.close()
    LOADED._predictors.clear()


@contextmanager
def answering(service: Service) -> Iterator[None]:
    """A worker's second lane, without a process of its own."""
    told: list[Message] = []
    desk = Desk(WorkerSetup.of(service.settings), told.append)
    store, stop = QuestionStore(service.database), threading.Event()

    def work() -> None:
        while not stop.is_set():
            for question in store.claim("w1", 1):
                key = new_answer_key(question.id)
                item = QueryItem(question.id, question.facts, key)
                desk.answer(Query(question.kind, question.model, question.model_sha256, (item,)))
                message = told.pop()
                if isinstance(message, Answered):
                    store.answer(question, message.answer, picture=key)
                else:
                    assert isinstance(message, Unanswered)
                    store.fail(question, message.problem)
            stop.wait(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_the_picture_shows_the_px_that_the_model_was_given(
    analysed: Analysed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (column, row), pixels = list(analysed.tiles.items())[5]
    names = analysed.package.classes.names
    with answering(analysed.service):
        answers = [analysed.ask(column=column, row=row, **{"class": name}) for name in names[:2]]
    assert {answer.status_code for answer in answers} == {200}, answers[0].text
    assert answers[0].headers["content-type"] == "image/jpeg"
    drawn = np.asarray(Image.open(io.BytesIO(answers[0].content)).convert("RGB"), np.float64)
    side = KINDS_PATCH_PX
    assert drawn.shape == (side, 2 * side + 8, 3)
    # JPEG at quality 90; another tile differs by tens.
    assert np.abs(drawn[:, :side] - pixels).mean() < 4
    others = [other for place, other in analysed.tiles.items() if place != (column, row)]
    assert min(np.abs(drawn[:, :side] - other).mean() for other in others) > 8
    assert answers[0].content != answers[1].content, "another class rests on other px"
    # What was answered once needs no worker any more.
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 0.0)
    again = analysed.ask(column=column, row=row, **{"class": names[0]})
    assert (again.status_code, again.content) == (200, answers[0].content)


def test_without_a_worker_the_client_is_told_to_ask_again(
    analysed: Analysed, monkeypatch: pytest.MonkeyPatch
) -> None:
    column, row = next(iter(analysed.tiles))
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 0.2)
    answer = analysed.ask(column=column, row=row)
    assert (answer.status_code, answer.content) == (202, b"")
    assert int(answer.headers["retry-after"]) >= 1
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 20.0)
    with answering(analysed.service):
        assert analysed.ask(column=column, row=row).status_code == 200


def test_what_cannot_be_explained(analysed: Analysed) -> None:
    column, row = next(iter(analysed.tiles))
    width, height = analysed.size
    for query, detail in (
        ({"column": width, "row": 0}, f"there is no tile ({width}, 0): the grid has"),
        ({"column": 0, "row": height}, f"there is no tile (0, {height})"),
        ({"column": analysed.glass[0], "row": analysed.glass[1]}, "was not classified"),
        ({"column": column, "row": row, "class": "bone"}, "bone"),
        ({"column": column}, "row"),
    ):
        answer = analysed.ask(**query)
        assert answer.status_code == 422, answer.text
        assert detail in answer.json()["detail"]
    with analysed.service.client() as http:
        path = f"/v1/jobs/{analysed.waiting_id}/why?column=0&row=0"
        assert http.get(path).status_code == 409
    with analysed.service.client(analysed.service.key("others", Scope.ADMIN)) as http:
        assert http.get(f"/v1/jobs/{analysed.job_id}/why?column=0&row=0").status_code == 404


def test_a_failure_of_the_worker_is_told(analysed: Analysed) -> None:
    """The package was replaced since the analysis."""
    column, row = list(analysed.tiles)[-1]
    models = analysed.service.settings.models_dir
    (models / "kinds").rename(models / "away")
    try:
        with answering(analysed.service):
            answer = analysed.ask(column=column, row=row)
    finally:
        (models / "away").rename(models / "kinds")
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/model-package"
    assert answer.json()["detail"] == "no model of this name is installed"


def test_a_deleted_slide_cannot_be_shown(analysed: Analysed) -> None:
    """The last test: the slide is gone then."""
    with analysed.service.client() as http:
        http.post(f"/v1/jobs/{analysed.waiting_id}/cancel").raise_for_status()
        gone = http.delete(f"/v1/slides/{analysed.slide_id}")
        assert gone.status_code == 204, gone.text
    column, row = list(analysed.tiles)[-1]
    answer = analysed.ask(column=column, row=row)
    assert answer.status_code == 410, answer.text
    with analysed.service.database.read() as connection:
        assert connection.execute(sa.select(questions.c.id)).all() == [], "nor what was drawn"
