"""A patch is what the model sees: exact px where nothing is resampled, else the filter's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wsi_pipeline.geometry import Mpp, PerAxis
from wsi_pipeline.grid import Grid
from wsi_pipeline.testing import ArraySlide
from wsi_pipeline.tiles.patches import read_box, read_patch

IMAGE = np.random.default_rng(0).integers(0, 256, (300, 420, 3), np.uint8)
MARGIN = 200
WIDE = np.pad(IMAGE, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=255)
SLIDE = ArraySlide([IMAGE])


@given(
    st.floats(-60, 400),
    st.floats(-60, 280),
    st.floats(20, 150),
    st.sampled_from([16, 32, 50]),
)
def test_a_box_is_what_pillow_makes_of_the_whole_slide(
    x: float, y: float, side: float, patch: int
) -> None:
    box = (x + MARGIN, y + MARGIN, x + side + MARGIN, y + side + MARGIN)
    whole = Image.fromarray(WIDE).resize((patch, patch), Image.Resampling.BILINEAR, box=box)
    mine = read_box(SLIDE, 0, x, y, PerAxis(side, side), patch)
    assert mine.shape == (patch, patch, 3)
    # Pillow's filter weights are fixed-point: another origin may round another way.
    assert np.abs(mine.astype(int) - np.asarray(whole)).max() <= 1


def test_without_resampling_px_are_the_slides() -> None:
    grid = Grid(0, SLIDE.info.size, 1.0, 1.0, 50, 40, Mpp(0.5, 0.5))
    assert np.array_equal(read_patch(SLIDE, grid, 3, 2), IMAGE[80:130, 120:170])


def test_over_the_edge_it_is_white() -> None:
    grid = Grid(0, SLIDE.info.size, 1.0, 1.0, 64, 64, Mpp(0.5, 0.5))
    patch = read_patch(SLIDE, grid, 6, 4)
    assert np.array_equal(patch[:44, :36], IMAGE[256:, 384:])
    assert (patch[44:] == 255).all()
    assert (patch[:, 36:] == 255).all()


def test_resampled_patches_do_not_drift() -> None:
    # A ramp: each patch's mean tells where it was taken.
    ramp = np.tile(np.arange(250, dtype=np.uint8)[None, :, None], (30, 1, 3))
    slide = ArraySlide([ramp])
    grid = Grid(0, slide.info.size, 1.0, 1.37, 10, 10, Mpp(0.5, 0.5))
    for column in range(1, grid.size.width - 1):
        mean = float(read_patch(slide, grid, column, 0)[2:8].mean())
        assert abs(mean + 0.5 - (column + 0.5) * grid.step.x) < 0.3
