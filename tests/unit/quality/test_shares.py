"""Shares of cells are those of the px they hold, whatever both resolutions are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.geometry import Mpp, PerAxis, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.quality.shares import cell_shares, touched


@given(seed=st.integers(0, 99), side=st.sampled_from([7, 12, 40]), px=st.sampled_from([1, 3]))
def test_as_with_whole_arrays(seed: int, side: int, px: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((40, 60)) < 0.3
    grid = Grid(0, Size(60 * px, 40 * px), 1.0, 1.0, side, side, Mpp(1, 1))
    rows, columns = np.indices((grid.size.height, grid.size.width)).reshape(2, -1)
    cells = np.stack([columns, rows], axis=1)
    found = cell_shares(mask, PerAxis(px, px), grid, cells)
    full = mask.repeat(px, 0).repeat(px, 1)
    for (column, row), share in zip(cells, found, strict=True):
        part = full[row * side : (row + 1) * side, column * side : (column + 1) * side]
        assert abs(part.mean() - share) < 1e-5


def test_touched_px_are_those_the_cells_overlap() -> None:
    grid = Grid(0, Size(100, 100), 1.0, 1.0, 25, 25, Mpp(1, 1))
    found = touched((10, 10), PerAxis(10, 10), grid, np.array([[1, 0], [3, 3]]))
    expected = np.zeros((10, 10), bool)
    expected[:3, 2:5] = True
    expected[7:, 7:] = True
    np.testing.assert_array_equal(found, expected)
