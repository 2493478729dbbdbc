"""Values are checked when they are made."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.geometry import Mpp, Region, Size


@pytest.mark.parametrize(("width", "height"), [(0, 1), (1, 0), (-3, 5)])
def test_a_size_holds_at_least_one_px(width: int, height: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Size(width, height)


def test_a_region_may_reach_over_the_edge_but_not_be_empty() -> None:
    region = Region(1, -5, -7, 20, 30)
    assert (region.right, region.bottom) == (15, 23)
    for level, width, height in ((-1, 1, 1), (0, 0, 1), (0, 1, 0)):
        with pytest.raises(ValueError, match="not a region"):
            Region(level, 0, 0, width, height)


@given(
    st.integers(0, 200), st.integers(-50, 200), st.integers(1, 90), st.integers(1, 90), st.data()
)
def test_a_region_is_cut_along_boxes(
    x: int, y: int, width: int, height: int, data: st.DataObject
) -> None:
    side = Size(data.draw(st.integers(1, 120)), data.draw(st.integers(1, 120)))
    region = Region(2, x, y, width, height)
    parts = region.cut(side)
    covered = np.zeros((height, width), np.int64)
    for part in parts:
        assert part.level == 2
        covered[part.y - y : part.bottom - y, part.x - x : part.right - x] += 1
        assert part.x // side.width == (part.right - 1) // side.width
        assert part.y // side.height == (part.bottom - 1) // side.height
    assert (covered == 1).all()
    assert parts == sorted(parts, key=lambda part: (part.y, part.x))
    assert len(parts) == len({(part.x // side.width, part.y // side.height) for part in parts})


@pytest.mark.parametrize("value", [0.0, -0.5, math.nan, math.inf])
def test_a_resolution_is_positive_and_finite(value: float) -> None:
    for x, y in ((value, 0.5), (0.5, value)):
        with pytest.raises(ValueError, match="positive and finite"):
            Mpp(x, y)


def test_a_resolution_says_whether_px_are_square() -> None:
    assert str(Mpp(0.25, 0.25)) == "0.25 µm/px"
    assert "×" in str(Mpp(0.25, 0.5))
    assert Mpp(0.2, 0.4).scaled(4) == Mpp(0.8, 1.6)
    assert Mpp(0.2, 0.4).mean == pytest.approx(0.3)
    assert Size(3, 4).area == 12
