"""Learning rates go on as the recipe says, also after an interruption."""

from typing import Any

import pytest
import torch

from wsi_pipeline.errors import StoppedError
from wsi_pipeline.training.loop import Training
from wsi_pipeline.training.schedule import Rates, make_optimiser


def rates(recipe: Any, metrics: list[float]) -> list[float]:
    optimiser = make_optimiser([torch.zeros(1, requires_grad=True)], recipe.optimiser)
    schedule = Rates(optimiser, recipe)
    found = []
    for epoch, metric in enumerate(metrics):
        schedule.begin(epoch)
        found.append(optimiser.param_groups[0]["lr"])
        schedule.end(metric)
    return found


def test_a_plateau_lowers_it(small: Any) -> None:
    recipe = small(
        optimiser={"learning_rate": 0.1},
        schedule={"name": "plateau", "factor": 0.5, "patience": 1},
    )
    assert rates(recipe, [0.5, 0.6, 0.6, 0.6, 0.6]) == [0.1, 0.1, 0.1, 0.1, 0.05]


def test_a_cosine_ends_near_nothing(small: Any) -> None:
    recipe = small(
        epochs=10, optimiser={"learning_rate": 0.1}, schedule={"name": "cosine", "warm_up": 2}
    )
    found = rates(recipe, [0.0] * 10)
    assert found[0] == pytest.approx(0.01)
    assert found[2] == max(found)
    assert found[-1] < 0.01


def test_an_interrupted_plateau_goes_on_to_the_same_bits(make_run: Any, small: Any) -> None:
    recipe = small(
        epochs=4,
        schedule={"name": "plateau", "factor": 0.5, "patience": 0},
        optimiser={"name": "nadam", "learning_rate": 1e-6},
    )
    whole = Training(make_run("whole", recipe)).train()
    left = [14]

    def stopped() -> bool:
        left[0] -= 1
        return left[0] == 0

    with pytest.raises(StoppedError):
        Training(make_run("stopped", recipe, stopped=stopped)).train()
    resumed = Training(make_run("stopped", recipe)).train()
    assert resumed.state.history == whole.state.history
    learned = [entry["learning_rate"] for entry in whole.state.history]
    assert learned[-1] < learned[0]
