"""CAMELYON's names and exceptions."""

from collections import Counter

import pytest

from wsi_pipeline.cohort.camelyon import exceptions, read_name
from wsi_pipeline.geometry import Mpp

#: Slides of the training set that the data set's README lists as not exhaustively annotated.
PARTIAL = [10, 15, 18, 20, 25, 29, 33, 34, 44, 46, 51, 54, 55, 56, 67, 79, 85, 92, 95, 110]


@pytest.mark.parametrize(
    ("name", "label", "centre"),
    [
        ("normal_001", "normal", "RUMC"),
        ("normal_100", "normal", "RUMC"),
        ("normal_101", "normal", "UMCU"),
        ("Tumor_070", "tumour", "RUMC"),
        ("tumor_071", "tumour", "UMCU"),
    ],
)
def test_training_names_of_16_say_label_and_centre(name: str, label: str, centre: str) -> None:
    named = read_name(name)
    assert named is not None
    assert (named.challenge, named.label, named.centre) == (16, label, centre)
    assert (named.split, named.patient) == (None, "")


def test_the_centres_have_the_published_numbers_of_slides() -> None:
    names = [f"normal_{n:03}" for n in range(1, 161) if n != 86]
    names += [f"tumor_{n:03}" for n in range(1, 112)]
    centres = Counter(named.centre for name in names if (named := read_name(name)))
    assert centres == {"RUMC": 169, "UMCU": 101}


def test_a_test_slide_says_no_label_and_its_scanner_tells_the_centre() -> None:
    for mpp, centre in ((0.2431, "RUMC"), (0.2265, "UMCU"), (0.5, ""), (None, "")):
        named = read_name("test_001", None if mpp is None else Mpp(mpp, mpp))
        assert named is not None
        assert (named.label, named.split, named.centre) == (None, "test", centre)


@pytest.mark.parametrize(
    ("name", "patient", "centre"),
    [
        ("patient_000_node_0", "patient_000", "centre_0"),
        ("patient_019_node_4", "patient_019", "centre_0"),
        ("patient_020_node_1", "patient_020", "centre_1"),
        ("Patient_099_Node_2", "patient_099", "centre_4"),
        ("patient_100_node_2", "patient_100", ""),
    ],
)
def test_names_of_17_say_patient_and_centre(name: str, patient: str, centre: str) -> None:
    named = read_name(name)
    assert named is not None
    assert (named.challenge, named.patient, named.centre) == (17, patient, centre)
    assert named.label is None


@pytest.mark.parametrize("name", ["normal_1", "tumor_0010", "x_normal_001", "synth_0001", "test"])
def test_other_names_say_nothing(name: str) -> None:
    assert read_name(name) is None


def test_the_exceptions_are_shipped() -> None:
    table = exceptions()
    partial = {name for name, row in table.items() if row.annotated == "partial"}
    assert partial == {*(f"tumor_{n:03}" for n in PARTIAL), "test_114"}
    assert {name for name, row in table.items() if row.split == "excluded"} == {
        "normal_086",
        "test_049",
    }
    assert all(row.note for row in table.values())
    named = read_name("Tumor_010")
    assert named is not None
    assert named.annotated == "partial"
    duplicate, untold = read_name("test_049"), read_name("test_114")
    assert duplicate is not None
    assert untold is not None
    assert duplicate.split == "excluded"
    assert (untold.split, untold.annotated) == ("test", "partial")
