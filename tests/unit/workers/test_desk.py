"""Queries from beginning to end, in this process: what is told, and what is stored beside it."""

import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from workers.desk import Desk
from workers.messages import Answered, Message, Query, QueryItem, Unanswered, WorkerSetup
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.images.collection import read_collection
from wsi_pipeline.images.run import ImageSettings, run_images
from wsi_pipeline.model import loaded
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.service.image_files import display_key, image_key, thumbnail_key
from wsi_pipeline.service.jobs.submission import fingerprint_of
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.storage import Storage, open_storage
from wsi_pipeline.testing import FakePredictor
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR


class Place:
    """A desk, its storage and what it told."""

    def __init__(self, folder: Path, package: ModelPackage) -> None:
        self.folder, self.package = folder, package
        (folder / "models").mkdir()
        (folder / "models" / "stub").symlink_to(package.folder)
        self.settings = ServiceSettings(
            data_dir=folder / "data",
            models_dir=folder / "models",
            cache_dir=folder / "cache",
            device="cpu",
        )
        self.told: list[Message] = []
        self.storage: Storage = open_storage(self.settings.storage_url)
        self.desk = Desk(WorkerSetup.of(self.settings), self.told.append)

    def add(self, name: str, content: bytes) -> QueryItem:
        sha256 = hashlib.sha256(content).hexdigest()
        location = image_key(sha256, hashlib.sha256(name.encode()).hexdigest()[:32])
        path = self.folder / "upload"
        path.write_bytes(content)
        self.storage.put_file(location, path)
        facts = {"location": location, "sha256": sha256, "name": name, "coverage": 0.9}
        return QueryItem(hashlib.md5(name.encode()).hexdigest(), facts, f"answers/{name}.jpg")

    def ask(self, kind: str, *items: QueryItem, **other: Any) -> dict[str, Message]:
        self.told.clear()
        sha256 = other.get("sha256", self.package.sha256)
        self.desk.answer(Query(kind, "stub", sha256, items))
        assert [one.question_id for one in self.told] == [one.question_id for one in items]  # type: ignore[union-attr]  # of questions only
        return {item.facts["name"]: one for item, one in zip(items, self.told, strict=True)}


