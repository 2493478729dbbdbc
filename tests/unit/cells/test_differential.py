"""Shares of white cells and their intervals."""

import pytest
from scipy.stats import binomtest

from wsi_pipeline.cells.differential import differential, wilson
from wsi_pipeline.cells.fields import CellRecord, FieldRecord
from wsi_pipeline.cells.finder import Box


@pytest.mark.parametrize(("count", "total"), [(0, 10), (10, 10), (3, 7), (61, 100), (1, 1)])
def test_the_interval_is_that_of_scipy(count: int, total: int) -> None:
    expected = binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert wilson(count, total) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_no_cells_say_nothing() -> None:
    assert wilson(0, 0) == (0, 1)


def test_all_fields_first_then_each_and_only_white_cells() -> None:
    box = Box(0, 0, 1, 1)

    def field(name: str, *labels: str) -> FieldRecord:
        white = [CellRecord(i, "WBC", box, False, label) for i, label in enumerate(labels)]
        red = CellRecord(99, "RBC", box, cut=False)
        return FieldRecord(name, name, 10, 10, 5.0, (*white, red))

    shares = differential([field("a", "x", "x", "y"), field("b")], ("x", "y"))
    assert [(s.field, s.label, s.count, s.total) for s in shares] == [
        ("", "x", 2, 3),
        ("", "y", 1, 3),
        ("a", "x", 2, 3),
        ("a", "y", 1, 3),
        ("b", "x", 0, 0),
        ("b", "y", 0, 0),
    ]
    assert shares[0].share == pytest.approx(2 / 3)
    assert shares[4].share is None
