"""The networks, as torch modules that take normalised patches and give one probability."""

from pathlib import Path
from typing import cast

import safetensors.torch
import torch
import torchvision
from torch import Tensor, nn

from wsi_pipeline.model.package import Architecture, ModelDescription, ModelPackage


class Classifier(nn.Module):
    """A trunk, global pooling, dropout and one unit; the sigmoid of its tempered logit.

    ``forward`` takes float NCHW, ``(n, 3, patch, patch)``, RGB 0-255, and gives ``(n,)``.
    Normalisation and temperature are part of the module, so no runtime can forget them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, description: ModelDescription) -> None:
        super().__init__()
        normalisation = description.normalisation
        self.register_buffer("mean", torch.tensor(normalisation.mean).view(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor(normalisation.std).view(1, 3, 1, 1), False)
        self.temperature = description.calibration.temperature
        self.network = build_network(description.architecture)

    def forward(self, patches: Tensor) -> Tensor:
        """Probabilities of the positive class."""
        logits = self.network((patches - self.mean) / self.std)
        # In float32: a half-precision sigmoid has steps of 0.004 near 1.
        return torch.sigmoid(logits.float().flatten() / self.temperature)


def build_network(architecture: Architecture) -> nn.Module:
    """Inception v3 (torchvision's), pooling, dropout, one unit; weights not initialised to any use.

    Szegedy et al. 2016, without the auxiliary head, which only training uses.
    """
    network = torchvision.models.inception_v3(
        weights=None, aux_logits=False, init_weights=False, transform_input=False
    )
    pools = {"max": nn.AdaptiveMaxPool2d, "average": nn.AdaptiveAvgPool2d}
    network.avgpool = pools[architecture.pooling](1)
    network.dropout = nn.Dropout(architecture.dropout)
    network.fc = nn.Linear(2048, 1)
    return cast("nn.Module", network)


def load_classifier(package: ModelPackage) -> Classifier:
    """The package's classifier with its weights, in evaluation mode, on the CPU in fp32."""
    classifier = Classifier(package.description)
    safetensors.torch.load_model(classifier.network, package.weights)
    return classifier.eval()


def save_weights(network: nn.Module, path: Path) -> None:
    """Write a network's weights as safetensors."""
    safetensors.torch.save_model(network, str(path))
