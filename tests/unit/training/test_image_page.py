"""The page and the printed lines of a report say the same, and hide no limit."""

from typing import Any

import numpy as np
import pytest

from wsi_pipeline.cli.training_report import print_report
from wsi_pipeline.images.figures import Cases, confusion_of, figures_of
from wsi_pipeline.training.image_page import training_page
from wsi_pipeline.training.recipe import load_recipe

NAMES = ("a", "b", "<c>")


def part(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    truth = np.arange(45) % 3
    shares = rng.dirichlet([1, 1, 1], 45)
    called = shares.argmax(axis=1)
    flags = np.eye(3, dtype=bool)
    groups = np.arange(45)
    cases = Cases(NAMES, 1, flags[truth], flags[called], shares, shares > 0.2, groups, truth)
    counts = confusion_of(truth, called, 3).tolist()
    figures = figures_of(cases, "multiclass", 0.9)
    return {**figures, "confusion": {"labels": list(NAMES), "counts": counts}, "sources": {}}


@pytest.fixture
def report() -> dict[str, Any]:
    facts = {"images": 45, "groups": 45, "of_class": dict.fromkeys(NAMES, 15)}
    epoch = {"validation": {"auc": 0.7, "f1": 0.5}}
    return {
        "package": "models/cells",
        "synthetic": False,
        "seed": 1,
        "recipe": load_recipe("leukaemia-cnn").model_dump(mode="json"),
        "classes": list(NAMES),
        "positive": "b",
        "data": {
            "kind": "images",
            "origin": "cells.csv",
            "test_source": "far",
            "split_by": "image",
            "note": "groups are unknown",
            "alike": 3,
            "alike_note": "3 images hold the same picture as another one",
            "kept_apart": 2,
            "doubtful": ["x and y have different labels"],
            "left_out": ["z: is damaged"],
            "parts": dict.fromkeys(("train", "validation", "test", "external"), facts),
        },
        "history": [epoch, epoch, epoch],
        "best": {"best_epoch": 2},
        "calibration": {"temperature": 1.2},
        "threshold": {"value": None, "rule": "none"},
        "conformal": {"limit": 0.8},
        "test": part(1),
        "external": part(2),
    }


def test_the_page_says_what_limits_its_figures(report: dict[str, Any]) -> None:
    page = training_page(report)
    for said in (
        "Groups are unknown.",
        "x and y have different labels.",
        "Left out: z: is damaged.",
        "2 images left out: of one group with an image of far, or the same picture as one",
        "far (never trained on)",
        "positive class: b",
        "The weights of epoch 2 are kept",
        "at least 0.2000",
    ):
        assert said in page
    assert "&lt;c&gt;" in page
    assert "<c>" not in page
    assert "&amp;" not in page  # nothing is made safe twice


def test_a_fitted_head_has_no_course(report: dict[str, Any]) -> None:
    assert "Course of the training" in training_page(report)
    assert "Course of the training" not in training_page({**report, "history": [{}]})


def test_the_printed_lines(report: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    print_report(report)
    printed = capsys.readouterr().out
    accuracy = report["test"]["accuracy"]["value"]
    for said in ("external (far)", "* b", "positive class: b", f"accuracy    {accuracy:.3f} (95 %"):
        assert said in printed
    assert "review" in printed
