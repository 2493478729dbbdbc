"""Tables of other programs."""

from pathlib import Path

import pytest

from wsi_pipeline.errors import CohortError
from wsi_pipeline.evaluation.tables import read_labels, read_scores


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "slide,score\ntest_001,0.25\ntest_002,1e-3\n",
        "name,probability\ntest_001.tif,0.25\nTest_002.TIF,0.001\n",
        "\ufeffImage Name;Slide-Score\ntest_001;0.25\ntest_002;.001\n",
        "filename\tprob\n/data/test_001.tif\t0.25\n\n/data/test_002.tif\t0.001\n",
        "label,p_tumor,Slide\n1,0.25,test_001\n0,0.001,test_002\n",
        "test_001,0.25\ntest_002,0.001\n",
        "nr,Slide number,Metastasis probability\n1,test_001,0.25\n2,test_002,0.001\n",
        "case_nr,our_output_v3\ntest_001,0.25\ntest_002,0.001\n",
        "slide,status,reason,result,slide_score\ntest_001.svs,done,,a,0.25\ntest_002,done,,b,0.001\n",
    ],
)
def test_scores_in_many_spellings(tmp_path: Path, text: str) -> None:
    found = read_scores(write(tmp_path, text))
    assert {key: score for key, (_, score) in found.items()} == {
        "test_001": 0.25,
        "test_002": 0.001,
    }


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "is empty"),
        ("slide,score\ntest_001,high\n", "line 2: test_001 has the score 'high', not a number"),
        ("slide,score\ntest_001,\n", "line 2: test_001 has the score '', not a number"),
        ("slide,score\ntest_001,nan\n", "not a number"),
        ("slide,score\ntest_001,inf\n", "not a number"),
        ("slide,score\na,1\nb,2\nA.tif,3\n", "line 4: slide A is there twice"),
        ("slide,score\ntest_001\n", "line 2 has too few cells"),
        ("a,b,c\n1,2,3\n", "has the columns a, b, c; it needs slide and score"),
    ],
)
def test_bad_scores_are_named(tmp_path: Path, text: str, cause: str) -> None:
    with pytest.raises(CohortError) as caught:
        read_scores(write(tmp_path, text))
    assert cause in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="cannot be read"):
        read_scores(tmp_path / "none.csv")


def test_labels_as_submitted_to_the_challenge(tmp_path: Path) -> None:
    text = (
        "patient,stage\npatient_100.zip,pN0\npatient_100_node_0.tif,negative\n"
        "patient_100_node_1.tif,ITC\npatient_100_node_2.tif,macro\n"
    )
    found = read_labels(write(tmp_path, text))
    assert dict(found.values()) == {
        "patient_100_node_0": "normal",
        "patient_100_node_1": "itc",
        "patient_100_node_2": "macro",
    }


def test_unknown_labels_are_named(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"line 2: node has the label 'huge'"):
        read_labels(write(tmp_path, "slide,label\nnode,huge\n"))
