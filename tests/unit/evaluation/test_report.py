"""The page and its folder: whole, self-contained, and honest about what is missing."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from laboratory_support import Laboratory

from wsi_pipeline.errors import UsageError
from wsi_pipeline.evaluation.cases import Sources, pair
from wsi_pipeline.evaluation.evaluation import Evaluation, evaluate
from wsi_pipeline.evaluation.report.page import report_page
from wsi_pipeline.evaluation.report.pictures import examples, worst_errors
from wsi_pipeline.evaluation.report_folder import check_folder, write_folder
from wsi_pipeline.evaluation.settings import EvaluationSettings, TileRule

QUICK = EvaluationSettings(resamples=40, tile_rule=TileRule("any", 0), stages=True)
#: Elements without an end; SVG's close themselves.
VOID = {"meta", "img"}
TUMOUR = [(0, 0, 800, 200)]


class Page(HTMLParser):
    """Checks that elements nest, and collects what the page shows and asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asked: list[str] = []
        self.words: list[str] = []
        self.images = 0
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.asked += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        self.images += tag == "img"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def evaluation(laboratory: Laboratory, *, pixels: bool = True) -> Evaluation:
    """Four slides with tumour of falling Dice and a normal one with a false alarm."""
    tumour = [(0, 0, 300, 200)]
    rows = ([[0.9] * 3] * 2, [[0.9, 0.9, 0.1]] * 2, [[0.9, 0.1, 0.1]] * 2, [[0.2, 0.1, 0.1]] * 2)
    slides = [
        laboratory.slide(
            f"t{index}",
            [[*row, 0.1, 0.1] for row in row_s],
            tumour,
            centre="ab"[index % 2],
            pixels=pixels,
        )
        for index, row_s in enumerate(rows)
    ]
    false = laboratory.slide("<n>", [[0.1, 0.7, 0.1, 0.1, 0.1]] * 2, centre="a", pixels=pixels)
    cohort = laboratory.cohort(*slides, false)
    return evaluate(cohort, pair(cohort, Sources((laboratory.results,)), None), QUICK, workers=1)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Slides that are there."""
    return evaluation(Laboratory(tmp_path_factory.mktemp("drawn")))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Slides of which there are results only."""
    return evaluation(Laboratory(tmp_path_factory.mktemp("plain")), pixels=False)


@pytest.fixture(scope="module")
def text(drawn: Evaluation) -> str:
    """The page of the slides that are there."""
    return report_page(drawn, QUICK)


def test_the_page_needs_nothing_but_itself(text: str) -> None:
    page = Page(text)
    assert page.images > 6
    assert all(one.startswith("data:image/jpeg;base64,") for one in page.asked)
    assert not re.search(r"<script|url\(|@import|https?://", text)
    words = " ".join(page.words)
    for title in ("Slide AUC", "FROC", "Dice", "Reliability", "Operating points", "Stages"):
        assert title in words
    for title in ("Best slide: t0", "Median slide: t2", "Worst slide: t3"):
        assert title in words
    assert "Research use only" in words
    assert "Synthetic: the model was trained on synthetic tissue" in words
    assert "squares 2: Trained on synthetic tissue." in words
    assert "<n>" in words
    assert "<n>" not in text


def test_every_number_of_the_headline_is_in_the_metrics(drawn: Evaluation, text: str) -> None:
    words = " ".join(Page(text).words)
    for key in ("slide_auc", "dice", "patch_auc", "patch_recall"):
        assert f"{drawn.metrics['headline'][key]['value']:.3f}" in words


def test_best_median_and_worst(plain: Evaluation) -> None:
    chosen = examples(plain.slides)
    assert [(name, one.slide.name) for name, one in chosen] == [
        ("best", "t0"),
        ("median", "t2"),
        ("worst", "t3"),
    ]


def test_the_most_confident_errors_come_first(plain: Evaluation) -> None:
    slides = plain.slides
    missed = worst_errors(slides, 20, missed=True)
    shown = [(one.slide.name, float(one.tiles.probability[i])) for one, i in missed if one.tiles]
    # Two of t1, four of t2, and of the six of t3 the four below its others' 0.2.
    assert [value for _, value in shown] == pytest.approx([0.1] * 10)
    assert [name for name, _ in shown].count("t3") == 4
    assert len(worst_errors(slides, 3, missed=True)) == 3
    false = worst_errors(slides, 20, missed=False)
    assert [one.slide.name for one, _ in false] == ["<n>", "<n>"]


