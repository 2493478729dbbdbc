"""Networks of timm's by their names, and what is put behind them."""

from typing import Any

import numpy as np
import pytest
import timm
import torch

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.architecture import Architecture
from wsi_pipeline.model.network import Classifier, build_network
from wsi_pipeline.testing.models import describe_model


def classifier(name: str, **changed: Any) -> Classifier:
    torch.manual_seed(0)
    return Classifier(describe_model(64, **{"architecture": {"name": name}, **changed})).eval()


PATCHES = torch.rand(2, 3, 64, 64) * 255
KINDS = {"task": "multiclass", "classes": ["a", "b", "tumour"]}


@pytest.mark.parametrize(
    "name",
    ["resnet18", "mobilenetv2_050", "vit_tiny_patch16_224", "efficientnet_lite0", "baseline"],
)
def test_networks_of_several_families(name: str) -> None:
    with torch.inference_mode():
        binary, several = classifier(name)(PATCHES), classifier(name, **KINDS)(PATCHES)
    assert binary.shape == (2,)
    assert several.shape == (2, 3)
    assert np.allclose(several.sum(1), 1, atol=1e-6)


def test_weights_have_the_names_that_timm_gives_them() -> None:
    ours = classifier("resnet18").network.state_dict()
    assert ours.keys() == timm.create_model("resnet18", num_classes=1).state_dict().keys()


def test_a_binary_softmax_answers_for_its_positive_class() -> None:
    made = classifier("resnet18", head="softmax", classes=["tumour", "normal"])
    with torch.inference_mode():
        shares = torch.softmax(made.logits(PATCHES), dim=1)
        assert torch.equal(made(PATCHES), shares[:, 0])


def test_several_labels_each_have_a_sigmoid() -> None:
    made = classifier("resnet18", **{**KINDS, "task": "multilabel"})
    with torch.inference_mode():
        assert torch.equal(made(PATCHES), torch.sigmoid(made.logits(PATCHES)))


def test_temperature_divides_the_logits() -> None:
    made = classifier("resnet18", **KINDS, calibration={"temperature": 2.0})
    with torch.inference_mode():
        assert torch.equal(made(PATCHES), torch.softmax(made.logits(PATCHES) / 2, dim=1))


def test_pooling() -> None:
    with torch.inference_mode():
        one, other = (
            classifier("resnet18", architecture={"name": "resnet18", "pooling": pooling})
            for pooling in ("max", "average")
        )
        assert not torch.equal(one(PATCHES), other(PATCHES))
        assert torch.equal(other(PATCHES), classifier("resnet18")(PATCHES))


def test_what_cannot_be_built() -> None:
    with pytest.raises(PackageError, match="did you mean resnet50"):
        build_network(Architecture(name="resnett50"), 1, 224)
    with pytest.raises(PackageError, match="cannot build it with max pooling"):
        build_network(Architecture(name="levit_128s", pooling="max"), 1, 224)
    with pytest.raises(PackageError, match="holds the network as graph, not as weights"):
        build_network(Architecture(name="graph"), 1, 224)
