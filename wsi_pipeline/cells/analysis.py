"""What is done with one field: find, classify, measure."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.cells.classical import resampled
from wsi_pipeline.cells.classification import MARGIN, CellClassifier
from wsi_pipeline.cells.drawing import draw_measured
from wsi_pipeline.cells.fields import CellRecord, Field, FieldRecord
from wsi_pipeline.cells.finder import Box, Finder
from wsi_pipeline.cells.measurements import measure
from wsi_pipeline.cells.stains import separate
from wsi_pipeline.cells.white_cells import AzureSettings
from wsi_pipeline.images.picture import Picture

#: Diameter that a red cell is resampled to for measurements, at most, px: fine enough for lobes.
_MEASURED_SIDE = 80.0
_BLUR, _STAINED = 1.0, 0.5


class Analysis:
    """Finds, classifies and measures the cells of fields.

    Args:
        finder: Finds them.
        classifier: Classifies white cells; None: they are found only.
        model: What identifies the model, as plain values; None without one.
        measured: Whether white cells are measured.

    Attributes:
        finder: As given.
        model: As given.
        measured: As given.
    """

    def __init__(
        self,
        finder: Finder,
        classifier: CellClassifier | None = None,
        model: dict[str, Any] | None = None,
        *,
        measured: bool = False,
    ) -> None:
        self.finder = finder
        self.model = model
        self.measured = measured
        self._classifier = classifier

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the model; empty without one."""
        return () if self.model is None else tuple(self.model["classes"])

    @property
    def key(self) -> dict[str, Any]:
        """Everything that decides the answers, as plain values."""
        return {
            "finder": self.finder.description,
            "model": self.model,
            "margin": MARGIN,
            "measured": self.measured,
        }

    def __call__(
        self, field: Field, picture: Picture
    ) -> tuple[FieldRecord, dict[int, Image.Image]]:
        """Analyse one field.

        Returns:
            What is known of it, and its measured cells drawn, by number.
        """
        pixels = picture.pixels
        found = self.finder.find(pixels)
        cells = [
            CellRecord(number, one.kind, one.box, one.cut)
            for number, one in enumerate(found.cells, start=1)
        ]
        whites = [index for index, one in enumerate(cells) if one.kind == "WBC"]
        if self._classifier is not None:
            answers = self._classifier(pixels, [cells[index].box for index in whites])
            for index, answer in zip(whites, answers, strict=True):
                cells[index] = replace(
                    cells[index],
                    label=answer.verdict.called[0],
                    probabilities=answer.probabilities,
                    members=answer.verdict.members,
                )
        drawn = {}
        if self.measured and whites:
            drawn = _measure(pixels, cells, whites, found.red_cell_px)
        record = FieldRecord(
            str(field.path),
            field.name,
            picture.width,
            picture.height,
            found.red_cell_px,
            tuple(cells),
            (*picture.warnings, *found.warnings),
        )
        return record, drawn


def _measure(
    pixels: NDArray[np.uint8], cells: list[CellRecord], whites: list[int], red_cell_px: float
) -> dict[int, Image.Image]:
    """Measure white cells in place; their pictures by number."""
    scale = min(1.0, _MEASURED_SIDE / red_cell_px)
    fine = resampled(pixels, scale)
    stains = separate(fine, _BLUR, _STAINED)
    drawn: dict[int, Image.Image] = {}
    if stains is None:
        return drawn
    for index in whites:
        box = cells[index].box
        scaled = Box(box.xmin * scale, box.ymin * scale, box.xmax * scale, box.ymax * scale)
        shape = measure(stains, scaled, red_cell_px * scale, AzureSettings())
        if shape is not None:
            cells[index] = replace(cells[index], shape=shape.values)
            drawn[cells[index].number] = draw_measured(fine, shape)
    return drawn
