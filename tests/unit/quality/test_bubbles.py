"""Long thin lines without colour are rims, and what a closed one holds is the bubble."""

import numpy as np
from numpy.typing import NDArray
from quality_support import TISSUE, through, tissue, view_of

from wsi_pipeline.quality.bubbles import find_bubbles

NO_INK = np.zeros((300, 300), np.bool_)


def dark_where(line: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Tissue under a line, ``line`` px away from its middle."""
    light = 1 - 0.6 * np.exp(-((line / 4) ** 2))
    return through(tissue(TISSUE["lymphocytes"]), light[..., None])


def test_a_bubble_is_found_with_its_inside() -> None:
    rows, columns = np.indices((300, 300))
    distance = np.hypot(rows - 150, columns - 150)
    found = find_bubbles(view_of(dark_where(distance - 90)), NO_INK)
    assert found[distance < 90].mean() > 0.95
    assert found[distance > 115].mean() < 0.01


def test_the_edge_of_a_cover_slip_is_found() -> None:
    rows, columns = np.indices((300, 300))
    away = (columns - 150 + 0.1 * rows).astype(np.float64)
    found = find_bubbles(view_of(dark_where(away)), NO_INK)
    assert found[np.abs(away) < 3].mean() > 0.9
    assert found[np.abs(away) > 20].mean() < 0.01


def test_a_short_fibre_and_the_edge_of_ink_are_no_rims() -> None:
    rows, columns = np.indices((300, 300))
    away = np.hypot(np.maximum(0, np.abs(rows - 150) - 20), columns - 150)
    assert not find_bubbles(view_of(dark_where(away)), NO_INK).any()
    line = (columns - 150).astype(np.float64)
    assert not find_bubbles(view_of(dark_where(line)), np.abs(line) < 8).any()


def test_tissue_has_no_rims() -> None:
    for colour in TISSUE.values():
        assert not find_bubbles(view_of(tissue(colour)), NO_INK).any()
