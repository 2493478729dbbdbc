"""The predicted class follows the package's rule, and review follows the prediction set."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsi_pipeline.images.conformal import write_conformal
from wsi_pipeline.images.verdict import Judge
from wsi_pipeline.model.description import REFERENCE, WEIGHTS
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.pinning import write_description
from wsi_pipeline.testing.models import model_fields

SCORES = np.linspace(0, 0.5, 99)  # at a coverage of 0.9 classes of p >= 0.5408 are in the set


def make(folder: Path, scores: np.ndarray | None = None, **fields: Any) -> ModelPackage:
    folder.mkdir()
    task = fields.get("task", "binary")
    shape = (16,) if task == "binary" else (16, len(fields["classes"]))
    (folder / WEIGHTS).write_bytes(b"no network")
    patches = np.zeros((16, 64, 64, 3), np.uint8)
    np.savez(folder / REFERENCE, patches=patches, probabilities=np.zeros(shape, np.float32))
    if scores is not None:
        write_conformal(folder, scores)
    return write_description(folder, model_fields(64, **fields))


THREE = {"task": "multiclass", "classes": ["a", "b", "c"], "positive": "a"}


@pytest.mark.parametrize(
    ("values", "members", "reason"),
    [
        ((0.1, 0.7, 0.2), ("b",), ""),
        ((0.4, 0.35, 0.25), (), "resembles no class"),
    ],
)
def test_a_set_of_one_class_needs_no_review(
    tmp_path: Path, values: tuple[float, ...], members: tuple[str, ...], reason: str
) -> None:
    judge = Judge(make(tmp_path / "m", SCORES, **THREE), 0.9)
    assert not judge.unavailable
    assert judge.limit == pytest.approx(1 - SCORES[89])
    verdict = judge(values)
    assert verdict.members == members
    assert verdict.review == (len(members) != 1)
    assert reason in verdict.reason


def test_a_set_of_several_classes_names_them_the_likeliest_first(tmp_path: Path) -> None:
    judge = Judge(make(tmp_path / "m", np.linspace(0, 0.9, 99), **THREE), 0.9)
    verdict = judge((0.2, 0.35, 0.45))
    assert verdict.called == ("c",)
    assert verdict.ranked == (2, 1, 0)
    assert verdict.members == ("c", "b", "a")
    assert verdict.reason == "may be c or b or a"
    assert verdict.review is True


def test_a_binary_class_is_called_by_the_threshold(tmp_path: Path) -> None:
    threshold = {"value": 0.3, "chosen": "by hand"}
    judge = Judge(make(tmp_path / "m", threshold=threshold), 0.9)
    assert judge((0.69, float(np.float32(0.31)))).called == ("tumour",)
    assert judge((0.7, float(np.float32(0.3)))).called == ("tumour",)  # at the threshold
    assert judge((0.71, 0.29)).called == ("normal",)
    # The probability that is told is of the class that is called, not of the likelier one.
    assert judge((0.69, float(np.float32(0.31)))).probability == pytest.approx(0.31)
    assert judge((0.71, 0.29)).probability == 0.71
    assert judge((0.71, 0.29)).review is None
    assert "no conformal.npz" in judge.unavailable


def test_multilabel_classes_are_called_by_themselves_and_have_no_sets(tmp_path: Path) -> None:
    judge = Judge(make(tmp_path / "m", SCORES, **{**THREE, "task": "multilabel"}), 0.9)
    assert judge((0.6, 0.1, 0.9)).called == ("c", "a")
    assert judge((0.6, 0.1, 0.9)).probability == 0.9
    assert judge((0.1, 0.1, 0.2)).called == ()
    assert judge((0.1, 0.1, 0.2)).probability == 0.2
    assert judge((0.1, 0.1, 0.1)).members is None
    assert "exclude one another" in judge.unavailable
