"""A linear probe fits a head to features it computes once, and goes on after a kill."""

from typing import Any

import numpy as np
import pytest
import torch

from wsi_pipeline.errors import StoppedError, UsageError
from wsi_pipeline.model.linear_probe import as_pixels
from wsi_pipeline.training.device import Team
from wsi_pipeline.training.linear_probe import LinearProbeFit
from wsi_pipeline.training.recipe import Recipe


@pytest.fixture
def recipe(small: Any) -> Recipe:
    made: Recipe = small(
        method="probe", probe={"penalties": [1.0, 100.0], "statistics_patches": 8}, batch=4
    )
    return made


def test_it_learns(make_run: Any, recipe: Recipe) -> None:
    trained = LinearProbeFit(make_run(recipe=recipe)).train()
    assert trained.figures.auc > 0.9
    assert trained.details["penalty"] in (1.0, 100.0)


def test_the_network_says_what_the_fitted_head_says(
    make_run: Any, recipe: Recipe, validation_source: Any
) -> None:
    trained = LinearProbeFit(make_run(recipe=recipe)).train()
    told = trained.state.history[0]["validation"]
    assert trained.figures.auc == pytest.approx(told["auc"], abs=1e-6)
    assert trained.figures.loss == pytest.approx(told["loss"], abs=1e-4)
    with torch.inference_mode():
        pixels = as_pixels(validation_source.patches[trained.validation.items])
        logits = trained.classifier.logits(pixels).numpy()
    assert np.allclose(logits, trained.logits, atol=1e-3)


def test_features_of_before_are_not_computed_again(
    make_run: Any, recipe: Recipe, train_source: Any, validation_source: Any
) -> None:
    undisturbed = LinearProbeFit(make_run("undisturbed", recipe)).train()
    left = [4]

    def stopped() -> bool:
        left[0] -= 1
        return left[0] < 0

    validation_source.reads.clear()
    with pytest.raises(StoppedError):
        LinearProbeFit(make_run("stopped", recipe, stopped=stopped)).train()
    before = len(validation_source.reads)
    resumed = LinearProbeFit(make_run("stopped", recipe)).train()
    assert 0 < before < 40 + 16
    one, other = (t.classifier.network.state_dict() for t in (undisturbed, resumed))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert np.array_equal(undisturbed.logits, resumed.logits)
    # The 16 patches of the first chunk were not read again.
    assert len(validation_source.reads) - before == len(resumed.validation) - 16


def test_hard_negatives_join(make_run: Any, small: Any, recipe: Recipe) -> None:
    mining = {"rounds": 1, "candidates": 20, "keep": 0.5}
    changed = recipe.model_dump() | {"mining": mining}
    trained = LinearProbeFit(make_run(recipe=Recipe.model_validate(changed))).train()
    assert len(trained.state.hard) == 10
    assert [entry["patches"] for entry in trained.state.history] == [48, 58]


def test_one_process_fits_it(make_run: Any, recipe: Recipe) -> None:
    with pytest.raises(UsageError, match="without torchrun"):
        LinearProbeFit(make_run(recipe=recipe, team=Team(0, 2, 0)))
