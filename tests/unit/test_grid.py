"""The grid covers every px once, in the right place, to the last row and column."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import MAX_CELLS, Grid

MPP = Mpp(0.25, 0.25)


def make(
    width: int,
    height: int,
    *,
    patch: int = 299,
    stride: int | None = None,
    scale: float = 1.0,
    downsample: float = 1.0,
) -> Grid:
    return Grid(0, Size(width, height), downsample, scale, patch, stride or patch, MPP)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    patch = draw(st.integers(8, 400))
    scale = draw(st.one_of(st.just(1.0), st.floats(0.45, 3.0), st.just(350 / 299)))
    return make(
        draw(st.integers(1, 9000)),
        draw(st.integers(1, 9000)),
        patch=patch,
        stride=draw(st.integers(max(1, patch // 8), patch)),
        scale=scale,
        downsample=draw(st.sampled_from([1.0, 2.0, 4.0, 16.0, 4.00037])),
    )


@given(grids())
def test_cells_cover_the_level_exactly_once(grid: Grid) -> None:
    for edges, length, step in (
        (grid.column_edges(grid.downsample, grid.level_size.width), grid.level_size.width, grid),
        (grid.row_edges(grid.downsample, grid.level_size.height), grid.level_size.height, grid),
    ):
        assert edges[0] == 0
        assert edges[-1] == length
        widths = np.diff(edges)
        assert (widths >= 0).all()
        # All but the last cell are whole: as wide as a step, to rounding.
        assert (np.abs(widths[:-1] - step.step.x) <= 1).all()
        assert widths[-1] <= np.ceil(step.step.x) + 1


@given(grids(), st.floats(1, 64))
def test_cells_cover_every_other_level_too(grid: Grid, coarser: float) -> None:
    downsample = grid.downsample * coarser
    for rounded in (np.floor, np.ceil):
        width = max(1, int(rounded(grid.level_size.width / coarser)))
        edges = grid.column_edges(downsample, width)
        assert edges[0] == 0
        assert edges[-1] == width
        assert (np.diff(edges) >= 0).all()


@given(grids(), st.data())
def test_nothing_drifts(grid: Grid, data: st.DataObject) -> None:
    column = data.draw(st.integers(0, grid.size.width - 1))
    row = data.draw(st.integers(0, grid.size.height - 1))
    step = Fraction(grid.stride) * Fraction(grid.scale)
    x0, y0 = grid.corners_0(np.array([[column, row]]))[0]
    slack = Fraction(1, 2) + Fraction(1, 10**6)
    assert abs(x0 - column * step * Fraction(grid.downsample)) <= slack
    assert abs(y0 - row * step * Fraction(grid.downsample)) <= slack
    x, y = grid.corner(column, row)
    assert abs(Fraction(x) - column * step) < Fraction(1, 10**6)
    assert abs(Fraction(y) - row * step) < Fraction(1, 10**6)
    edges = grid.column_edges(grid.downsample, grid.level_size.width)
    assert abs(edges[column] - column * step) <= slack or edges[column] == edges[-1]


@given(grids())
def test_the_last_row_and_column_begin_inside(grid: Grid) -> None:
    columns, rows = grid.size.width, grid.size.height
    noise = 1e-5 * grid.step.x
    assert (columns - 1) * grid.step.x < grid.level_size.width
    assert columns * grid.step.x >= grid.level_size.width - noise
    assert (rows - 1) * grid.step.y < grid.level_size.height
    assert rows * grid.step.y >= grid.level_size.height - noise


@given(st.integers(1, 400), st.data())
def test_a_patch_reaches_the_cells_whose_centres_it_contains(
    patch: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(max(1, patch // 40), patch))
    grid = make(10, 10, patch=patch, stride=stride)
    contained = sum(2 * k * stride + stride < 2 * patch for k in range(50))
    assert grid.reach == max(1, contained)


def test_the_textbook_cases() -> None:
    # 299 px at a scale of 350/299 are 350 level px: float noise must not add a column.
    assert make(4096, 4200, scale=350 / 299).size == Size(12, 12)
    assert make(4096, 4201, scale=350 / 299).size == Size(12, 13)
    assert make(1, 1).size == Size(1, 1)
    assert make(299, 300).size == Size(1, 2)
    assert make(2048, 1000, patch=256, stride=128).size == Size(16, 8)


def test_cells_are_measured_in_um() -> None:
    grid = Grid(1, Size(500, 500), 4.0, 1.5, 100, 50, Mpp(0.25, 0.5))
    assert grid.cell_um == (50 * 1.5 * 4 * 0.25, 50 * 1.5 * 4 * 0.5)


def test_a_stride_that_leaves_gaps_is_refused() -> None:
    for stride in (300, -1):
        with pytest.raises(UsageError, match="stride"):
            make(1000, 1000, stride=stride)


def test_a_grid_too_large_for_memory_is_refused() -> None:
    side = int(MAX_CELLS**0.5)
    assert make(side, side, patch=1).size.area <= MAX_CELLS
    with pytest.raises(UsageError, match="larger stride"):
        make(side + 10, side + 10, patch=1)


def test_the_cells_of_a_map_divide_its_tiles() -> None:
    grid = Grid(1, Size(500, 430), 4.0, 1.5, 96, 48, Mpp(0.25, 0.5), cell=12, margin=20)
    cells = grid.cells
    assert (grid.cells_per_tile, grid.reach, grid.read_px) == (4, 8, 136)
    assert cells.size == grid.cells_size == Size(math.ceil(500 / 18), math.ceil(430 / 18))
    assert (cells.cell_0.x, cells.reach, cells.margin) == (72.0, 1, 0)
    assert grid.corner(2, 3) == cells.corner(8, 12)
    assert grid.read_corner(0, 1) == (-30.0, 72.0 - 30.0)
    # Of a model that answers with numbers the tiles are the cells.
    plain = Grid(1, Size(500, 430), 4.0, 1.5, 96, 48, Mpp(0.25, 0.5))
    assert plain.cells is plain
    assert plain.read_corner(2, 3) == plain.corner(2, 3)


@pytest.mark.parametrize(("patch", "stride"), [(96, 40), (90, 48)])
def test_cells_that_do_not_divide_the_tiles_are_refused(patch: int, stride: int) -> None:
    with pytest.raises(UsageError, match="not a multiple of the map's cells of 12 px"):
        Grid(0, Size(500, 430), 1.0, 1.0, patch, stride, MPP, cell=12)
