"""Training learns, stops when it should, and goes on to the very same bits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from wsi_pipeline.errors import StoppedError, TrainingError, UsageError
from wsi_pipeline.model.network import Classifier
from wsi_pipeline.training.checkpoint import CHECKPOINT, load
from wsi_pipeline.training.device import GlobalMaximum, GlobalMean, Team
from wsi_pipeline.training.loop import Training
from wsi_pipeline.training.recipe_sections import Optimiser
from wsi_pipeline.training.run import Trained
from wsi_pipeline.training.schedule import make_optimiser

CUDNN: Any = torch.backends.cudnn


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    return trained.classifier.network.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def after(steps: int) -> Callable[[], bool]:
    """Says stop once, after so many steps."""
    left = [steps]

    def stopped() -> bool:
        left[0] -= 1
        return left[0] == 0

    return stopped


def test_it_learns_and_tells(make_run: Any, small: Any) -> None:
    run = make_run(recipe=small(epochs=4))
    trained = Training(run).train()
    assert trained.figures.auc > 0.9
    assert [entry["epoch"] for entry in trained.state.history] == [1, 2, 3, 4]
    assert trained.state.history[-1]["loss"] < trained.state.history[0]["loss"]
    assert trained.state.steps == 4 * 6
    assert not trained.classifier.training
    assert len(trained.logits) == len(trained.labels) == len(trained.validation)


def test_what_a_threshold_is_fitted_to_is_not_tf32(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of torch's two settings for fp32 on a GPU; there is none here."""
    asked: set[tuple[bool, str]] = set()
    logits = Classifier.logits

    def told(classifier: Classifier, pixels: torch.Tensor) -> torch.Tensor:
        asked.add((classifier.training, CUDNN.conv.fp32_precision))
        return logits(classifier, pixels)

    monkeypatch.setattr(Classifier, "logits", told)
    Training(make_run()).train()
    assert asked == {(True, "tf32"), (False, "ieee")}


def test_the_same_seed_gives_the_same_bits_and_another_does_not(make_run: Any) -> None:
    one, two = (Training(make_run(folder)).train() for folder in ("one", "two"))
    assert same(weights(one), weights(two))
    assert np.array_equal(one.logits, two.logits)
    other = Training(make_run("three", seed=4)).train()
    assert not same(weights(one), weights(other))


@pytest.mark.parametrize("stops", [(1,), (5, 2), (6, 7), (3, 3, 3, 3)])
def test_interrupted_it_ends_with_the_same_bits(
    make_run: Any, small: Any, stops: tuple[int, ...]
) -> None:
    recipe = small(mining={"rounds": 1, "epochs": 1, "candidates": 20}, epochs=2)
    undisturbed = Training(make_run("undisturbed", recipe)).train()
    for steps in stops:
        with pytest.raises(StoppedError):
            Training(make_run("stopped", recipe, stopped=after(steps))).train()
    resumed = Training(make_run("stopped", recipe)).train()
    assert same(weights(resumed), weights(undisturbed))
    told = [{**entry, "validation": entry["validation"]} for entry in undisturbed.state.history]
    assert resumed.state.history == told
    assert resumed.state.hard == undisturbed.state.hard != []


def test_a_finished_training_is_not_trained_again(make_run: Any, train_source: Any) -> None:
    first = Training(make_run()).train()
    train_source.reads.clear()
    again = Training(make_run()).train()
    assert same(weights(first), weights(again))
    assert train_source.reads == []


def test_another_trainings_checkpoint_is_not_resumed(make_run: Any, small: Any) -> None:
    Training(make_run()).train()
    with pytest.raises(UsageError, match="--restart"):
        Training(make_run(seed=9))
    with pytest.raises(UsageError, match="--restart"):
        Training(make_run(recipe=small(batch=4)))


