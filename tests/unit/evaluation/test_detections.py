"""Detections from heatmaps, and the challenge's files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from wsi_pipeline.errors import CohortError
from wsi_pipeline.evaluation.detections import (
    Detections,
    no_detections,
    read_detections,
    suppress,
    write_detections,
)
from wsi_pipeline.export.decision import Decision
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.stitch.cells import Cells
from wsi_pipeline.tiles.plan import Coverage

NAN = float("nan")


def decision(values: NDArray[np.float32], *, mpp: tuple[float, float] = (0.5, 0.5)) -> Decision:
    """Cells of 100 level-0 px, 50 µm."""
    size = Size(values.shape[1] * 100, values.shape[0] * 100)
    grid = Grid(0, size, 1.0, 1.0, 100, 100, Mpp(*mpp))
    known = ~np.isnan(values)
    coverage = np.where(known, Coverage.CLASSIFIED, Coverage.GLASS).astype(np.uint8)
    mask = Cells(values, coverage).decision(0.5)
    return Decision(values, coverage, mask, 0.5, grid, size)


def found(detections: Detections) -> list[tuple[float, float, float]]:
    table = np.stack([detections.probability, detections.x, detections.y], axis=1)
    return [tuple(row) for row in table.round(4).tolist()]


def test_the_strongest_takes_its_neighbours() -> None:
    values = np.array([[0.6, 0.9, 0.7, 0.2, 0.55, NAN]], np.float32)
    assert found(suppress(decision(values), radius_um=50)) == [(0.9, 150, 50), (0.55, 450, 50)]
    # At 100 µm the fifth cell, 150 µm away, stands by itself still; at 150 µm no more.
    assert len(suppress(decision(values), radius_um=100)) == 2
    assert len(suppress(decision(values), radius_um=150)) == 1


def test_the_radius_is_a_circle() -> None:
    values = np.zeros((3, 3), np.float32)
    values[1, 1], values[0, 0] = 0.9, 0.8  # 70.7 µm apart
    assert len(suppress(decision(values), radius_um=70)) == 2
    assert len(suppress(decision(values), radius_um=71)) == 1


def test_distances_are_in_micrometres() -> None:
    values = np.array([[0.9, 0.8]], np.float32)
    assert len(suppress(decision(values, mpp=(0.5, 0.25)), radius_um=40)) == 2
    assert len(suppress(decision(values.T.copy(), mpp=(0.5, 0.25)), radius_um=40)) == 1


def test_the_threshold_is_included() -> None:
    values = np.array([[0.5, 0.4999]], np.float32)
    assert found(suppress(decision(values), radius_um=0)) == [(0.5, 50, 50)]
    assert len(suppress(decision(values), threshold=0.7)) == 0


def test_of_equals_the_first_is_taken() -> None:
    values = np.full((2, 2), 0.7, np.float32)
    assert found(suppress(decision(values))) == [(0.7, 50, 50)]


def test_a_cell_over_the_edge_is_detected_inside() -> None:
    cells = decision(np.array([[0.1, 0.9]], np.float32))
    short = Grid(0, Size(130, 100), 1.0, 1.0, 100, 100, Mpp(0.5, 0.5))
    clipped = Decision(cells.probability, cells.coverage, cells.mask, 0.5, short, Size(130, 100))
    assert found(suppress(clipped)) == [(0.9, 115, 50)]


@given(
    arrays(np.float32, (9, 11), elements=st.sampled_from([0.2, 0.5, 0.6, 0.8, 0.9, 1.0])),
    st.sampled_from([0.0, 40.0, 50.0, 75.0, 120.0, 187.0]),
)
def test_as_a_search_through_all_pairs(values: NDArray[np.float32], radius: float) -> None:
    left = sorted(
        (-float(values[row, column]), row, column)
        for row, column in np.ndindex(values.shape)
        if values[row, column] >= 0.5
    )
    expected = []
    while left:
        value, row, column = left[0]
        expected.append((round(-value, 4), 100 * column + 50, 100 * row + 50))
        left = [one for one in left[1:] if np.hypot(one[1] - row, one[2] - column) * 50 > radius]
    assert found(suppress(decision(values), radius_um=radius)) == expected


def test_files_keep_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "slide.csv"
    table = np.array([[0.9999999, 123456.5, 7], [0.5, 0, 65000]])
    write_detections(Detections(*table.T), path)
    again = read_detections(path)
    assert np.allclose(np.stack([again.probability, again.x, again.y], 1), table, rtol=0, atol=1e-8)


def test_a_slide_without_detections_has_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "slide.csv"
    write_detections(no_detections(), path)
    assert path.read_bytes() == b""
    assert len(read_detections(path)) == 0


@pytest.mark.parametrize(
    "text",
    [
        "0.5,10,20\n0.9,30,40\n",
        "Probability,X coordinate,Y coordinate\n0.9,30,40\n0.5,10,20\n",
        "x;y;confidence\n10;20;0.5\n30;40;0.9\n",
    ],
)
def test_with_a_heading_or_without(tmp_path: Path, text: str) -> None:
    path = tmp_path / "slide.csv"
    path.write_text(text)
    assert found(read_detections(path)) == [(0.9, 30, 40), (0.5, 10, 20)]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("0.5,10\n", "line 1 is not a probability"),
        ("0.5,10,20\n1.5,10,20\n", "line 2 is not a probability"),
        ("0.5,10,y\n", "line 1 is not"),
        ("row,column,probability\n1,2,0.5\n", "names no x"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, cause: str) -> None:
    path = tmp_path / "slide.csv"
    path.write_text(text)
    with pytest.raises(CohortError) as caught:
        read_detections(path)
    assert cause in str(caught.value)
    assert str(path) in str(caught.value)
