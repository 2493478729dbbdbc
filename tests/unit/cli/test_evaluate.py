"""``wsi evaluate`` as its user calls it."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from laboratory_support import Laboratory

Wsi = Callable[..., tuple[int, str, str]]


@pytest.fixture
def wsi(wsi: Wsi, monkeypatch: pytest.MonkeyPatch) -> Wsi:
    """Runs ``wsi evaluate``: exit code, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "200")
    return partial(wsi, "evaluate")


def two_slides(folder: Path) -> Laboratory:
    laboratory = Laboratory(folder)
    tumour = laboratory.slide("t", [[0.9, 0.2, 0.1]], [(0, 0, 200, 100)], split="test")
    normal = laboratory.slide("n", [[0.6, 0.1, 0.1]], split="test")
    other = laboratory.slide("m", [[0.6, 0.1, 0.1]], split="train")
    laboratory.cohort(tumour, normal, other)
    return laboratory


def test_results_become_a_report(wsi: Wsi, tmp_path: Path) -> None:
    laboratory, out = two_slides(tmp_path), tmp_path / "report"
    code, said, told = wsi(
        laboratory.results, "--cohort", laboratory.table, "-o", out, "--resamples", 50, "--json"
    )
    assert code == 0, told
    metrics = json.loads(said)
    assert metrics == json.loads((out / "metrics.json").read_text())
    assert metrics["headline"]["slide_auc"]["value"] == 1
    assert metrics["cohort"]["split"] == "test"
    assert (out / "report.html").stat().st_size > 10_000
    assert (out / "detections" / "n.csv").read_text().startswith("0.6")
    assert "slide AUC" in told
    assert str(out / "report.html") in told


def test_scores_and_a_table_of_labels_are_enough(wsi: Wsi, tmp_path: Path) -> None:
    """Published tables come like that: names with endings, labels in words."""
    (tmp_path / "labels.csv").write_text("slide,label\na,Tumor\nb,Normal\nc,Normal\nd,Tumor\n")
    (tmp_path / "scores.csv").write_text(
        "name,probability\na.tif,.9\nb.tif,.3\nc.tif,.4\nd.tif,.4\n"
    )
    out = tmp_path / "report"
    code, _, told = wsi(
        "--scores", tmp_path / "scores.csv", "--cohort", tmp_path / "labels.csv", "-o", out, "-q"
    )
    assert code == 0
    assert told == ""
    auc = json.loads((out / "metrics.json").read_text())["headline"]["slide_auc"]
    assert auc["value"] == 3.5 / 4
    assert auc["low"] <= auc["value"] <= auc["high"]
    assert not (out / "detections").exists()


