"""The numbers of a cell are those of the patches over it."""

from collections.abc import Callable

import numpy as np
import pytest

from wsi_pipeline.export.decision import grid_of
from wsi_pipeline.export.tile_means import (
    NUMBER_UNKNOWN,
    STEPS,
    UNKNOWN,
    coarser,
    number_cells,
    tile_numbers,
    tissue_cells,
)
from wsi_pipeline.geometry import Size
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.tiles.plan import Coverage

MakeResult = Callable[..., Result]


@pytest.mark.parametrize(
    ("patch", "stride", "scale"), [(100, 100, 1.0), (299, 128, 1.3), (64, 16, 1.0)]
)
def test_cells_hold_the_mean_over_the_patches_that_cover_them(
    make_result: MakeResult, patch: int, stride: int, scale: float
) -> None:
    size = Size(1100, 700)
    shape = tuple(-(-side // (stride * scale)) for side in (size.height, size.width))
    rows, columns = int(shape[0]), int(shape[1])
    rng = np.random.default_rng(3)
    coverage = rng.choice([0, 1, 1, 2], (rows, columns)).astype(np.uint8)
    result = make_result(
        rng.random((rows, columns), np.float32),
        coverage=coverage, size=size, patch=patch, stride=stride, scale=scale,
    )  # fmt: skip
    found, tiles = tissue_cells(result), result.tile_table()
    patch_px, cell_px = result.record.grid.patch_0.x, result.cell_0.x
    assert found.shape == (rows, columns)
    for row in range(rows):
        for column in range(columns):
            # Positions of tiles are rounded to level-0 px.
            x, y = (column + 0.5) * cell_px, (row + 0.5) * cell_px
            across, down = x - tiles["x"], y - tiles["y"]
            over = (across > 0) & (across <= patch_px + 0.5) & (down > 0) & (down <= patch_px + 0.5)
            if not over.any():
                assert found[row, column] == UNKNOWN
                continue
            expected = float(tiles["tissue"][over].mean())
            assert abs(found[row, column] / STEPS - expected) <= 1 / STEPS
    classified = result.coverage == Coverage.CLASSIFIED
    assert (found[classified] <= STEPS).all()
    assert grid_of(result).reach == max(1, int(np.ceil(patch / stride - 0.5)))


def test_coarser_cells_are_means_of_what_is_known() -> None:
    shares = np.array([[0, 254, 255, 255, 10], [100, 255, 255, 255, 21], [7, 9, 1, 2, 3]], np.uint8)
    assert coarser(shares, 0) is shares
    assert coarser(shares, 1).tolist() == [[118, 255, 16], [8, 2, 3]]
    assert coarser(shares, 2).tolist() == [[53, 11]]


def test_nothing_is_known_where_nothing_was_planned(make_result: MakeResult) -> None:
    result = make_result(coverage=np.full((7, 10), Coverage.GLASS, np.uint8))
    assert (tissue_cells(result) == UNKNOWN).all()


def test_nobody_alters_what_is_kept(make_result: MakeResult) -> None:
    cells = tissue_cells(make_result())
    with pytest.raises(ValueError, match="read-only"):
        cells[0, 0] = 1
    assert tissue_cells(make_result(name="another", size=Size(100, 100))).shape == (1, 1)


def test_other_numbers_of_tiles_come_in_steps_of_their_own(make_result: MakeResult) -> None:
    """Patches of two cells a side; one of them could not be read."""
    distance = np.array([[1, 3, 5], [2, 4, np.nan]], np.float32)
    result = make_result(
        np.full((2, 3), 0.5, np.float32), size=Size(300, 200), patch=200, stride=100,
        extras={"distance": distance, "spread": np.zeros((2, 3), np.float32)},
    )  # fmt: skip
    found = {one.name: one for one in tile_numbers(result)}
    assert list(found) == ["distance", "spread"]
    cells = number_cells(result, "distance")
    expected = [[1, 2, 4], [1.5, 2.5, 4]]
    assert cells * found["distance"].step == pytest.approx(np.array(expected), abs=1e-3)
    assert (number_cells(result, "spread") == 0).all()
    # Nobody said what is usual, as in results from before it was kept.
    assert found["distance"].held_out is None


def test_a_number_is_not_known_where_no_patch_lies(make_result: MakeResult) -> None:
    coverage = np.array([[Coverage.CLASSIFIED, Coverage.GLASS]], np.uint8)
    result = make_result(
        np.full((1, 2), 0.5, np.float32), size=Size(200, 100), coverage=coverage,
        extras={"nearest": np.full((1, 2), 0.7, np.float32)},
    )  # fmt: skip
    assert number_cells(result, "nearest").tolist() == [[65534, NUMBER_UNKNOWN]]
    assert not tile_numbers(make_result(name="without"))
