"""Which slides of a table are fitted to, and what their classes are."""

from pathlib import Path

import pytest

from wsi_pipeline.errors import CohortError
from wsi_pipeline.training.slide_level.table import read_labelled


def write(folder: Path, *rows: str, heads: str = "slide,label,patient,split") -> Path:
    path = folder / "t.csv"
    path.write_text("\n".join((heads, *rows)) + "\n")
    return path


def test_validation_slides_only_with_two_classes(tmp_path: Path) -> None:
    table = write(
        tmp_path,
        "a,Tumor,P 1,validation",
        "b,normal,p2,validation",
        "c,macro,p3,test",
        "d,itc,p 1,validation",
        "e,,p4,validation",
        "f,normal,p5,excluded",
    )
    found = read_labelled(table)
    assert [(one.name, one.label, one.patient) for one in found.slides] == [
        ("a", "tumour", "p 1"),
        ("b", "normal", "p2"),
        ("d", "tumour", "p 1"),
    ]
    assert (found.classes, found.negative) == (("normal", "tumour"), "normal")
    assert found.split == "validation slides"


def test_a_table_without_splits_is_used_whole(tmp_path: Path) -> None:
    table = write(tmp_path, "a,1,", "b,0,", heads="slide,label,slide_path")
    found = read_labelled(table)
    assert [one.label for one in found.slides] == ["tumour", "normal"]
    assert found.slides[0].patient == "a"
    assert found.split == "slides of a table without splits"


def test_any_labels_are_classes_and_the_negative_one_comes_first(tmp_path: Path) -> None:
    table = write(tmp_path, "a,grade 2,p1,", "b,grade 1,p2,", "c,benign,p3,", "x,,p4,")
    found = read_labelled(table)
    assert found.classes == ("benign", "grade 1", "grade 2")
    assert found.negative == "benign"
    assert read_labelled(table, negative="grade 1").classes[0] == "grade 1"
    usual = write(tmp_path, "a,macro,p1,", "b,micro,p2,", "c,normal,p3,")
    assert read_labelled(usual, grouping="labels").classes == ("normal", "macro", "micro")


def test_what_cannot_be_fitted_to_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="two classes"):
        read_labelled(write(tmp_path, "a,normal,p1,validation", "b,tumour,p2,test"))
    with pytest.raises(CohortError, match="--negative; the classes are grade 1, grade 2"):
        read_labelled(write(tmp_path, "a,grade 1,p1,", "b,grade 2,p2,"))
    with pytest.raises(CohortError, match="slide and label"):
        read_labelled(write(tmp_path, "a,1", heads="name,label"))
