"""Filling outlines: against point in polygon, and the same from every window."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_pipeline.annotation import OutlineTruth
from wsi_pipeline.annotation.shapes import Area
from wsi_pipeline.geometry import PerAxis


def centres(
    x: float, y: float, width: int, height: int, downsample: float | PerAxis
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    px_0 = PerAxis.of(downsample)
    across = x + (np.arange(width) + 0.5) * px_0.x
    down = y + (np.arange(height) + 0.5) * px_0.y
    return np.meshgrid(across, down)


def outline(area: Area) -> OutlineTruth:
    return OutlineTruth("asap", area)


numbers = st.floats(0, 100, allow_nan=False, width=32)


@st.composite
def areas(draw: st.DrawFn) -> Area:
    """Valid polygons out of points in any order: with holes, in several parts, with corners
    on px centres and edges along them.
    """
    grid = st.integers(0, 200).map(lambda half: half / 2)
    point = st.tuples(st.one_of(numbers, grid), st.one_of(numbers, grid))
    rings = draw(st.lists(st.lists(point, min_size=3, max_size=12), min_size=1, max_size=4))
    whole = shapely.union_all([shapely.make_valid(shapely.Polygon(ring)) for ring in rings])
    parts = [p for p in shapely.get_parts(shapely.get_parts(whole)) if p.area > 0]
    return shapely.MultiPolygon([p for p in parts if isinstance(p, shapely.Polygon)])


@given(
    areas(),
    st.floats(-20, 60),
    st.floats(-20, 60),
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from([0.5, 1, 1.7, 4, PerAxis(1, 2), PerAxis(1.7, 0.5)]),
)
def test_a_px_is_tumour_if_its_centre_is(
    area: Area, x: float, y: float, width: int, height: int, downsample: float | PerAxis
) -> None:
    found = outline(area).window(x, y, width, height, downsample)
    assert found.shape == (height, width)
    assert found.dtype == np.bool_
    xs, ys = centres(x, y, width, height, downsample)
    expected = shapely.contains_xy(area, xs, ys)
    differ = found != expected
    if differ.any():  # only where the centre lies on an edge, which belongs to either side
        points = shapely.points(xs[differ], ys[differ])
        assert (shapely.distance(area.boundary, points) < 1e-6).all()


@given(areas(), st.integers(0, 40), st.integers(0, 40), st.sampled_from([1, 2, 4]))
def test_windows_agree_where_they_overlap(area: Area, i: int, j: int, downsample: int) -> None:
    truth = outline(area)
    whole = truth.window(0, 0, 100, 100, downsample)
    part = truth.window(i * downsample, j * downsample, 50, 40, downsample)
    np.testing.assert_array_equal(part, whole[j : j + 40, i : i + 50])


def test_an_edge_through_centres_belongs_to_one_side() -> None:
    """Two areas that share an edge share no px and leave none out."""
    left = shapely.box(0, 0, 5.5, 10)
    right = shapely.box(5.5, 0, 10, 10)
    above, below = shapely.box(0, 0, 10, 4.5), shapely.box(0, 4.5, 10, 10)
    for one, other in ((left, right), (above, below)):
        first = outline(one).window(0, 0, 10, 10, 1)
        second = outline(other).window(0, 0, 10, 10, 1)
        assert not (first & second).any()
        assert (first | second).all()


def test_area_is_kept_at_every_scale() -> None:
    circle = shapely.Point(5000, 5000).buffer(3000, quad_segs=64)
    for downsample in (8, 32, 100):
        side = math.ceil(10_000 / downsample)
        found = outline(circle).window(0, 0, side, side, downsample).sum() * downsample**2
        assert found == pytest.approx(circle.area, rel=0.01)


def test_a_window_beyond_everything_is_empty() -> None:
    truth = outline(shapely.box(10, 10, 20, 20))
    for x, y in ((-100, 0), (100, 0), (0, -100), (0, 100)):
        assert not truth.window(x, y, 20, 20, 1).any()
    assert outline(shapely.MultiPolygon()).bounds is None
    assert not outline(shapely.MultiPolygon()).window(0, 0, 5, 5, 1).any()