def test_a_missing_slide_is_named_and_the_rest_is_reported(wsi: Wsi, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("slide,label\na,tumour\nb,normal\nc,normal\n")
    (tmp_path / "scores.csv").write_text("slide,score\na,.9\nb,.3\n")
    out = tmp_path / "report"
    code, _, told = wsi(
        "--scores", tmp_path / "scores.csv", "--cohort", tmp_path / "labels.csv", "-o", out
    )
    assert code == 3
    assert "without scores, so not in the figures: c" in told
    arguments = ["--scores", tmp_path / "scores.csv", "--cohort", tmp_path / "labels.csv"]
    code, _, quiet = wsi(*arguments, "-o", tmp_path / "again", "-q")
    assert code == 3
    assert quiet == "! without scores, so not in the figures: c\n"
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["missing"] == {"scores": ["c"]}
    assert metrics["headline"]["slide_auc"]["value"] == 1


LABELS, SCORES = "slide,label\na,tumour\nb,normal\n", "slide,score\na,.9\nb,.3\n"


@pytest.mark.parametrize(
    ("cohort", "scores", "cause"),
    [
        (None, SCORES, "labels.csv: cannot be read"),
        ("", SCORES, "labels.csv: is empty"),
        ("where,what\na,b\n", SCORES, "labels.csv: has no column of slides"),
        ("slide,label\na,maybe\n", SCORES, "labels.csv: line 2: label 'maybe'"),
        ("slide,label\na,tumour\na,normal\n", SCORES, "labels.csv: slide a is there twice"),
        (LABELS, None, "scores.csv: cannot be read"),
        (LABELS, "slide,score\na,high\n", "scores.csv: line 2: a has the score 'high'"),
        (LABELS, SCORES + "x,.3\n", "labels.csv: has no row for x"),
    ],
)
def test_an_unusable_table_is_wrong_usage_and_leaves_no_report(
    wsi: Wsi, tmp_path: Path, cohort: str | None, scores: str | None, cause: str
) -> None:
    for name, text in (("labels.csv", cohort), ("scores.csv", scores)):
        if text is not None:
            (tmp_path / name).write_text(text)
    out = tmp_path / "report"
    code, _, told = wsi(
        "--scores", tmp_path / "scores.csv", "--cohort", tmp_path / "labels.csv", "-o", out, "-q"
    )
    assert code == 2
    assert cause in told
    assert told.count("\n") == 1
    assert not out.exists()


def test_camelyons_reference_without_a_header_is_a_cohort(wsi: Wsi, tmp_path: Path) -> None:
    """As downloaded; the duplicate among the test slides is in no figure."""
    (tmp_path / "reference.csv").write_text(
        "test_001,Tumor,IDC,Macro\ntest_002,Tumor,IDC,Micro\ntest_003,Normal,None,None\n"
        "test_049,Normal,None,None\n"
    )
    (tmp_path / "scores.csv").write_text("test_001,.9\ntest_002,.2\ntest_003,.4\ntest_049,.1\n")
    code, said, told = wsi(
        "--scores", tmp_path / "scores.csv", "--cohort", tmp_path / "reference.csv",
        "-o", tmp_path / "report", "--resamples", 20, "--json",
    )  # fmt: skip
    assert code == 0, told
    metrics = json.loads(said)
    assert metrics["headline"]["slide_auc"]["value"] == 0.5
    assert {row["slide"]: row["label"] for row in metrics["slides"]} == {
        "test_001": "macro",
        "test_002": "micro",
        "test_003": "normal",
    }


def test_challenge_files(wsi: Wsi, tmp_path: Path) -> None:
    laboratory = two_slides(tmp_path)
    folder, out = tmp_path / "csv", tmp_path / "report"
    folder.mkdir()
    (folder / "t.csv").write_text("0.8,50,50\n0.7,1000,50\n")
    (folder / "n.csv").write_text("")
    arguments = ["--detections", folder, "--cohort", laboratory.table, "-o", out]
    code, _, told = wsi(*arguments, "--interpolation", "last-at-most")
    assert code == 0, told
    level = json.loads((out / "metrics.json").read_text())["groups"]["all"]["lesion_level"]
    assert level["interpolation"] == "last-at-most"
    assert level["false_positives"] == 1
    assert (out / "detections" / "n.csv").read_bytes() == b""


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--tile-label", "most"], "--tile-label 'most'"),
        (["--detection-threshold", 0], "--detection-threshold is a probability"),
        (["--froc-mpp", -1], "--froc-mpp is µm per level-0 px"),
        (["--froc-mpp", "half"], "write a number, auto or slide"),
        (["--froc-downsample", 0], "--froc-downsample is level-0 px per px"),
        (["--split", "validation"], "it has no slide in split 'validation'"),
        (["--stages"], "no patient can be staged"),
    ],
)
def test_wrong_usage_is_told(wsi: Wsi, tmp_path: Path, options: list[object], cause: str) -> None:
    laboratory = two_slides(tmp_path)
    (tmp_path / "scores.csv").write_text("slide,score\nt,1\nn,0\n")
    code, _, told = wsi(
        "--scores", tmp_path / "scores.csv", "--cohort", laboratory.table,
        "-o", tmp_path / "report", *options,
    )  # fmt: skip
    assert code == 2
    assert cause in told
    assert not (tmp_path / "report").exists()


def test_a_report_is_not_replaced_unasked(wsi: Wsi, tmp_path: Path) -> None:
    laboratory, out = two_slides(tmp_path), tmp_path / "report"
    arguments = [laboratory.results, "--cohort", laboratory.table, "-o", out, "--resamples", 20]
    assert wsi(*arguments)[0] == 0
    code, _, told = wsi(*arguments)
    assert code == 2
    assert "pass --overwrite" in told
    assert wsi(*arguments, "--overwrite")[0] == 0
