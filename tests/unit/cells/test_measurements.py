"""Shapes of drawn cells are measured as they were drawn."""

import numpy as np
import pytest

from wsi_pipeline.cells.drawing import SHAPE_COLOURS, draw_measured
from wsi_pipeline.cells.finder import Box
from wsi_pipeline.cells.measurements import MeasuredCell, mean_areas, measure
from wsi_pipeline.cells.stains import separate
from wsi_pipeline.cells.white_cells import AzureSettings
from wsi_pipeline.testing.slides import Pixels
from wsi_pipeline.testing.smears import DrawnCell, draw_smear

SIZE = (360, 240)
RED = 80.0


def measured(lobes: int, holes: int = 0) -> tuple[Pixels, MeasuredCell]:
    white = DrawnCell("WBC", 110, 120, 130, lobes, holes)
    image = draw_smear(
        [white, DrawnCell("RBC", 290, 60, RED), DrawnCell("RBC", 290, 170, RED)], SIZE
    )
    stains = separate(image, 1.0, 0.5)
    assert stains is not None
    found = measure(stains, Box(*white.box(SIZE)), RED, AzureSettings())
    assert found is not None
    return image, found


def test_a_round_nucleus() -> None:
    _, found = measured(lobes=1)
    values = found.values
    assert values["lobes"] == 1
    assert values["clefts"] == values["holes"] == 0
    assert values["nucleus_solidity"] > 0.95
    assert values["nucleus_share"] == pytest.approx(0.36**2 / 0.5**2, rel=0.2)
    assert values["area_red_cells"] == pytest.approx((130 / RED) ** 2, rel=0.2)


def test_a_bow_of_three_lobes_has_a_cleft() -> None:
    _, found = measured(lobes=3)
    assert found.values["lobes"] == 3
    assert found.values["clefts"] >= 1
    assert found.values["nucleus_solidity"] < 0.85


def test_pale_holes_are_counted_and_drawn() -> None:
    image, found = measured(lobes=1, holes=2)
    assert found.values["holes"] == 2
    assert 0 < found.values["holes_share"] < 0.1
    drawn = np.asarray(draw_measured(image, found))
    for name in ("cell", "nucleus", "holes"):
        assert (drawn == SHAPE_COLOURS[name]).all(axis=2).any(), name


def test_a_box_without_a_nucleus_is_not_measured() -> None:
    image = draw_smear([DrawnCell("RBC", 60, 60, RED)], (200, 120))
    stains = separate(image, 1.0, 0.5)
    assert stains is not None
    assert measure(stains, Box(20, 20, 100, 100), RED, AzureSettings()) is None


def test_means_are_of_three_cells_at_least() -> None:
    cells = [("x", 1.0), ("x", 2.0), ("x", 3.0), ("y", 5.0), ("y", 6.0)]
    assert mean_areas(cells) == {"x": 2.0}
