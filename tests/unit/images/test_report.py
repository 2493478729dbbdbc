"""The page shows what it should in one file, and no name of a file or class becomes HTML."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsi_pipeline.classes import Classes, ModelClass, Task
from wsi_pipeline.images.classification import Answer, Outcome
from wsi_pipeline.images.collection import LabelledImage
from wsi_pipeline.images.evaluation import evaluate
from wsi_pipeline.images.report.galleries import caption, errors_section
from wsi_pipeline.images.report.page import report_page
from wsi_pipeline.images.table import Row
from wsi_pipeline.images.verdict import Verdict

NAMES = ("<i>a", "b&c", "d")
CLASSES = Classes("multiclass", tuple(map(ModelClass, NAMES)), "b&c")


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    """Two sources; the second lacks a class and has a label that the model does not know."""
    made = []
    for index in range(24):
        path = tmp_path / f"<script>{index}.png"
        Image.fromarray(np.full((9, 12, 3), 10 * index, np.uint8)).save(path)
        source = "here" if index < 12 else "there"
        label = NAMES[index % (3 if index < 12 else 2)]
        if index == 23:
            label = "<u>unknown"
        called = NAMES[0] if index % 5 == 0 else label
        called = called if called in NAMES else NAMES[1]
        place = NAMES.index(called)
        values = tuple(0.8 if other == place else 0.1 for other in range(3))
        members = (called,) if index % 4 else (called, NAMES[2])
        reason = "" if index % 4 else "may be <b>two"
        verdict = Verdict((called,), (place,), members, reason, 0.8)
        image = LabelledImage(path, label, f"p{index // 2}", source)
        made.append(Row(Outcome(image, Answer(str(index), 12, 9, values)), verdict))
    made.append(Row(Outcome(LabelledImage(tmp_path / "x.png"), error="x.png: <em>bad"), None))
    return made


def summary_of(rows: list[Row]) -> dict[str, object]:
    return {
        "program": "wsi-pipeline 1",
        "images": "images/",
        "done": 24,
        "failed": ["x.png: <em>bad"],
        "problems": [],
        "predicted": dict.fromkeys(NAMES, 8),
        "review": 6,
        "review_unavailable": None,
        "coverage": 0.9,
        "least_probability_in_set": 0.25,
        "model": {
            "name": "m",
            "version": "1",
            "notice": "Research <preview>",
            "classes": list(NAMES),
            "positive": "b&c",
            "task": "multiclass",
            "made_for_images": False,
        },
        "seen": {"train": 2, "validation": 0, "told": "among these images are 2 <of> them"},
        "runtime": {"runtime": "torch 2", "device": "cpu", "precision": "fp32"},
        "evaluation": evaluate(rows, CLASSES, 0.9),
    }


def test_names_are_words_and_everything_is_in_the_page(rows: list[Row]) -> None:
    page = report_page(summary_of(rows), rows, CLASSES)
    for raw in ("<i>a", "<script>", "<u>", "<b>two", "<em>", "<preview>", "b&c"):
        assert raw not in page, raw
    for words in (
        "The most confident errors",
        "Look at these again",
        "&lt;u&gt;unknown (1)",
        "Confusion matrix",
        "1 image left out: x.png: &lt;em&gt;bad",
        "made for patches of slides",
        "Here the limit is 0.2500",
        "Among these images are 2 &lt;of&gt; them.",
    ):
        assert words in page, words
    # A source that lacks a class has it in its confusion matrix, like the unknown label.
    for part in page.split("truth ↓ model →")[1:]:
        row = part.split("</tr>")[0]
        assert row.count("<th") == 4
    assert page.count("truth ↓ model →") == 3
    assert "http" not in page.replace("http-equiv", "")


def test_images_unlike_the_training_are_counted(rows: list[Row]) -> None:
    unlike = {"compared": 80, "unlike": 1, "level": 0.01}
    page = report_page({**summary_of(rows), "unlike_training": unlike}, rows, CLASSES)
    assert "1 of 80 images is unlike the training images: fewer than 1% of" in page
    none = {**summary_of(rows), "unlike_training": {**unlike, "unlike": 0}}
    assert "unlike the training images" not in report_page(none, rows, CLASSES)


def test_figures_leave_out_what_the_model_cannot_know(rows: list[Row]) -> None:
    found = evaluate(rows, CLASSES, 0.9)
    assert found is not None
    assert (found["labelled"], found["unknown_labels"]) == (24, {"<u>unknown": 1})
    assert found["all"]["images"] == 23
    assert found["all"]["groups"] == 12
    assert np.sum(found["all"]["confusion"]["counts"]) == 24
    there = found["sources"]["there"]
    assert there["classes"][2]["images"] == 0
    assert there["baseline"]["macro_recall"] == 0.5
    assert evaluate(rows[-1:], CLASSES, 0.9) is None
    nothing = evaluate(rows[23:], CLASSES, 0.9)
    assert nothing is not None
    assert nothing["all"] is None
    assert "there are no figures" in report_page(
        {**summary_of(rows), "evaluation": nothing}, rows[23:], CLASSES
    )


@pytest.mark.parametrize(
    ("task", "label", "called", "wrong"),
    [
        ("multiclass", "d", ("d",), False),
        ("multiclass", "d", ("b&c",), True),
        ("multiclass", "of no class", ("d",), False),
        ("multilabel", "d; b&c", ("b&c", "d"), False),
        ("multilabel", "d; b&c", ("d",), True),
        ("binary", "d", ("d",), False),
    ],
)
def test_errors_are_answers_that_the_label_contradicts(
    tmp_path: Path, task: Task, label: str, called: tuple[str, ...], wrong: bool
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    names = NAMES[1:] if task == "binary" else NAMES
    classes = Classes(task, tuple(map(ModelClass, names)), "b&c")
    verdict = Verdict(called, (0,), None, "", 0.3)
    answer = Answer("0", 4, 4, tuple([0.7, 0.3, 0.0][: len(names)]))
    row = Row(Outcome(LabelledImage(path, label), answer), verdict)
    page = errors_section([row], classes)
    assert ("<figure" in page) == wrong
    assert "0.30" in caption(row)
