"""Cut-outs of cells, and what is made of a model's answers."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.cells.classification import CellClassifier, cut_out
from wsi_pipeline.cells.finder import Box
from wsi_pipeline.errors import PackageError
from wsi_pipeline.images.verdict import Judge
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import PredictorBase, RuntimeInfo
from wsi_pipeline.testing import make_stub_package
from wsi_pipeline.testing.copies import copy_package
from wsi_pipeline.testing.models import describe_model

WHITE = (255, 255, 255)


class Reds(PredictorBase):
    """Answers with the shares of red, green and blue in the middle of a patch."""

    def __init__(self) -> None:
        super().__init__(2, 64, RuntimeInfo("none 1", "cpu", "fp32"))

    def submit(self, patches: NDArray[np.uint8]) -> "Future[NDArray[np.float32]]":
        middle = patches[:, 32, 32].astype(np.float32)
        future: Future[NDArray[np.float32]] = Future()
        future.set_result(middle / middle.sum(axis=1, keepdims=True))
        return future

    def each(self, patches: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return [self.submit(patches).result()]

    def close(self) -> None:
        """Nothing is held."""


def test_the_cell_is_in_the_middle_and_keeps_its_proportions() -> None:
    field = np.arange(100 * 80 * 3, dtype=np.uint32).reshape(80, 100, 3).astype(np.uint8)
    square = cut_out(field, Box(40, 30, 60, 40), WHITE)
    assert square.shape == (24, 24, 3)  # 20 px and a tenth on each side
    np.testing.assert_array_equal(square, field[23:47, 38:62])


def test_what_lies_outside_the_field_is_filled() -> None:
    field = np.zeros((50, 50, 3), np.uint8)
    square = cut_out(field, Box(40, 0, 50, 10), WHITE)
    assert square.shape == (12, 12, 3)
    assert (square[1:, :11] == 0).all()
    assert (square[0] == 255).all()
    assert (square[:, 11:] == 255).all()


def three_colours() -> tuple[NDArray[np.uint8], list[Box]]:
    field = np.full((40, 120, 3), 10, np.uint8)
    for index in range(3):
        field[:, 40 * index : 40 * index + 40, index] = 200
    return field, [Box(40 * i + 10, 10, 40 * i + 30, 30) for i in (2, 0, 1)]


def of_three(folder: Path, **fields: Any) -> ModelPackage:
    return make_stub_package(
        folder,
        function=lambda patches: np.full((len(patches), 3), 1 / 3, np.float32),
        task="multiclass",
        classes=["r", "g", "b"],
        positive="g",
        **fields,
    )


def test_every_cell_gets_its_class_and_set(tmp_path: Path) -> None:
    plain = of_three(tmp_path / "plain")
    # Of classes with a probability of at least 0.5.
    package = copy_package(plain, tmp_path / "sets", conformal=np.linspace(0, 0.5, 9))
    field, boxes = three_colours()
    answers = CellClassifier(Reds(), package.description, Judge(package, 0.9))(field, boxes)
    assert [one.verdict.called for one in answers] == [("b",), ("r",), ("g",)]
    assert [one.verdict.members for one in answers] == [("b",), ("r",), ("g",)]
    assert answers[0].probabilities == pytest.approx((10 / 220, 10 / 220, 200 / 220), abs=1e-5)
    without = CellClassifier(Reds(), plain.description, Judge(plain, 0.9))
    assert without(field, boxes)[0].verdict.members is None
    assert without(field, []) == []


def test_one_of_two_classes_is_called_from_the_threshold_on(tmp_path: Path) -> None:
    package = make_stub_package(tmp_path / "p", threshold={"value": 0.2, "chosen": "by hand"})

    class Share(Reds):
        def submit(self, patches: NDArray[np.uint8]) -> "Future[NDArray[np.float32]]":
            future: Future[NDArray[np.float32]] = Future()
            future.set_result(patches[:, 32, 32, 0].astype(np.float32) / np.float32(1000))
            return future

    field, boxes = three_colours()  # red is 10, 200 and 10 in them
    classifier = CellClassifier(Share(), package.description, Judge(package, 0.9))
    assert [one.verdict.called[0] for one in classifier(field, boxes)] == [
        "normal",
        "tumour",
        "normal",
    ]


def test_a_model_without_one_class_for_a_cell_is_refused(tmp_path: Path) -> None:
    package = of_three(tmp_path / "p")
    description = describe_model(64, task="multilabel")
    with pytest.raises(PackageError, match="no differential can be counted"):
        CellClassifier(Reds(), description, Judge(package, 0.9))
