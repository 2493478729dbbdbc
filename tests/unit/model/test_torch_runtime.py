"""What a GPU is given to compute, computed here on the CPU: precision, layout, normalisation."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wsi_pipeline.model.answering import Answering
from wsi_pipeline.model.linear_probe import as_pixels
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Head
from wsi_pipeline.model.torch_runtime import exact_fp32, forward_normalising, lower

CUDNN: Any = torch.backends.cudnn  # of which torch types little


def answers(
    package: ModelPackage, dtype: torch.dtype, head: Head = "classes"
) -> NDArray[np.float32]:
    classifier = load_classifier(package)
    lower(classifier, dtype)
    patches = torch.from_numpy(package.reference()[0])
    with torch.inference_mode():
        found = forward_normalising(Answering(classifier, head), patches, dtype)
    assert found.dtype == torch.float32
    values: NDArray[np.float32] = found.numpy()
    return values


def test_uint8_patches_give_the_reference(package: ModelPackage) -> None:
    assert np.abs(answers(package, torch.float32) - package.reference()[1]).max() < 1e-4


def test_bf16_keeps_what_decides_in_fp32(package: ModelPackage) -> None:
    """Closer than a network of which everything is bf16, and within the package's tolerance."""
    patches, expected = package.reference()
    classifier = load_classifier(package)
    classifier.network.to(dtype=torch.bfloat16)
    with torch.inference_mode():
        normalised = classifier.normalise(as_pixels(patches)).bfloat16()
        plain = classifier.from_normalised(normalised).numpy()
    ours = np.abs(answers(package, torch.bfloat16) - expected)
    assert ours.max() <= package.description.tolerance["bf16"]
    assert ours.mean() < 0.7 * np.abs(plain - expected).mean()


def test_a_lowered_network_is_channels_last(package: ModelPackage) -> None:
    classifier = load_classifier(package)
    lower(classifier, torch.bfloat16)
    weights = [one for one in classifier.network.parameters() if one.ndim == 4]
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in weights)
    kinds = {one.dtype for one in classifier.network.parameters()}
    assert kinds == {torch.bfloat16, torch.float32}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_features_lie_behind_the_classes(kinds_package: ModelPackage, dtype: torch.dtype) -> None:
    both, features = (
        answers(kinds_package, dtype, "both"),
        answers(kinds_package, dtype, "features"),
    )
    assert np.array_equal(both[:, 4:], features)
    assert np.allclose(both[:, :4], answers(kinds_package, dtype))


def test_fp32_is_not_tf32_while_a_graph_is_captured() -> None:
    """Torch's own setting for convolutions is TF32; it is back afterwards."""
    before = CUDNN.conv.fp32_precision
    assert before == "tf32"
    with exact_fp32():
        assert CUDNN.conv.fp32_precision == "ieee"
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.backends.cudnn.enabled
        assert not torch.backends.cudnn.benchmark
        assert CUDNN.deterministic
    assert not CUDNN.deterministic
    assert CUDNN.conv.fp32_precision == before
