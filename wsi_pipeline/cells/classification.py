"""White cells cut out of their field and given to a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.cells.finder import Box
from wsi_pipeline.errors import PackageError
from wsi_pipeline.images.classification import check_answers_classes, intake_of
from wsi_pipeline.images.conformal import of_all_classes
from wsi_pipeline.images.verdict import Verdict
from wsi_pipeline.model.description import ModelDescription
from wsi_pipeline.model.predictor import Predictor, predict_all

#: Share of the longer side of a cell's box that is added on each side of the cut-out.
MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class CellAnswer:
    """What a model says of one cell.

    Attributes:
        verdict: What a person is told: the class, the prediction set.
        probabilities: Of all classes in their order.
    """

    verdict: Verdict
    probabilities: tuple[float, ...]


def check(description: ModelDescription) -> None:
    """Refuse a model that gives no cell one class.

    Raises:
        PackageError: it answers with maps, or with any number of classes.
    """
    check_answers_classes(description, description.name)
    if description.task == "multilabel":
        raise PackageError(
            description.name,
            "gives a cell any number of classes at once, so that no differential can be "
            "counted; choose a package whose classes exclude one another",
        )


class CellClassifier:
    """Classifies the white cells of a field.

    Args:
        predictor: The loaded model.
        description: Of the model.
        judge: Decides what is told of each cell, as of an image.

    Raises:
        PackageError: the model does not answer with one class for an image.
    """

    def __init__(
        self,
        predictor: Predictor,
        description: ModelDescription,
        judge: Callable[[Sequence[float]], Verdict],
    ) -> None:
        check(description)
        self._predictor = predictor
        self._description = description
        self._judge = judge

    def __call__(self, pixels: NDArray[np.uint8], boxes: Sequence[Box]) -> list[CellAnswer]:
        """What the model says of each cell.

        Args:
            pixels: Of the field, ``(height, width, 3)`` RGB.
            boxes: Of the cells, in px of the field.
        """
        if not boxes:
            return []
        classes, intake = self._description.classification, intake_of(self._description)
        side = self._predictor.patch_px
        fill = intake.fit.fill
        patches = np.stack([intake(cut_out(pixels, box, fill), side).pixels for box in boxes])
        answers = predict_all(self._predictor, patches)
        wide = of_all_classes(classes, answers)
        return [
            CellAnswer(self._judge(row), tuple(round(float(value), 6) for value in row))
            for row in wide.tolist()
        ]


def cut_out(pixels: NDArray[np.uint8], box: Box, fill: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A square around a cell, the cell in its middle, ``(side, side, 3)``.

    Args:
        pixels: Of the field, ``(height, width, 3)`` RGB.
        box: Of the cell, in px of the field.
        fill: Colour of what lies outside the field.
    """
    side = max(1, round(max(box.width, box.height) * (1 + 2 * MARGIN)))
    left = round((box.xmin + box.xmax - side) / 2)
    top = round((box.ymin + box.ymax - side) / 2)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = fill
    height, width = pixels.shape[:2]
    rows = slice(max(top, 0), min(top + side, height))
    columns = slice(max(left, 0), min(left + side, width))
    square[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = pixels[
        rows, columns
    ]
    return square