def test_pictures_that_cannot_be_drawn_are_told(plain: Evaluation) -> None:
    page = Page(report_page(plain, QUICK))
    words = " ".join(page.words)
    assert page.images == 0
    assert "Pictures are missing: the table does not say where slide t0 is" in words


def test_missing_and_failed_slides_stand_at_the_top(laboratory: Laboratory) -> None:
    tumour = laboratory.slide("t", [[0.9, 0.1]], [(0, 0, 100, 100)])
    gone = replace(laboratory.slide("gone", [[0.1, 0.1]]), name="absent")
    lying = laboratory.slide("lying", [[0.9]], [(0, 0, 90, 90)], label="normal")
    (laboratory.results / "gone.zarr").rename(laboratory.folder / "gone.zarr")
    cohort = laboratory.cohort(tumour, gone, lying)
    settings = replace(QUICK, stages=False)
    done = evaluate(cohort, pair(cohort, Sources((laboratory.results,)), None), settings)
    words = " ".join(Page(report_page(done, settings)).words)
    assert "Not evaluated, without results: absent." in words
    assert "Not evaluated: lying: " in words


def test_scores_alone_make_a_page(laboratory: Laboratory) -> None:
    tumour, normal = laboratory.slide("t", [[0.9]]), laboratory.slide("n", [[0.1]])
    cohort = laboratory.cohort(replace(tumour, label="tumour"), normal)
    path = laboratory.folder / "scores.csv"
    path.write_text("slide,score\nt,0.9\nn,0.3\n")
    settings = replace(QUICK, stages=False)
    done = evaluate(cohort, pair(cohort, Sources(scores=path), None), settings)
    words = " ".join(Page(report_page(done, settings)).words)
    assert "ROC of slides" in words
    assert "FROC" not in " ".join(Page(report_page(done, settings)).words[:40])


def test_the_folder_is_written_whole(plain: Evaluation, tmp_path: Path) -> None:
    out = tmp_path / "report"
    write_folder(out, plain, "<html>")
    assert sorted(path.name for path in out.iterdir()) == [
        "detections",
        "metrics.json",
        "report.html",
    ]
    assert json.loads((out / "metrics.json").read_text()) == json.loads(json.dumps(plain.metrics))
    files = {path.stem: path.read_text() for path in (out / "detections").iterdir()}
    assert sorted(files) == ["<n>", "t0", "t1", "t2", "t3"]
    assert files["t3"] == ""
    # Four cells 50 µm apart of one probability are one detection: the first of them.
    assert files["t1"] == f"{np.float32(0.9):.9g},50,50\n"


def test_the_detections_written_give_the_same_froc(laboratory: Laboratory) -> None:
    """A lesion of 16 cells of 50 µm, found at .9 and .7; false alarms at .9, .8 and .6."""
    tumour = laboratory.slide("t", [[0.1, 0.9, 0.1, 0.1, 0.1, 0.7, *[0.1] * 14]] * 2, TUMOUR)
    missed = laboratory.slide("u", [[*[0.1] * 15, 0.8, *[0.1] * 4]] * 2, TUMOUR)
    normal = laboratory.slide("n", [[0.9, *[0.1] * 10, 0.6]] * 2)
    cohort = laboratory.cohort(tumour, missed, normal)
    settings = replace(QUICK, stages=False)
    done = evaluate(cohort, pair(cohort, Sources((laboratory.results,)), None), settings)
    out = laboratory.folder / "report"
    write_folder(out, done, "")
    both = Sources((laboratory.results,), None, out / "detections")
    again = evaluate(cohort, pair(cohort, both, None), settings)
    first, second = (one.metrics["groups"]["all"]["lesion_level"] for one in (done, again))
    assert first["false_positives"] == 3
    assert 0 < first["froc"]["value"] < 1
    assert [len(one.detections or ()) for one in again.slides] == [2, 1, 2]
    assert second["froc"] == first["froc"]
    assert second["curve"]["false_positives"] == first["curve"]["false_positives"]


def test_a_report_is_replaced_only_when_asked(plain: Evaluation, tmp_path: Path) -> None:
    out = tmp_path / "report"
    write_folder(out, plain, "first")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="already exists; pass --overwrite"):
        write_folder(out, plain, "second")
    assert (out / "report.html").read_text() == "first"
    write_folder(out, plain, "second", overwrite=True)
    assert (out / "report.html").read_text() == "second"
    assert (out / "notes.txt").read_text() == "mine"
    assert not list(out.glob(".*"))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("")
    with pytest.raises(UsageError, match="is a file"):
        check_folder(path, overwrite=True)
