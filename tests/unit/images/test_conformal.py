"""Prediction sets hold the true class as often as they promise, however bad the model is."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.classes import Classes, ModelClass
from wsi_pipeline.images.conformal import (
    Conformal,
    conformal_of,
    of_all_classes,
    scores_of,
    write_conformal,
)
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.pinning import write_description


def test_the_limit_is_the_score_of_the_rank_in_the_paper() -> None:
    scores = Conformal(np.arange(1, 20) / 20)
    assert scores.limit(0.9) == 18 / 20  # ceil(20 * 0.9) = 18
    assert scores.limit(0.901) == 19 / 20
    assert scores.limit(0.5) == 10 / 20
    # (99 + 1) * 0.07 is 7.000000000000001 in floating point, and its rank is 7.
    assert Conformal(np.arange(1, 100) / 100).limit(0.07) == 0.07


@pytest.mark.parametrize("count", [1, 5, 8])
def test_too_few_images_put_every_class_into_the_set(count: int) -> None:
    few = Conformal(np.zeros(count))
    assert few.limit(0.9) == 1
    assert few.sets([[1.0, 0.0, 0.0]], 0.9).all()


def test_a_set_may_hold_one_class_several_or_none() -> None:
    sets = Conformal(np.full(20, 0.6)).sets([[0.9, 0.1, 0.0], [0.45, 0.45, 0.1], [0.34] * 3], 0.9)
    assert sets.sum(axis=1).tolist() == [1, 2, 0]


@pytest.mark.parametrize("coverage", [0, 1, -0.1, 1.5])
def test_a_coverage_out_of_range_is_refused(coverage: float) -> None:
    with pytest.raises(ValueError, match="above 0 and below 1"):
        Conformal(np.zeros(20)).limit(coverage)


@pytest.mark.parametrize("coverage", [0.7, 0.9])
def test_the_sets_of_a_bad_model_still_hold_the_truth_as_promised(coverage: float) -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(40_000, 4))
    true = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    wrong = np.exp(3 * logits)  # far too sure of itself
    probabilities = wrong / wrong.sum(axis=1, keepdims=True)
    half = len(true) // 2
    fitted = Conformal(scores_of(probabilities[:half], true[:half]))
    sets = fitted.sets(probabilities[half:], coverage)
    held = sets[np.arange(half), true[half:]].mean()
    # Four standard errors of both halves.
    assert abs(held - coverage) < 4 * np.sqrt(2 * coverage * (1 - coverage) / half)


@given(st.floats(0, 1, width=32), st.sampled_from([0, 1]))
def test_both_classes_of_a_binary_model_have_a_probability(value: float, place: int) -> None:
    names = ("normal", "tumour")
    classes = Classes("binary", tuple(map(ModelClass, names)), names[place])
    both = of_all_classes(classes, np.array([value], np.float32))
    assert both.shape == (1, 2)
    assert both[0, place] == np.float32(value)
    assert both.sum() == 1


def test_a_package_carries_the_scores(stub_package: ModelPackage, tmp_path: Path) -> None:
    assert conformal_of(stub_package) is None
    folder = Path(shutil.copytree(stub_package.folder, tmp_path / "package"))
    facts = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    facts.pop("files")
    write_conformal(folder, np.array([0.4, 0.1]))
    found = conformal_of(write_description(folder, facts))
    assert found is not None
    assert found.scores.tolist() == [0.1, 0.4]
