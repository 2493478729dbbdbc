"""Questions answered by real worker processes, beside analyses, through kills and crashes."""

import hashlib
import io
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image
from workers_support import MODEL, Crew, WorkerProcess, crew, draw_slide

from wsi_pipeline.images.classification import classify
from wsi_pipeline.images.collection import LabelledImage
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.service.asking import insert_questions
from wsi_pipeline.service.image_files import image_key, thumbnail_key
from wsi_pipeline.service.jobs.job import JobState
from wsi_pipeline.service.question import Asked, Question, QuestionState
from wsi_pipeline.service.questions import QuestionStore
from wsi_pipeline.service.tables import new_id

ROOT = Path(__file__).parents[2]
#: Many seconds of work.
LONG: dict[str, Any] = {"stride": 12, "precision": "fp32"}


@dataclass
class Asking:
    """A service and images to ask about."""

    service: Crew
    names: dict[str, str]

    @property
    def store(self) -> QuestionStore:
        return QuestionStore(self.service.database)

    def asked(self, path: Path, kind: str = "classify") -> Asked:
        """About a file, which is put into storage."""
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        image_id = self.names.setdefault(path.name, new_id())
        location = image_key(sha256, image_id)
        self.service.storage.put_file(location, path)
        facts = {"location": location, "sha256": sha256, "name": path.name}
        return Asked(kind, image_id, facts, MODEL, self.service.package.sha256)

    def ask(self, *wanted: Asked, urgent: bool = False) -> list[str]:
        access = self.service.access
        with self.service.database.write() as connection:
            return insert_questions(connection, access, wanted, urgent=urgent)

    def states(self, ids: list[str]) -> list[Question]:
        return [self.store.get(self.service.access, question_id) for question_id in ids]

    def wait(
        self, ids: list[str], count: int | None = None, seconds: float = 240
    ) -> list[Question]:
        """Until so many of them are over, or all."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.states(ids)
            over = sum(question.state.is_final for question in found)
            if over >= (len(ids) if count is None else count):
                return found
            assert time.monotonic() < deadline, [one.lines() for one in self.service.started]
            time.sleep(0.05)


@pytest.fixture
def asking(package: ModelPackage, model_cache: Path) -> Iterator[Asking]:
    with crew(package, model_cache) as service:
        yield Asking(service, {})


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(4)
    paths = []
    for index in range(48):
        path = folder / f"{index:02d}.png"
        Image.fromarray(_picture(rng)).save(path)
        paths.append(path)
    return paths


def _picture(rng: np.random.Generator) -> NDArray[np.uint8]:
    low = rng.integers(40, 220, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(low).resize((96, 96), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def expected(
    package: ModelPackage, model_cache: Path, images: list[Path]
) -> dict[str, tuple[float, ...]]:
    """What ``wsi classify`` says, by the name of the image."""
    predictor = load_predictor(package, RuntimeRequest("cpu", "fp32", model_cache), threshold=0.5)
    try:
        outcomes = list(
            classify([LabelledImage(path) for path in images], predictor, package.description)
        )
    finally:
        predictor.close()
    return {
        one.image.path.name: one.answer.probabilities for one in outcomes if one.answer is not None
    }


def probabilities(question: Question) -> tuple[float, ...]:
    assert question.answer is not None, question.problem
    return tuple(question.answer["probabilities"].values())


def child(worker: WorkerProcess) -> psutil.Process:
    """Its answering process."""
    (found,) = [one for one in worker.children() if "workers.answering" in one.cmdline()]
    return found


@pytest.mark.slow
def test_questions_are_answered_beside_an_analysis(
    asking: Asking, images: list[Path], expected: dict[str, tuple[float, ...]], tmp_path: Path
) -> None:
    service = asking.service
    (job,) = service.submit([service.add(draw_slide(tmp_path / "a.tiff", 1))], **LONG)
    worker = service.start()
    service.wait([job], until=lambda one: one.stage == "classifying")
    wanted = asking.asked(images[0])
    drawn = Asked("explain", wanted.subject, wanted.facts, wanted.model, wanted.model_sha256)
    (first,) = asking.wait(asking.ask(wanted, urgent=True))
    assert probabilities(first) == expected["00.png"]
    assert service.storage.stat(thumbnail_key(wanted.facts["location"])) is not None
    (again,) = asking.wait(asking.ask(asking.asked(images[1]), urgent=True))
    assert probabilities(again) == expected["01.png"]
    (found,) = service.states([job])
    assert found.state is JobState.RUNNING, "the test needs a longer analysis"
    (picture,) = asking.wait(asking.ask(drawn, urgent=True))
    assert picture.picture is not None, picture.problem
    with Image.open(io.BytesIO(service.storage.read(picture.picture))) as image:
        assert image.size == (2 * 96 + 8, 96)
    service.succeeded([job])
    assert worker.stop() == 0
    assert service.enlisted() == []


@pytest.mark.slow
def test_answers_survive_kills_of_the_process_and_of_the_worker(
    asking: Asking, images: list[Path], expected: dict[str, tuple[float, ...]]
) -> None:
    ids = asking.ask(*(asking.asked(path) for path in images))
    first = asking.service.start()
    asking.wait(ids, 3)
    victim = child(first)
    victim.send_signal(signal.SIGKILL)
    asking.wait(ids, 20)
    children = first.children()
    first.kill()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == [], "no process outlives its worker"
    before = [one for one in asking.states(ids) if one.state is QuestionState.ANSWERED]
    second = asking.service.start()
    found = asking.wait(ids)
    assert [one.state for one in found] == [QuestionState.ANSWERED] * len(ids)
    assert [probabilities(one) for one in found] == [expected[path.name] for path in images]
    later = {one.id: one for one in found}
    assert all(later[one.id] == one for one in before), "what was answered stays"
    assert second.stop() == 0


CRASHING = """
import ctypes, sys
if "workers.answering" in sys.orig_argv:
    from wsi_pipeline.images import reading
    decode = reading.decode_picture
    def crash(content, name):
        if name.name == "hostile.png":
            ctypes.string_at(0)
        return decode(content, name)
    reading.decode_picture = crash
"""


@pytest.mark.slow
def test_an_image_that_kills_the_process_costs_itself_only(
    package: ModelPackage, model_cache: Path, images: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(CRASHING)
    hostile = tmp_path / "hostile.png"
    hostile.write_bytes(images[9].read_bytes())
    # What is tested comes from here, also before Python knows of the working folder.
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    with crew(package, model_cache, extra={"PYTHONPATH": path}) as service:
        asking = Asking(service, {})
        ids = asking.ask(*(asking.asked(path) for path in [*images[:3], hostile, *images[3:6]]))
        worker = service.start()
        found = asking.wait(ids)
        bad = found.pop(3)
        assert {one.state for one in found} == {QuestionState.ANSWERED}
        assert bad.state is QuestionState.FAILED
        assert bad.problem is not None
        assert bad.problem["type"] == "/problems/crashed"
        assert "SIGSEGV" in bad.problem["detail"]
        assert worker.process.poll() is None, "the worker itself goes on"
        assert "in crash" in worker.lines(), "the log says where"
        assert "hostile" not in worker.lines(), "but not of whom"
