"""What can be known to be wrong is told before slides are looked at."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wsi_pipeline.cohort import Cohort, CohortSlide
from wsi_pipeline.errors import CohortError, UsageError
from wsi_pipeline.training.command import summarise_folds, train_cohort
from wsi_pipeline.training.request import Order, package_name
from wsi_pipeline.training.run import Silence


@pytest.fixture
def order(small: Any, tmp_path: Path) -> Order:
    return Order(small(), tmp_path / "out", "m", "1", "none", 1, 0, (), False, 1, device="cpu")


def cohort(*splits: Any) -> Cohort:
    slides = (CohortSlide(f"s{i}", "tumour", f"p{i}", split=s) for i, s in enumerate(splits))
    return Cohort(tuple(slides))


def test_weights_that_are_missing_come_before_slides_that_are(order: Order, small: Any) -> None:
    spoiled = replace(order, recipe=small(init="missing.pth"))
    with pytest.raises(UsageError, match=r"missing\.pth: there is no such file"):
        train_cohort(cohort("train", "validation"), spoiled, Silence())
    with pytest.raises(CohortError, match="s0: the table has no slide_path of it"):
        train_cohort(cohort("train", "validation"), order, Silence())


def test_a_cohort_without_splits_names_the_ways_out(order: Order) -> None:
    with pytest.raises(CohortError, match=r"wsi dataset split.*--folds"):
        train_cohort(cohort("test", None), order, Silence())


def test_folders_give_packages_their_names() -> None:
    names = [package_name(Path(text)) for text in ("models/my model", ".hidden", "a_b-1.2", "ü")]
    assert names == ["my-model", "hidden", "a_b-1.2", "model"]


def test_folds_are_summed_up() -> None:
    figures = ("auc", "average_precision", "recall", "specificity", "accuracy", "precision", "f1")
    reports = [
        {
            "format": 1,
            "use": "research",
            "synthetic": number == 1,
            "validation": {name: {"value": value} for name in figures},
        }
        for number, value in enumerate((0.8, 0.9, None))
    ]
    summary = summarise_folds(reports)
    assert summary["validation"]["auc"] == {"mean": 0.85, "sd": 0.070711}
    assert summary["synthetic"]
    assert summary["folds"] == 3
