"""Which groups are tumour: the challenges' names, and those a user gives."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from wsi_pipeline.annotation import OutlineTruth, open_truth
from wsi_pipeline.annotation.groups import Groups, join_names, split_names
from wsi_pipeline.errors import AnnotationError
from wsi_pipeline.testing.annotations import asap_annotation, asap_xml, square


def truth(tmp_path: Path, *drawn: tuple[str, float, float], tumour: Sequence[str] = ()) -> float:
    """Area of squares given as group, corner and side."""
    path = tmp_path / "a.xml"
    shapes = (asap_annotation(square(at, at, side), group) for group, at, side in drawn)
    path.write_text(asap_xml(*shapes))
    opened = open_truth(path, "asap", tumour=tumour)
    assert isinstance(opened, OutlineTruth)
    return opened.geometry.area


@pytest.mark.parametrize("group", ["Tumor", "_0", "_1", "metastases", "tumor", "TUMOUR"])
def test_tumour_groups_of_both_challenges(tmp_path: Path, group: str) -> None:
    assert truth(tmp_path, (group, 0, 10)) == 100


@pytest.mark.parametrize("group", ["_2", "Exclusion", "None", "normal"])
@pytest.mark.parametrize("first", [True, False])
def test_exclusions_are_cut_out_whatever_the_order(tmp_path: Path, group: str, first: bool) -> None:
    drawn = [("Tumor", 0.0, 10.0), (group, 2.0, 4.0)]
    assert truth(tmp_path, *(drawn[::-1] if first else drawn)) == 84


def test_overlapping_tumours_count_once(tmp_path: Path) -> None:
    assert truth(tmp_path, ("_0", 0, 10), ("_1", 5, 10)) == 175


def test_only_exclusions_leave_nothing(tmp_path: Path) -> None:
    assert truth(tmp_path, ("normal", 0, 10)) == 0


@pytest.mark.parametrize("group", ["None", "Lesion"])
def test_where_nothing_is_tumour_the_names_are_shown(tmp_path: Path, group: str) -> None:
    with pytest.raises(AnnotationError, match=rf"none of its classes is tumour: {group}.*--tumour"):
        truth(tmp_path, (group, 0, 10))
    assert truth(tmp_path, (group, 0, 10), tumour=[group]) == 100


def test_a_group_that_is_neither_is_left_out_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(
        asap_xml(
            asap_annotation(square(0, 0), "Tumor"),
            asap_annotation(square(2, 2, 4), "Lymphocytes"),
        )
    )
    opened = open_truth(path, "asap")
    assert isinstance(opened, OutlineTruth)
    assert opened.geometry.area == 100
    assert opened.notes == ("neither tumour nor exclusion: Lymphocytes (1)",)


def test_names_given_replace_the_usual_ones(tmp_path: Path) -> None:
    drawn = (("Tumor", 0, 10), ("DCIS", 20, 5))
    assert truth(tmp_path, *drawn) == 100
    assert truth(tmp_path, *drawn, tumour=["DCIS"]) == 25
    assert truth(tmp_path, *drawn, tumour=["dcis", "Tumor"]) == 125


@pytest.mark.parametrize(
    ("group", "role"),
    [
        ("Tumor: Positive", "tumour"),
        ("Ignore*", "exclusion"),
        ("Stroma", None),
        ("Stroma: Tumor", None),
        ("", None),
    ],
)
def test_derived_classes_are_what_their_base_is(group: str, role: str | None) -> None:
    assert Groups().role(group) == role


def test_a_derived_class_may_be_named_itself() -> None:
    groups = Groups(("Epithelium: atypical",))
    assert groups.role("Epithelium: Atypical") == "tumour"
    assert groups.role("Epithelium") is None


def test_names_in_tables_come_back() -> None:
    names = ("Invasive carcinoma", "DCIS")
    assert split_names(join_names(names)) == names
    assert split_names("") == ()
