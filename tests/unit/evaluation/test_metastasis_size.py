"""Extents of regions and the kinds they make."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

from wsi_pipeline.evaluation.metastasis_size import kind_of, largest_extent_um, major_axes
from wsi_pipeline.export.decision import Decision
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.stitch.cells import Cells
from wsi_pipeline.tiles.plan import Coverage


@pytest.mark.parametrize(
    ("extent", "kind"),
    [
        (None, "normal"),
        (0.0, "itc"),
        (199.9, "itc"),
        (200.0, "micro"),
        (2000.0, "micro"),
        (2000.1, "macro"),
    ],
)
def test_kinds(extent: float | None, kind: str) -> None:
    assert kind_of(extent) == kind


@given(arrays(bool, (14, 15), elements=st.booleans()))
def test_major_axes_are_scikit_images(mask: NDArray[np.bool_]) -> None:
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    regions = measure.regionprops(labels)  # type: ignore[no-untyped-call]  # has no types
    expected = [one.axis_major_length for one in regions]
    assert major_axes(labels, count) == pytest.approx(expected, abs=1e-9)


def test_far_from_the_corner_nothing_is_lost() -> None:
    labels = np.zeros((3, 60_000), np.int32)
    labels[1, -21:] = 1
    expected = 4 * np.sqrt((21**2 - 1) / 12)
    assert major_axes(labels, 1)[0] == pytest.approx(expected, rel=1e-12)


def decision(values: list[list[float]], *, width: int | None = None) -> Decision:
    """Cells of 100 level-0 px, 50 µm."""
    array = np.array(values, np.float32)
    size = Size(width or array.shape[1] * 100, array.shape[0] * 100)
    grid = Grid(0, size, 1.0, 1.0, 100, 100, Mpp(0.5, 0.5))
    coverage = np.full(array.shape, Coverage.CLASSIFIED, np.uint8)
    return Decision(array, coverage, Cells(array, coverage).decision(0.5), 0.5, grid, size)


def test_cells_are_areas() -> None:
    """A bar of n cells is n · 50 µm long, its ellipse 4/√12 times that."""
    assert largest_extent_um(decision([[0.1, 0.2]])) is None
    assert largest_extent_um(decision([[0.1, 0.9]])) == pytest.approx(50 * 4 / 12**0.5)
    assert largest_extent_um(decision([[0.9, 0.9, 0.9]])) == pytest.approx(150 * 4 / 12**0.5)


def test_the_longest_region_decides_and_corners_join() -> None:
    values = [[0.9, 0.0, 0.0, 0.9], [0.0, 0.9, 0.0, 0.0]]
    diagonal = 4 * np.sqrt(2 * 25**2 + 50**2 / 12)
    assert largest_extent_um(decision(values)) == pytest.approx(diagonal)


def test_cells_end_at_the_slide() -> None:
    """The last cell is 20 px wide there: its height is what is long."""
    assert largest_extent_um(decision([[0.0, 0.9]], width=120)) == pytest.approx(50 * 4 / 12**0.5)
    assert largest_extent_um(decision([[0.9, 0.9]], width=120)) == pytest.approx(60 * 4 / 12**0.5)
