"""Found boxes are compared with drawn ones: matching, figures, tables that cannot be read."""

from pathlib import Path

import pytest

from wsi_pipeline.cells.fields import CellRecord, FieldRecord
from wsi_pipeline.cells.finder import Box
from wsi_pipeline.cells.truth import agreement, matches, read_truth
from wsi_pipeline.errors import CohortError

HEAD = "image,label,xmin,ymin,xmax,ymax\n"


def test_half_of_the_union_is_enough_and_less_is_not() -> None:
    drawn = [Box(0, 0, 10, 10)]
    assert matches([Box(0, 0, 10, 20)], drawn) == 1
    assert matches([Box(0, 0, 10, 20.1)], drawn) == 0
    assert matches([], drawn) == matches(drawn, []) == 0


def test_each_box_counts_once_and_as_many_as_possible_are_paired() -> None:
    one, two = Box(0, 0, 10, 10), Box(0, 2, 10, 12)
    assert matches([one, one], [one]) == 1
    # Taking the best pair first would leave the other two boxes without a partner.
    assert matches([one, Box(0, -3, 10, 7)], [one, two]) == 2


def _field(name: str, *boxes: Box) -> FieldRecord:
    cells = tuple(CellRecord(i, "RBC", box, cut=False) for i, box in enumerate(boxes, start=1))
    return FieldRecord(f"somewhere/{name}", name, 100, 100, 20.0, cells)


def test_precision_and_recall_with_intervals_over_fields() -> None:
    good, bad = Box(0, 0, 10, 10), Box(50, 50, 60, 60)
    truth = {name: {"RBC": [good], "WBC": [], "Platelets": []} for name in ("a.jpg", "b.jpg")}
    fields = [_field("a.jpg", good, bad), _field("b.jpg", good), _field("c.jpg", good)]
    kinds, left_out = agreement(fields, truth)  # type: ignore[arg-type]  # plain names of kinds
    red = next(one for one in kinds if one.kind == "RBC")
    assert (red.matched, red.found, red.drawn) == (2, 3, 2)
    assert red.precision.value == pytest.approx(2 / 3)
    assert red.recall.value == 1
    assert red.precision.interval is not None
    assert red.precision.interval.low == pytest.approx(0.5)
    assert red.precision.interval.high == 1
    assert left_out == ["somewhere/c.jpg"]
    white = next(one for one in kinds if one.kind == "WBC")
    assert white.to_json()["recall"] == {"value": None, "low": None, "high": None}


def test_the_table_is_read_by_the_images_name(tmp_path: Path) -> None:
    table = tmp_path / "boxes.csv"
    table.write_text(HEAD + "folder/a.jpg,WBC,1,2,3.5,4\na.jpg,Platelets,5,6,7,8\n")
    truth = read_truth(table)
    assert truth["a.jpg"]["WBC"] == [Box(1, 2, 3.5, 4)]
    assert truth["a.jpg"]["Platelets"] == [Box(5, 6, 7, 8)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,label\na.jpg,WBC\n", "lacks xmin, ymin, xmax, ymax"),
        (HEAD + "a.jpg,Lymphocyte,1,2,3,4\n", "line 2: the label 'Lymphocyte' is none of WBC"),
        (HEAD + "a.jpg,WBC,1,2,1,4\n", "line 2: no box"),
        (HEAD + "a.jpg,WBC,1,2,x,4\n", "line 2: no box"),
        (HEAD + "a.jpg,WBC,1\n", "line 2: no box"),
    ],
)
def test_a_table_that_is_none_is_told_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    table = tmp_path / "boxes.csv"
    table.write_text(text)
    with pytest.raises(CohortError, match=message):
        read_truth(table)


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="cannot be read"):
        read_truth(tmp_path / "none.csv")
