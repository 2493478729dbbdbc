"""A head of two stages answers with probabilities of all classes; a head is part of its network."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.architecture import Architecture
from wsi_pipeline.model.head_shape import HeadShape
from wsi_pipeline.model.heads import FittedHead, TwoStage
from wsi_pipeline.model.network import build_network, last_layer
from wsi_pipeline.training.head_recipe import HeadRecipe, two_stage


def test_two_stages_are_products_of_probabilities() -> None:
    head = TwoStage(4, 4, ((0, 3),))
    with torch.inference_mode():
        found = head(torch.randn(5, 4, generator=torch.Generator().manual_seed(1)))
        numbers = head.linear(torch.randn(5, 4, generator=torch.Generator().manual_seed(1)))
    shares = found.exp().numpy()
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-6)
    coarse = torch.softmax(numbers[:, :3], 1).numpy()
    # Coarse classes: the stage of classes 0 and 3, then 1, then 2.
    assert np.allclose(shares[:, [0, 3]].sum(axis=1), coarse[:, 0], atol=1e-6)
    assert np.allclose(shares[:, 1:3], coarse[:, 1:], atol=1e-6)
    within = torch.softmax(numbers[:, 3:], 1).numpy()
    assert np.allclose(shares[:, 0] / coarse[:, 0], within[:, 0], atol=1e-6)


def test_stages_by_name() -> None:
    recipe = HeadRecipe(kind="two-stage", stages={"granulocyte": ("neutrophil", "eosinophil")})
    names = ("Eosinophil", "Monocyte", "Neutrophil")
    assert two_stage(recipe, names).stages == ((2, 0),)
    with pytest.raises(UsageError, match="names eosinophil, which is no class; the classes are a"):
        two_stage(recipe, ("a", "neutrophil"))
    with pytest.raises(ValidationError, match="stages belong to"):
        HeadRecipe(kind="two-stage")
    with pytest.raises(ValidationError, match="two sub-types or more"):
        HeadRecipe(kind="two-stage", stages={"a": ("b",)})


@pytest.mark.parametrize("name", ["baseline", "mobilenetv2_050", "cnn-2x2c1d"])
def test_a_head_takes_the_place_of_the_last_layer(name: str) -> None:
    shape = HeadShape(kind="forest", trees=2, nodes=3, depth=1)
    network = build_network(Architecture(name=name, head=shape), 3, 64)
    assert isinstance(last_layer(network), FittedHead)
    with torch.inference_mode():
        assert network.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 3)


def test_a_usual_architecture_says_nothing_of_its_head() -> None:
    assert "head" not in Architecture(name="baseline").model_dump()
    shape = HeadShape(kind="logistic")
    dumped = Architecture(name="baseline", head=shape).model_dump(mode="json")
    assert Architecture.model_validate(dumped).head == shape
    with pytest.raises(ValidationError, match="fewer training images than it looks for"):
        HeadShape(kind="neighbours", examples=3, neighbours=5)
