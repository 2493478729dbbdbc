"""A training starts from what it is told to, or says why it cannot."""

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
import torchvision

from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.linear_probe import pooled
from wsi_pipeline.model.network import Classifier, linear_layer, save_weights
from wsi_pipeline.training.initial_weights import first_weights, new_classifier
from wsi_pipeline.training.recipe import Recipe, load_recipe


def started(recipe: Recipe, seed: int = 1) -> Classifier:
    classifier = new_classifier(recipe)
    first_weights(classifier, recipe, seed)
    return classifier


def recipe_of(name: str, init: str) -> Recipe:
    return load_recipe(name, init=init)


def test_a_seed_decides_random_weights(small: Any) -> None:
    one, same, other = (started(small(), seed).network.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["features.0.weight"], other["features.0.weight"])


@pytest.mark.parametrize(
    ("architecture", "features", "trunk"),
    [
        ("inception_v3", 2048, 21_785_568),
        # Two convolutions: 5·5·3·32 + 32 and 3·3·32·64 + 64.
        ("baseline", 64, 2_432 + 18_496),
        ("vgg16", 512, 14_714_688),
    ],
)
def test_architectures_have_the_published_sizes(
    small: Any, architecture: str, features: int, trunk: int
) -> None:
    recipe = small(architecture={"name": architecture, "pooling": "max"}, patch_px=96)
    classifier = new_classifier(recipe).eval()
    count = sum(p.numel() for p in classifier.network.parameters())
    assert count == trunk + features + 1
    assert linear_layer(classifier.network).in_features == features
    with torch.inference_mode():
        assert classifier(torch.zeros(2, 3, 96, 96)).shape == (2,)


def test_imagenet_without_a_network_names_the_alternatives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(UsageError, match=r"vgg16-397923af\.pth .* --init PATH .* --init random"):
        started(recipe_of("camelyon-vgg16", "imagenet"))
    with pytest.raises(UsageError, match="no ImageNet weights of baseline"):
        started(recipe_of("camelyon-baseline", "imagenet"))


def test_torchvisions_files_fit(tmp_path: Path) -> None:
    theirs = torchvision.models.inception_v3(weights=None, aux_logits=True, init_weights=False)
    path = tmp_path / "inception.pth"
    torch.save(theirs.state_dict(), path)
    ours = started(recipe_of("camelyon-inception-v3", str(path))).network.state_dict()
    expected = theirs.state_dict()
    shared = [key for key in ours if not key.startswith("fc.")]
    assert len(shared) > 500
    assert all(torch.equal(ours[key], expected[key]) for key in shared)
    assert ours["fc.weight"].shape == (1, 2048)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050"])
def test_weights_of_timms_fit_but_for_another_head(tmp_path: Path, small: Any, name: str) -> None:
    theirs = timm.create_model(name, pretrained=False)
    path = tmp_path / "theirs.safetensors"
    save_weights(theirs, path)
    ours = started(small(architecture={"name": name}, patch_px=64, init=str(path)))
    assert linear_layer(ours.network).out_features == 1
    expected, found = theirs.state_dict(), ours.network.state_dict()
    same = [key for key in expected if expected[key].shape == found[key].shape]
    assert len(same) == len(expected) - 2
    assert all(torch.equal(found[key], expected[key]) for key in same)


def test_torchvisions_resnet_has_timms_names(tmp_path: Path, small: Any) -> None:
    theirs = torchvision.models.resnet18(weights=None)
    torch.save(theirs.state_dict(), tmp_path / "resnet18.pth")
    recipe = small(architecture={"name": "resnet18"}, init=str(tmp_path / "resnet18.pth"))
    ours = started(recipe).network.state_dict()
    assert torch.equal(ours["layer4.1.conv2.weight"], theirs.layer4[1].conv2.weight)


def test_imagenet_weights_that_are_installed(small: Any) -> None:
    """Two patches of one texture have features nearer to each other than to another's."""
    recipe = small(
        architecture={"name": "tf_efficientnet_lite0"},
        init="imagenet",
        patch_px=96,
        normalisation={"mean": [127.0] * 3, "std": [128.0] * 3},
    )
    classifier = started(recipe).eval()
    across = torch.sin(torch.arange(96) * 0.9) * 100 + 128
    stripes = across.expand(3, 96, 96)
    noise = torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(1)) * 255
    features = pooled(classifier, torch.stack([stripes, stripes.roll(3, 2), noise]))
    one, same, other = torch.nn.functional.normalize(features, dim=1)
    assert one @ same > 0.9
    assert one @ other < 0.5


def test_weights_of_ours_keep_their_head(tmp_path: Path, small: Any) -> None:
    first = started(small(), 5)
    save_weights(first.network, tmp_path / "weights.safetensors")
    for init in (tmp_path, tmp_path / "weights.safetensors"):
        again = started(small(init=str(init)), 6)
        assert torch.equal(linear_layer(again.network).weight, linear_layer(first.network).weight)


def test_weights_of_another_network_are_refused(tmp_path: Path, small: Any) -> None:
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"layer.weight": torch.zeros(3)}, path)
    with pytest.raises(UsageError, match="weights of another network"):
        started(small(init=str(path)))
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"no weights")
    with pytest.raises(UsageError, match="cannot be read as weights"):
        started(small(init=str(broken)))
    with pytest.raises(UsageError, match="there is no such file"):
        started(small(init=str(tmp_path / "missing.pth")))
