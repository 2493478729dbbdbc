"""What the screen sees: each tile once, at its place, the same alone and in a block."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.screen.view import (
    BLOCK_TILES,
    MARGIN_PX,
    TILE_PX,
    blocks,
    coarse_level,
    read_view,
    view_px,
)
from wsi_pipeline.slide import open_slide
from wsi_pipeline.testing import write_pyramid

PATCH = 128


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each tile of 128 px has a grey of its own; levels of half and a quarter."""
    tiles = np.arange(6 * 9, dtype=np.uint8).reshape(6, 9) * 4
    image = np.repeat(tiles.repeat(PATCH, 0).repeat(PATCH, 1)[..., None], 3, axis=2)
    path = tmp_path_factory.mktemp("slides") / "tiles.tiff"
    write_pyramid(path, image, mpp=0.5, downsamples=(1, 2, 4))
    return path


def grid_of(slide: Path) -> Grid:
    size = open_slide(slide).info.size
    return Grid(0, Size(size.width, size.height), 1.0, 1.0, PATCH, PATCH, Mpp(0.5, 0.5))


def test_a_tile_is_seen_where_it_is(slide: Path) -> None:
    reader, grid = open_slide(slide), grid_of(slide)
    level = coarse_level(reader, grid)
    assert level == 2
    inside = slice(MARGIN_PX + 2, -MARGIN_PX - 2)
    for column, row in ((0, 0), (4, 2), (8, 5)):
        view = read_view(reader, grid, level, column, row)
        assert view.shape == (view_px(1), view_px(1), 3)
        assert np.abs(view[inside, inside].astype(int) - 4 * (9 * row + column)).max() <= 2
    corner = read_view(reader, grid, level, 0, 0)
    assert (corner[: MARGIN_PX - 2] == 255).all(), "over the edge it is white"


def test_a_block_shows_what_its_tiles_show(slide: Path) -> None:
    reader, grid = open_slide(slide), grid_of(slide)
    block = read_view(reader, grid, 2, 1, 1, BLOCK_TILES)
    for column, row in ((1, 1), (3, 4), (6, 2)):
        x, y = (column - 1) * TILE_PX, (row - 1) * TILE_PX
        alone = read_view(reader, grid, 2, column, row)
        assert np.array_equal(block[y : y + view_px(1), x : x + view_px(1)], alone)


def test_without_a_coarse_level_there_is_no_view(tmp_path: Path) -> None:
    path = tmp_path / "flat.tiff"
    write_pyramid(path, np.full((512, 512, 3), 200, np.uint8), mpp=0.5, downsamples=(1,))
    assert coarse_level(open_slide(path), grid_of(path)) is None


@given(st.sets(st.tuples(st.integers(0, 70), st.integers(0, 70)), max_size=60))
def test_every_tile_is_in_one_block(cells: set[tuple[int, int]]) -> None:
    given_cells = np.array(sorted(cells), np.int64).reshape(-1, 2)
    found = list(blocks(given_cells))
    tiles = [tile for block in found for tile in block.tiles.tolist()]
    assert sorted(tiles) == list(range(len(given_cells)))
    for block in found:
        inside = given_cells[block.tiles] - (block.column, block.row)
        assert ((inside >= 0) & (inside < BLOCK_TILES)).all()
    assert len({(block.column, block.row) for block in found}) == len(found)
