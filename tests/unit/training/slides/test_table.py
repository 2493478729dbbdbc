"""Tables of labels: what they mean, and what is refused by its line."""

from pathlib import Path

import pytest

from wsi_pipeline.errors import CohortError, UsageError
from wsi_pipeline.training.slides.table import read_labels


def table(folder: Path, *rows: str) -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_cohort_table_is_one(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "slide;label;patient;split;features",
        "a;micro;P 1;train;elsewhere/a.h5",
        "b;negative; p  1;train;",
        "c;tumour;p2;test;",
        "d;normal;p3;excluded;",
        "e;;p4;;",
    )
    found = read_labels(path, tmp_path / "features", "classes")
    assert (found.classes, found.positive, found.grouped) == (("normal", "tumour"), "tumour", True)
    assert [(one.name, one.label, one.group, one.split) for one in found.slides] == [
        ("a", 1, "p 1", "train"),
        ("b", 0, "p 1", "train"),
        ("c", 1, "p2", "test"),
    ]
    assert [one.features.relative_to(tmp_path).as_posix() for one in found.slides] == [
        "elsewhere/a.h5",
        "features/b.h5",
        "features/c.h5",
    ]


def test_features_are_found_in_subfolders_and_the_store_is_taken(tmp_path: Path) -> None:
    path = table(tmp_path, "slide,label", "a,normal", "b,tumour", "c,tumour", "d,normal")
    folder = tmp_path / "features"
    for name in ("a.zarr", "x/b.zarr", "x/.c.zarr.partial", "y"):
        (folder / name).mkdir(parents=True)
    for name in ("a.h5", "x/b.h5", "x/b.zarr/c.h5", "y/d.h5"):
        (folder / name).touch()
    found = read_labels(path, folder, "classes")
    assert [one.features.relative_to(folder).as_posix() for one in found.slides] == [
        "a.zarr",
        "x/b.zarr",
        "c.h5",
        "y/d.h5",
    ]
    (folder / "x" / "d.h5").touch()
    with pytest.raises(UsageError, match="are both of a slide d; name the right one"):
        read_labels(path, folder, "classes")


def test_several_classes_keep_their_names_the_normal_one_first(tmp_path: Path) -> None:
    path = table(tmp_path, "slide,label", "a,LUAD", "b,LUSC", "c,Normal", "d,LUAD")
    found = read_labels(path, None, "classes", "LUSC")
    assert (found.classes, found.positive) == (("Normal", "LUAD", "LUSC"), "LUSC")
    assert [one.group for one in found.slides] == ["a", "b", "c", "d"]
    assert not found.grouped


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("slide", "a"), "no column 'label'"),
        (("slide,label", "a,tumour", "b,tumour"), "all slides are tumour"),
        (("slide,label", "a,tumour", "a,normal"), "there twice"),
        (("slide,label,split", "a,tumour,later", "b,normal,"), "line 2: split 'later'"),
        (
            ("slide,label,patient,split", "a,tumour,p,test", "b,normal,P,train"),
            "test slides and others",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, rows: tuple[str, ...], message: str
) -> None:
    with pytest.raises(CohortError, match=message):
        read_labels(table(tmp_path, *rows), None, "classes")


def test_the_positive_class_has_to_be_known(tmp_path: Path) -> None:
    path = table(tmp_path, "slide,label", "a,wild", "b,mutated")
    with pytest.raises(UsageError, match="--positive mutated or --positive wild"):
        read_labels(path, None, "classes")
    assert read_labels(path, None, "classes", "mutated").classes == ("wild", "mutated")
    with pytest.raises(UsageError, match="the classes are"):
        read_labels(path, None, "classes", "other")


@pytest.mark.parametrize("row", ["a,0,1", "a,nan,1", "a,3,2", "a,x,1", "a,3,"])
def test_survival_needs_a_time_and_whether_the_event_was_seen(tmp_path: Path, row: str) -> None:
    with pytest.raises(CohortError, match="line 2"):
        read_labels(table(tmp_path, "slide,time,event", row), None, "survival")
