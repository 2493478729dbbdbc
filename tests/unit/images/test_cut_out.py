"""The cell in the middle is kept and its background made white."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.images import read_picture
from wsi_pipeline.images.cut_out import cut_out
from wsi_pipeline.images.placement import place
from wsi_pipeline.model.input_description import ImageFit

BLOOD = Path(__file__).parents[4] / "shared" / "data" / "blood" / "wbc"
GROUND, OTHER, CELL = (225, 200, 205), (205, 140, 150), (90, 40, 140)


def smear() -> NDArray[np.uint8]:
    """A stained cell in the middle, a paler one at the border."""
    rows, columns = np.mgrid[:150, :200]
    pixels = np.full((150, 200, 3), GROUND, np.uint8)
    pixels[np.hypot(rows - 20, columns - 15) < 30] = OTHER
    pixels[np.hypot(rows - 75, columns - 100) < 35] = CELL
    return pixels


def test_the_middle_cell_is_kept() -> None:
    pixels = smear()
    cut = cut_out(pixels)
    inside = (pixels == CELL).all(axis=2)
    kept = (cut == CELL).all(axis=2)
    assert kept[inside].mean() > 0.97
    assert (cut[~inside] == 255).all(axis=1).mean() > 0.98
    assert np.array_equal(cut[kept], pixels[kept])


def test_nothing_stained_stays_as_it_is() -> None:
    plain = np.full((60, 60, 3), GROUND, np.uint8)
    assert np.array_equal(cut_out(plain), plain)


def test_a_fit_may_ask_for_it() -> None:
    square, _ = place(smear(), 96, ImageFit(background="cut"))
    other, _ = place(cut_out(smear()), 96, ImageFit())
    assert np.array_equal(square, other)
    assert not np.array_equal(square, place(smear(), 96, ImageFit())[0])


@pytest.mark.skipif(not BLOOD.is_dir(), reason="the real blood cells are not there")
def test_real_cells() -> None:
    shares = []
    for path in sorted(BLOOD.glob("*.bmp"))[::12]:
        cut = cut_out(read_picture(path).pixels)
        white = (cut == 255).all(axis=2)
        middle = tuple(side // 2 for side in white.shape)
        shares.append(1 - white.mean())
        # What is left lies in the middle.
        rows, columns = np.nonzero(~white)
        assert abs(rows.mean() - middle[0]) < 30
        assert abs(columns.mean() - middle[1]) < 30
    assert 0.08 < np.median(shares) < 0.6
