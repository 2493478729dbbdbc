"""Tables of labels as the challenges publish them, and as people keep them."""

from pathlib import Path

import pytest

from wsi_pipeline.cohort.references import plain_name, read_any_cohort, read_references
from wsi_pipeline.errors import CohortError


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "reference.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "test_001,Tumor,IDC,Macro\ntest_002,Tumor,Non-IDC,Micro\ntest_003,Normal,None,None\n",
        "image,type,subtype,size\ntest_001.tif,Tumor,IDC,Macro\n"
        "test_002.tif,Tumor,,Micro\ntest_003.tif,Normal,,\n",
        "slide;label\nTest_001;macro\nTest_002;micro\nTest_003;negative\n",
        "\ufeffSlide ID\tStage\r\ntest_001\tmacro\r\ntest_002\tmicro\r\ntest_003\tnegative\r\n",
    ],
)
def test_camelyon16s_reference_in_its_forms(tmp_path: Path, text: str) -> None:
    found = read_references(written(tmp_path, text))
    assert {key: row.label for key, row in found.items()} == {
        "test_001": "macro",
        "test_002": "micro",
        "test_003": "normal",
    }


def test_camelyon17s_stages_name_slides_and_patients(tmp_path: Path) -> None:
    text = (
        "patient,stage\npatient_000.zip,pN1mi\npatient_000_node_0.tif,negative\n"
        "patient_000_node_1.tif,micro\npatient_000_node_2.tif,itc\n"
    )
    found = read_references(written(tmp_path, text))
    assert {key: row.label for key, row in found.items()} == {
        "patient_000_node_0": "normal",
        "patient_000_node_1": "micro",
        "patient_000_node_2": "itc",
    }


def test_a_table_may_say_everything(tmp_path: Path) -> None:
    text = (
        "slide,label,case_id,center,split,annotated\nA.svs,1,P1,west,val,partial\nb,0,P2,,test,\n"
    )
    found = read_references(written(tmp_path, text))
    first, second = found["a"], found["b"]
    assert (first.label, first.patient, first.centre) == ("tumour", "P1", "west")
    assert (first.split, first.annotated) == ("validation", "partial")
    assert (second.split, second.annotated, second.centre) == ("test", None, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("where,what\na,b\n", "no column of slides"),
        ("slide,label\na,maybe\n", "line 2: label 'maybe' is none of"),
        ("slide,label,split\na,0,half\n", "line 2: split 'half'"),
        ("slide,label\na,0\nA.tif,1\n", "two different rows of slide A: lines 2 and 3"),
    ],
)
def test_what_cannot_be_understood_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(CohortError, match=said) as caught:
        read_references(path)
    assert str(path) in str(caught.value)


def test_saying_a_thing_twice_is_no_contradiction(tmp_path: Path) -> None:
    found = read_references(written(tmp_path, "slide,label\na,0\na.tif,normal\n"))
    assert found["a"].label == "normal"


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"absent\.csv: cannot be read"):
        read_references(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("images/test_001.tif", "test_001"),
        (r"C:\slides\A.SVS", "A"),
        ("case.12.tiff", "case.12"),
        ("a.b", "a.b"),
    ],
)
def test_names_are_taken_from_paths(text: str, name: str) -> None:
    assert plain_name(text) == name


def test_a_table_of_labels_becomes_a_cohort_by_the_challenges_names(tmp_path: Path) -> None:
    text = "patient,stage\npatient_021.zip,pN1\npatient_021_node_0.tif,macro\n"
    (slide,) = read_any_cohort(written(tmp_path, text))
    assert (slide.name, slide.label, slide.patient) == (
        "patient_021_node_0",
        "macro",
        "patient_021",
    )
    assert (slide.centre, slide.split, slide.path) == ("centre_1", None, None)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_cohort_table_is_read_as_one_whatever_separates(tmp_path: Path, separator: str) -> None:
    text = "slide,label,truth_path,truth_kind\n\na,tumour,a.xml,asap\n".replace(",", separator)
    (slide,) = read_any_cohort(written(tmp_path, text))
    assert (slide.label, slide.truth) == ("tumour", tmp_path / "a.xml")
