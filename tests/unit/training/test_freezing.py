"""Blocks of a network, and what training leaves as it is."""

from typing import Any

import pytest
import torch

from wsi_pipeline.errors import UsageError
from wsi_pipeline.training.freezing import blocks, freeze
from wsi_pipeline.training.initial_weights import new_classifier
from wsi_pipeline.training.loop import Training
from wsi_pipeline.training.recipe import load_recipe


def test_blocks_of_vgg_end_with_its_maxima() -> None:
    classifier = new_classifier(load_recipe("blood-cells-vgg19"), ("a", "b", "c"))
    found = blocks(classifier)
    assert len(found) == 5
    freeze(classifier, "all-but-last-1")
    trained = {name for name, one in classifier.network.named_parameters() if one.requires_grad}
    # Block 5 of VGG19 begins with layer 28.
    assert {name.split(".")[1] for name in trained if name.startswith("features")} == {
        "28",
        "30",
        "32",
        "34",
    }
    assert {"fc.weight", "fc.bias"} <= trained


def test_names_and_what_there_is_not() -> None:
    classifier = new_classifier(load_recipe("leukaemia-transfer"), ("a", "b"))
    assert ["blocks.6"] in blocks(classifier)
    assert len(freeze(classifier, ("conv_stem", "blocks"))) == 2
    assert not classifier.network.get_submodule("blocks.3.0.conv_pw").weight.requires_grad
    with pytest.raises(UsageError, match="no module stem; it has conv_stem"):
        freeze(classifier, ("stem",))
    with pytest.raises(UsageError, match=r"the network has \d+ blocks; keep fewer"):
        freeze(classifier, "all-but-last-99")


def test_what_is_frozen_stays(make_run: Any, small: Any) -> None:
    run = make_run(recipe=small(epochs=1, freeze=["features.0"]))
    training = Training(run)
    state = training._classifier.network.state_dict()
    before = {name: value.clone() for name, value in state.items()}
    after = training.train().classifier.network.state_dict()
    assert torch.equal(after["features.0.weight"], before["features.0.weight"])
    assert not torch.equal(after["features.3.weight"], before["features.3.weight"])
