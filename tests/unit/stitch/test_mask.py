"""A level drawn in blocks is the level drawn whole."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_pipeline.geometry import Size
from wsi_pipeline.stitch.mask import DrawnLevel, LevelHash


@st.composite
def drawn_levels(draw: st.DrawFn) -> DrawnLevel:
    def edges(count: int) -> NDArray[np.int64]:
        # On a very coarse level cells are less than a px: some have none.
        lengths = draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))
        lengths[-1] += 1
        return np.concatenate([[0], np.cumsum(lengths)])

    rows, columns = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.integers(0, 256, (rows, columns), np.uint8)
    return DrawnLevel(values, edges(columns), edges(rows))


def whole(drawn: DrawnLevel) -> NDArray[np.uint8]:
    """Px by px: each belongs to the cell whose edges hold it."""
    size = drawn.size
    rows = np.searchsorted(drawn.row_edges, np.arange(size.height), side="right") - 1
    columns = np.searchsorted(drawn.column_edges, np.arange(size.width), side="right") - 1
    return drawn.values[np.ix_(rows, columns)]


@given(drawn_levels(), st.data())
def test_a_block_is_a_part_of_the_whole(drawn: DrawnLevel, data: st.DataObject) -> None:
    size = drawn.size
    x = data.draw(st.integers(0, size.width - 1))
    y = data.draw(st.integers(0, size.height - 1))
    width = data.draw(st.integers(1, size.width - x))
    height = data.draw(st.integers(1, size.height - y))
    expected = whole(drawn)[y : y + height, x : x + width]
    assert np.array_equal(drawn.block(x, y, width, height), expected)


@given(drawn_levels(), st.data())
def test_a_block_called_constant_is(drawn: DrawnLevel, data: st.DataObject) -> None:
    size = drawn.size
    x = data.draw(st.integers(0, size.width - 1))
    y = data.draw(st.integers(0, size.height - 1))
    width = data.draw(st.integers(1, size.width - x))
    height = data.draw(st.integers(1, size.height - y))
    value = drawn.constant(x, y, width, height)
    if value is not None:
        assert (whole(drawn)[y : y + height, x : x + width] == value).all()


def test_a_block_inside_one_cell_is_constant() -> None:
    drawn = DrawnLevel(np.array([[7, 8]], np.uint8), np.array([0, 10, 20]), np.array([0, 10]))
    assert drawn.constant(0, 0, 10, 10) == 7
    assert drawn.constant(12, 3, 5, 5) == 8
    assert drawn.constant(5, 0, 10, 10) is None


@given(drawn_levels())
def test_the_hash_is_that_of_the_px(drawn: DrawnLevel) -> None:
    assert drawn.sha256() == hashlib.sha256(whole(drawn).tobytes()).hexdigest()


def test_the_size_is_where_the_edges_end() -> None:
    drawn = DrawnLevel(np.zeros((1, 2), np.uint8), np.array([0, 3, 5]), np.array([0, 4]))
    assert drawn.size == Size(5, 4)


@given(drawn_levels(), st.data())
def test_rows_hashed_ahead_give_the_same_hash(drawn: DrawnLevel, data: st.DataObject) -> None:
    rows = len(drawn.values)
    first = data.draw(st.integers(0, rows))
    second = data.draw(st.integers(first, rows))
    foreseen = drawn.values.copy()
    # Some of them may have become others since.
    foreseen[data.draw(st.integers(0, rows - 1)), 0] ^= data.draw(st.integers(0, 1))
    ahead = LevelHash(drawn.column_edges, drawn.row_edges)
    ahead.add(foreseen[:first])
    ahead.add(foreseen[first:second])
    assert drawn.sha256(lambda: ahead) == drawn.sha256()
