"""Densities add up, and each stain is told by its own colour."""

import numpy as np
import pytest

from wsi_pipeline.cells.stains import separate
from wsi_pipeline.testing.smears import DrawnCell, draw_smear


@pytest.mark.parametrize("strength", [1.0, 0.7])
def test_azure_is_in_nuclei_and_not_in_red_cells(strength: float) -> None:
    cells = [DrawnCell("WBC", 60, 60, 80, lobes=1), DrawnCell("RBC", 160, 60, 60)]
    image = draw_smear([*cells, DrawnCell("RBC", 160, 140, 60)], (220, 180))
    # The same field under a weaker, yellowish lamp.
    image = np.asarray(image * strength * np.array([1.0, 0.97, 0.85]), np.uint8)
    stains = separate(image, 0.7, 0.5)
    assert stains is not None
    assert stains.azure[60, 60] > 0.8
    assert abs(stains.azure[60, 140]) < 0.2  # in the red cell, outside its pale middle
    assert stains.density[60, 140] == pytest.approx(1, abs=0.3)
    assert stains.violet[60, 60 + 35] > 0.1  # cytoplasm
    assert abs(stains.violet[60, 140]) < 0.1
    assert stains.stained[60, 60]
    assert not stains.stained[10, 200]


def test_a_field_without_stain_has_none() -> None:
    assert separate(np.full((40, 40, 3), 200, np.uint8), 0.7, 0.5) is None
