"""Bytes for viewers hold every cell, and rounding takes none over the threshold."""

import gzip
import uuid
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_pipeline.export import cell_tiles
from wsi_pipeline.export.cell_tiles import (
    NOT_CLASSIFIED,
    STEPS,
    cell_levels,
    encode_tile,
    threshold_step,
)
from wsi_pipeline.export.decision import decide
from wsi_pipeline.export.tile_means import coarser, tile_numbers, tissue_cells
from wsi_pipeline.geometry import Size
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.tiles.plan import Coverage

MakeResult = Callable[..., Result]


def planes(
    packed: bytes, rows: int, columns: int
) -> tuple[NDArray[np.uint16], NDArray[np.uint8], NDArray[np.uint8]]:
    data = gzip.decompress(packed)
    cells = rows * columns
    assert len(data) == 5 * cells
    steps = np.frombuffer(data, "<u2", cells).reshape(rows, columns)
    coverage = np.frombuffer(data, np.uint8, cells, 2 * cells).reshape(rows, columns)
    tissue = np.frombuffer(data, np.uint8, cells, 3 * cells).reshape(rows, columns)
    return steps, coverage, tissue


def mixed(make_result: MakeResult, rows: int = 21, columns: int = 30) -> Result:
    rng = np.random.default_rng(8)
    coverage = rng.choice([0, 1, 1, 1, 2, 4], (rows, columns)).astype(np.uint8)
    tiles = rng.random((rows, columns), np.float32)
    tiles[3, 4] = np.nan
    coverage[3, 4] = Coverage.CLASSIFIED  # planned, then unreadable
    return make_result(tiles, coverage=coverage, size=Size(100 * columns, 100 * rows))


def test_a_tile_holds_probabilities_and_coverage(make_result: MakeResult) -> None:
    result = mixed(make_result)
    packed = encode_tile(result, 0, 0, 0)
    assert packed is not None
    steps, coverage, tissue = planes(packed, 21, 30)
    assert np.array_equal(coverage, result.coverage)
    known = ~np.isnan(result.probability)
    assert np.array_equal(steps != NOT_CLASSIFIED, known)
    error = np.abs(steps[known] / STEPS - result.probability[known])
    assert error.max() <= 1 / STEPS
    assert np.array_equal(tissue, tissue_cells(result))


def test_other_numbers_of_tiles_follow_as_planes(make_result: MakeResult) -> None:
    rng = np.random.default_rng(2)
    extras = {key: rng.random((7, 10), np.float32) for key in ("spread", "distance")}
    result = make_result(extras=extras)
    numbers = tile_numbers(result)
    for level, (rows, columns) in enumerate([(7, 10), (4, 5)]):
        packed = encode_tile(result, level, 0, 0)
        assert packed is not None
        data, cells = gzip.decompress(packed), rows * columns
        assert len(data) == 9 * cells
        for index, one in enumerate(numbers):
            plane = np.frombuffer(data, "<u2", cells, (5 + 2 * index) * cells)
            expected = extras[one.name][:: 2**level, :: 2**level]
            found = plane.reshape(rows, columns) * one.step
            assert np.abs(found - expected).max() <= one.step


def test_tiles_and_levels_cover_the_grid(
    make_result: MakeResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_tiles, "TILE", 8)
    result = mixed(make_result)
    levels = cell_levels(result)
    assert len(levels) == result.mask_levels == 2
    assert [(level.columns, level.rows) for level in levels] == [(30, 21), (15, 11)]
    assert [level.cell_0.x for level in levels] == [100, 200]
    for index, level in enumerate(levels):
        whole = np.zeros((level.rows, level.columns), np.uint16)
        tissue = np.zeros_like(whole)
        across, down = level.tiles
        for row in range(down):
            for column in range(across):
                place = slice(row * 8, row * 8 + 8), slice(column * 8, column * 8 + 8)
                packed = encode_tile(result, index, column, row)
                assert packed is not None
                found = planes(packed, *whole[place].shape)
                whole[place], tissue[place] = found[0], found[2]
        stored = np.asarray(result.array(str(index))[...])
        assert np.array_equal(whole == NOT_CLASSIFIED, np.isnan(stored))
        assert np.nanmax(np.abs(whole / STEPS - stored)[whole != NOT_CLASSIFIED]) <= 1 / STEPS
        assert np.array_equal(tissue, coarser(tissue_cells(result), index))
        assert encode_tile(result, index, across, 0) is None
        assert encode_tile(result, index, 0, down) is None
    assert encode_tile(result, 2, 0, 0) is None


@settings(max_examples=25)
@given(
    threshold=st.floats(0.0001, 0.9999),
    offsets=st.lists(st.integers(-40, 40), min_size=9, max_size=9),
)
def test_no_cell_moves_over_the_threshold(
    make_result: MakeResult, threshold: float, offsets: list[int]
) -> None:
    """Also those a few float32 steps above and below it."""
    near = np.full(9, threshold, np.float32)
    for index, offset in enumerate(offsets):
        for _ in range(abs(offset)):
            near[index] = np.nextafter(near[index], np.float32(np.sign(offset)))
    tiles = near.clip(0, 1).reshape(3, 3)
    result = make_result(tiles, size=Size(300, 300), threshold=threshold, name=uuid.uuid4().hex)
    packed = encode_tile(result, 0, 0, 0)
    assert packed is not None
    steps, _, _ = planes(packed, 3, 3)
    assert np.array_equal(steps >= threshold_step(threshold), decide(result).tumour)


def test_a_large_grid_arrives_in_one_small_tile(make_result: MakeResult) -> None:
    rows, columns = 436, 436
    tiles = np.zeros((rows, columns), np.float32)
    coverage = np.full((rows, columns), Coverage.GLASS, np.uint8)
    coverage[100:300, 50:350] = Coverage.CLASSIFIED
    rng = np.random.default_rng(1)
    tiles[100:300, 50:350] = rng.beta(0.3, 4, (200, 300))
    size = Size(columns * 10, rows * 10)
    result = make_result(tiles, coverage=coverage, size=size, patch=10, stride=10)
    packed = encode_tile(result, 0, 0, 0)
    assert packed is not None
    assert cell_levels(result)[0].tiles == (1, 1)
    assert len(packed) < 220_000
    again = encode_tile(result, 0, 0, 0)
    assert again == packed