@pytest.fixture
def place(
    tmp_path: Path, stub_package: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    monkeypatch.setattr(loaded.LOADED, "_predictors", {})
    monkeypatch.setattr(loaded, "load_predictor", lambda *_, **__: FakePredictor(patch_px=64))
    yield Place(tmp_path, stub_package)
    for predictor in loaded.LOADED._predictors.values():
        predictor.close()


def drawn(red: float, side: int = 64) -> NDArray[np.uint8]:
    """A picture of which so much is tumour, from the left."""
    image = np.full((side, side, 3), NORMAL_COLOUR, np.uint8)
    image[:, : round(red * side)] = TUMOUR_COLOUR
    return image


def encoded(image: NDArray[Any], kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    if kind == "TIFF":
        tifffile.imwrite(buffer, image)
    else:
        Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


def unanswered(message: Message) -> Unanswered:
    assert isinstance(message, Unanswered)
    return message


def test_the_answers_are_those_of_wsi_classify(place: Place, tmp_path: Path) -> None:
    shares = {"a.png": 0.9, "b/c.png": 0.25, "d.png": 0.55}
    folder = tmp_path / "images"
    for name, share in shares.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(drawn(share)))
    items = [place.add(name, encoded(drawn(share))) for name, share in shares.items()]
    found = place.ask("classify", *items)
    run_images(
        read_collection(folder),
        tmp_path / "out",
        place.package,
        RuntimeRequest("cpu", "fp32", tmp_path),
        ImageSettings(),
        _Silent(),
    )
    for row in pq.read_table(tmp_path / "out" / "images.parquet").to_pylist():
        told = found[str(Path(row["image"]).relative_to(folder))]
        assert isinstance(told, Answered)
        for name, value in told.answer["probabilities"].items():
            assert row[f"p_{name}"] == value
        assert told.answer["called"] == row["predicted"]
        assert told.called == ", ".join(row["predicted"])
        assert (told.answer["set"], told.review) == (row["set"], row["review"])
        assert told.doubt == pytest.approx(1 - max(told.answer["probabilities"].values()))


class _Silent:
    def stage(self, name: str, total: int) -> None: ...
    def advanced(self, parts: int) -> None: ...
    def failed(self, error: str) -> None: ...


def test_bad_images_cost_themselves_only(place: Place) -> None:
    good = place.add("good.png", encoded(drawn(1.0)))
    text = place.add("ward 7/text.bmp", b"no image")
    gone = place.add("gone.png", encoded(drawn(0.5)))
    place.storage.delete(gone.facts["location"])
    damaged = place.add("damaged.png", encoded(drawn(0.4)))
    (place.folder / "upload").write_bytes(encoded(drawn(0.3)))
    place.storage.put_file(damaged.facts["location"], place.folder / "upload")
    found = place.ask("classify", text, good, gone, damaged)
    answered = found["good.png"]
    assert isinstance(answered, Answered)
    assert answered.answer["called"] == ["tumour"]
    problems = {name: unanswered(found[name]) for name in found if name != "good.png"}
    assert all(one.final and one.problem["status"] == 422 for one in problems.values())
    assert {name: one.problem["detail"] for name, one in problems.items()} == {
        "ward 7/text.bmp": "ward 7/text.bmp: is no PNG, JPEG, BMP, TIFF or WebP image, whatever "
        "its name ends in",
        "gone.png": "gone.png: is no longer in the storage",
        "damaged.png": "damaged.png: its stored bytes are damaged; delete it and upload it again",
    }


def test_browsers_get_small_pictures_of_every_kind_of_image(place: Place) -> None:
    wide = np.repeat(drawn(0.5, 700).astype(np.uint16) * 257, 3, axis=1)
    items = [
        place.add("wide.tif", encoded(wide, "TIFF")),
        place.add("tiny.png", encoded(drawn(0.5, 20))),
    ]
    place.ask("classify", *items)
    sizes = []
    for item in items:
        for key in (thumbnail_key(item.facts["location"]), display_key(item.facts["location"])):
            with Image.open(io.BytesIO(place.storage.read(key))) as image:
                assert image.format == "JPEG"
                sizes.append(image.size)
    assert sizes == [(256, 85), (1024, 341), (20, 20), (20, 20)]
    assert list((place.settings.work_dir / "answers").iterdir()) == []


def test_another_package_than_was_meant_is_noticed(place: Place) -> None:
    item = place.add("a.png", encoded(drawn(1.0)))
    (told,) = place.ask("classify", item, sha256="0" * 64).values()
    assert unanswered(told).problem["type"] == "/problems/model-package"
    assert "another one here" in unanswered(told).problem["detail"]


def test_a_worker_without_captum_says_what_to_install(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("wsi_pipeline.images.expl")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    (told,) = place.ask("explain", place.add("a.png", encoded(drawn(1.0)))).values()
    problem = unanswered(told).problem
    assert problem["status"] == 422
    assert "captum" in problem["detail"]
    assert "pip install 'wsi-pipeline[images]'" in problem["detail"]


def test_a_linked_slide_is_not_named(place: Place, tmp_path: Path) -> None:
    facts = {
        "slide_location": f"file:{tmp_path / 'Miller.tiff'}",
        "slide_sha256": "0" * 64,
        "config": {},
        "fingerprint": fingerprint_of(place.package, AnalysisSettings()),
        "column": 0,
        "row": 0,
        "class": "tumour",
        "name": "tile",
    }
    for content in (None, b"no slide"):
        if content:
            (tmp_path / "Miller.tiff").write_bytes(content)
        (told,) = place.ask("why", QueryItem("1", facts, "answers/1.jpg")).values()
        problem = unanswered(told).problem
        assert problem["type"] == "/problems/damaged-slide"
        assert "Miller" not in problem["detail"]
    (told,) = place.ask("why", QueryItem("1", {**facts, "class": "bone"}, "answers/1")).values()
    assert unanswered(told).problem["detail"] == (
        "the model has no class 'bone'; it has normal, tumour"
    )


def test_what_nobody_foresaw_is_tried_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    item = place.add("a.png", encoded(drawn(1.0)))
    monkeypatch.setattr(type(place.storage), "read", fail)
    (told,) = place.ask("classify", item).values()
    assert not unanswered(told).final
    assert unanswered(told).problem["detail"] == (
        "the worker could not continue: Input/output error"
    )


def test_queries_and_answers_survive_their_line(place: Place) -> None:
    query = Query("classify", "stub", "0" * 64, (place.add("µ\n.png", b"x"),))
    assert Query.parse(query.line()) == query
