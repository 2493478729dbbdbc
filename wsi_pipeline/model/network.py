"""The networks, as torch modules that take normalised patches and give one probability."""

from collections.abc import Callable
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

    def logits(self, patches: Tensor) -> Tensor:
        """Logits of the positive class before any temperature, ``(n,)`` float32."""
        # In float32: a half-precision sigmoid has steps of 0.004 near 1.
        logits: Tensor = self.network((patches - self.mean) / self.std).float()
        return logits.flatten()

    def forward(self, patches: Tensor) -> Tensor:
        """Probabilities of the positive class."""
        return torch.sigmoid(self.logits(patches) / self.temperature)

    @property
    def head(self) -> nn.Linear:
        """The last layer: pooled features in, the logit out."""
        head = self.network.get_submodule("fc")
        assert isinstance(head, nn.Linear)
        return head


class _Convolutions(nn.Module):
    """Plain convolutions, pooling, dropout, one unit.

    Args:
        features: Convolutions with their rectifiers and local pooling.
        channels: How many they end in.
        pooling: Global.
        dropout: Share of the features.
    """

    def __init__(
        self, features: nn.Module, channels: int, pooling: nn.Module, dropout: float
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = pooling
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, 1)

    def forward(self, patches: Tensor) -> Tensor:
        pooled = self.avgpool(self.features(patches)).flatten(1)
        return cast("Tensor", self.fc(self.dropout(pooled)))


def build_network(architecture: Architecture) -> nn.Module:
    """A trunk, pooling, dropout, one unit; weights not initialised to any use."""
    return BUILDERS[architecture.name](architecture)


def _pooling(architecture: Architecture) -> nn.Module:
    pools: dict[str, Callable[[int], nn.Module]] = {
        "max": nn.AdaptiveMaxPool2d,
        "average": nn.AdaptiveAvgPool2d,
    }
    return pools[architecture.pooling](1)


def _inception_v3(architecture: Architecture) -> nn.Module:
    """Torchvision's (Szegedy et al. 2016), without the auxiliary head, which only training uses."""
    network = torchvision.models.inception_v3(
        weights=None, aux_logits=False, init_weights=False, transform_input=False
    )
    network.avgpool = _pooling(architecture)
    network.dropout = nn.Dropout(architecture.dropout)
    network.fc = nn.Linear(2048, 1)
    return cast("nn.Module", network)


def _vgg16(architecture: Architecture) -> nn.Module:
    """Torchvision's convolutions (Simonyan and Zisserman 2015), without its three dense layers."""
    vgg = torchvision.models.vgg16(weights=None, init_weights=False)
    features = cast("nn.Module", vgg.features)
    return _Convolutions(features, 512, _pooling(architecture), architecture.dropout)


def _baseline(architecture: Architecture) -> nn.Module:
    """Two convolutions, each with a rectifier and a local maximum; 64 features."""
    two = nn.Sequential(
        nn.Conv2d(3, 32, 5, stride=2, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )
    return _Convolutions(two, 64, _pooling(architecture), architecture.dropout)


#: What builds each of `model.package.NETWORKS`.
BUILDERS: dict[str, Callable[[Architecture], nn.Module]] = {
    "inception_v3": _inception_v3,
    "vgg16": _vgg16,
    "baseline": _baseline,
}


def load_classifier(package: ModelPackage) -> Classifier:
    """The package's classifier with its weights, in evaluation mode, on the CPU in fp32."""
    classifier = Classifier(package.description)
    safetensors.torch.load_model(classifier.network, package.weights)
    return classifier.eval()


def save_weights(network: nn.Module, path: Path) -> None:
    """Write a network's weights as safetensors."""
    safetensors.torch.save_model(network, str(path))