def test_no_better_for_a_while_ends_the_round(make_run: Any, small: Any) -> None:
    # Steps too small to change anything: every epoch is as good as the first.
    recipe = small(
        epochs=9, selection={"patience": 2}, optimiser={"learning_rate": 1e-12, "name": "sgd"}
    )
    trained = Training(make_run(recipe=recipe)).train()
    assert len(trained.state.history) == 3
    assert trained.details["best_epoch"] == 1


def test_the_best_epochs_weights_are_kept(make_run: Any, small: Any) -> None:
    trained = Training(make_run(recipe=small(epochs=5))).train()
    told = [entry["validation"] for entry in trained.state.history]
    best = told[trained.details["best_epoch"] - 1]
    assert trained.figures.to_json() == best


def test_hard_negatives_are_the_likest_tumour(make_run: Any, small: Any, train_source: Any) -> None:
    mining = {"rounds": 1, "epochs": 1, "candidates": 100, "keep": 0.25}
    run = make_run(recipe=small(mining=mining))
    trained = Training(run).train()
    normal = int((~train_source.tumour).sum())
    assert len(trained.state.hard) == round(0.25 * normal)
    assert not train_source.tumour[trained.state.hard].any()
    assert [entry["round"] for entry in trained.state.history] == [1, 1, 1, 2]


def test_a_loss_that_is_no_number_is_said(make_run: Any, small: Any) -> None:
    recipe = small(optimiser={"name": "sgd", "learning_rate": 1e30}, epochs=1)
    run = make_run(recipe=recipe)
    with pytest.raises(TrainingError, match="smaller learning rate"):
        Training(run).train()


def test_a_batch_must_be_shareable(make_run: Any, small: Any) -> None:
    with pytest.raises(UsageError, match="cannot be shared by 3 processes"):
        Training(make_run(recipe=small(batch=8), team=Team(0, 3, 0)))


@pytest.mark.parametrize("name", ["rmsprop", "adam", "sgd"])
def test_optimisers_have_the_recipes_settings(name: Any) -> None:
    settings = Optimiser(name=name, learning_rate=0.02, weight_decay=0.1, alpha=0.9)
    made = make_optimiser([torch.zeros(2, requires_grad=True)], settings)
    assert type(made).__name__.lower() == name
    group = made.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.02, 0.1)
    assert group.get("alpha", 0.9) == 0.9


def test_the_learning_rate_decays_by_epoch(make_run: Any, small: Any) -> None:
    recipe = small(optimiser={"learning_rate": 0.01, "decay": 0.5})
    trained = Training(make_run(recipe=recipe)).train()
    assert [entry["learning_rate"] for entry in trained.state.history] == [0.01, 0.005, 0.0025]


def test_a_checkpoint_comes_every_few_steps(make_run: Any) -> None:
    run = make_run(stopped=after(5))
    with pytest.raises(StoppedError):
        Training(run).train()
    saved = load(run.folder, CHECKPOINT)
    assert saved is not None
    assert (saved["state"]["step"], saved["state"]["epoch"]) == (4, 0)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (GlobalMaximum(), torch.nn.AdaptiveMaxPool2d(1)),
        (GlobalMean(), torch.nn.AdaptiveAvgPool2d(1)),
    ],
)
def test_repeatable_pooling_gives_the_same_values(
    ours: torch.nn.Module, theirs: torch.nn.Module
) -> None:
    features = torch.randn(3, 5, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(ours(features), theirs(features), rtol=0, atol=1e-7)


def test_inference_gives_what_was_validated(make_run: Any, validation_source: Any) -> None:
    trained = Training(make_run()).train()
    classifier: Classifier = trained.classifier
    patches = validation_source.patches[trained.validation.items]
    with torch.inference_mode():
        pixels = torch.from_numpy(patches).permute(0, 3, 1, 2).float()
        probabilities = classifier(pixels).numpy()
    assert np.allclose(probabilities, 1 / (1 + np.exp(-trained.logits)), atol=1e-5)
