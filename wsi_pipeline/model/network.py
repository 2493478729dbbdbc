"""The networks, as torch modules that take patches and give the probabilities of the classes.

They come from timm by their names there. Here is only what timm lacks.
"""

import difflib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import safetensors.torch
import torch
from torch import Tensor, nn

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.description import Architecture, ModelDescription
from wsi_pipeline.model.heads import build_head
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.small_networks import SIZED

#: Before a name: timm's network, also where this project has one of the same name.
_TIMM = "timm/"
_POOLING = {"max": "max", "average": "avg"}


class Classifier(nn.Module):
    """A network with its normalisation before and its temperature and head behind it.

    ``forward`` takes float NCHW, ``(n, 3, side, side)``, RGB 0-255, and gives ``(n,)`` for a
    binary model, ``(n, classes)`` otherwise. Normalisation and temperature are part of the module,
    so no runtime can forget them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, description: ModelDescription) -> None:
        super().__init__()
        normalisation = description.normalisation
        self.register_buffer("mean", torch.tensor(normalisation.mean).view(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor(normalisation.std).view(1, 3, 1, 1), False)
        self.temperature = description.calibration.temperature
        self._activation = description.activation
        classes = description.classification
        self._binary = classes.task == "binary"
        self._positive = classes.names.index(classes.positive)
        self.network = build_network(
            description.architecture, description.units, description.input_px
        )

    def normalise(self, patches: Tensor) -> Tensor:
        """What the network is given of RGB 0-255."""
        return (patches - self.mean) / self.std

    def logits(self, patches: Tensor) -> Tensor:
        """What the network answers before any temperature, float32.

        ``(n,)`` where it has one unit, else ``(n, units)``.
        """
        # In float32: a half-precision sigmoid has steps of 0.004 near 1.
        logits: Tensor = self.network(self.normalise(patches)).float()
        return self._shaped(logits)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probabilities of the classes out of :meth:`logits`."""
        if self._activation == "none":
            return logits
        if self._activation == "sigmoid":
            return torch.sigmoid(logits / self.temperature)
        shares = torch.softmax(logits / self.temperature, dim=1)
        return shares[:, self._positive] if self._binary else shares

    def forward(self, patches: Tensor) -> Tensor:
        """Probabilities of the classes."""
        return self.probabilities(self.logits(patches))

    def from_normalised(self, patches: Tensor) -> Tensor:
        """Probabilities of patches that :meth:`normalise` has treated, in any precision."""
        return self.probabilities(self._shaped(self.network(patches).float()))

    def with_features(self, normalised: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities of the classes, and the pooled features they are made of.

        One thread at a time: the last layer is watched meanwhile. In evaluation mode, or dropout
        takes its share of the features.

        Args:
            normalised: Patches that :meth:`normalise` has treated, in any precision.

        Returns:
            Probabilities as :meth:`forward` gives them; features float32 ``(n, features)``.

        Raises:
            PackageError: the network has no single last layer.
        """
        caught: list[Tensor] = []
        last = self.last
        if not isinstance(last, nn.Module):
            raise PackageError(type(self.network).__name__, "it has no single last layer")
        hook = last.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
        try:
            probabilities = self.from_normalised(normalised)
        finally:
            hook.remove()
        return probabilities, caught[0].float().flatten(1)

    def _shaped(self, logits: Tensor) -> Tensor:
        return logits.flatten() if self._binary and logits.shape[-1] == 1 else logits.flatten(1)

    @property
    def last(self) -> nn.Module:
        """The last layer, or the head in its place: pooled features in, the logits out."""
        return last_layer(self.network)

    def fold_temperature(self) -> None:
        """Make the temperature part of a linear last layer, where there is one."""
        last = self.last
        if isinstance(last, nn.Linear):
            with torch.no_grad():
                last.weight.div_(self.temperature)
                last.bias.div_(self.temperature)
            self.temperature = 1.0


class _Convolutions(nn.Module):
    """Plain convolutions, pooling, dropout, a linear layer.

    Args:
        features: Convolutions with their rectifiers and local pooling.
        channels: How many they end in.
        pooling: Global.
        dropout: Share of the features.
        units: Of the last layer.
    """

    def __init__(
        self, features: nn.Module, channels: int, pooling: nn.Module, dropout: float, units: int
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = pooling
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, units)

    def forward(self, patches: Tensor) -> Tensor:
        pooled = self.avgpool(self.features(patches)).flatten(1)
        return cast("Tensor", self.fc(self.dropout(pooled)))


def build_network(architecture: Architecture, units: int, input_px: int) -> nn.Module:
    """A network that ends in ``units`` numbers; weights not initialised to any use.

    Args:
        architecture: Its name, pooling and dropout.
        units: Numbers it answers with.
        input_px: Side in px of what it is given; some networks are made for one size.

    Raises:
        PackageError: there is no such network, or not with this pooling or size.
    """
    if architecture.kind != "weights":
        raise PackageError(
            architecture.name,
            f"its package holds the network as {architecture.kind}, not as weights: torch cannot "
            "build it; leave out --runtime and --device",
        )
    builder, sized = BUILDERS.get(architecture.name), SIZED.get(architecture.name)
    if builder is not None:
        network = builder(architecture, units)
    elif sized is not None:
        network = sized(architecture, units, input_px)
    else:
        network = _from_timm(architecture, units, input_px)
    if architecture.head is not None:
        linear = linear_layer(network)
        _replace(network, linear, build_head(linear.in_features, units, architecture.head))
    return network


def last_layer(network: nn.Module) -> nn.Module:
    """What makes the answer of the pooled features: a linear layer, or another head."""
    found: nn.Module
    if hasattr(network, "get_classifier"):
        found = cast("Any", network).get_classifier()
    else:
        found = cast("Any", network).fc
    return found


def linear_layer(network: nn.Module) -> nn.Linear:
    """The last layer, which is linear.

    Raises:
        PackageError: it is of another kind.
    """
    found = last_layer(network)
    if not isinstance(found, nn.Linear):
        raise PackageError(
            type(network).__name__,
            "its last layer is no plain linear one, whose weights "
            "could be fitted; choose another network",
        )
    return found


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    name = next(name for name, module in network.named_modules() if module is old)
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, new)


def _from_timm(architecture: Architecture, units: int, input_px: int) -> nn.Module:
    import timm  # noqa: PLC0415 - its import takes seconds

    name = architecture.name.removeprefix(_TIMM)
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, [*timm.list_models(), *BUILDERS, *SIZED], 3)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise PackageError(
            name, f"there is no network of this name here or in timm {timm.__version__}{meant}"
        )
    options: dict[str, Any] = {"drop_rate": architecture.dropout}
    if architecture.pooling != "network":
        options["global_pool"] = _POOLING[architecture.pooling]
    known = timm.get_pretrained_cfg(name)
    if known is not None and known.fixed_input_size:
        options["img_size"] = input_px
    if name == "inception_v3":
        # The auxiliary head, which only training uses.
        options["aux_logits"] = False
    try:
        network = timm.create_model(name, pretrained=False, num_classes=units, **options)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise PackageError(
            name,
            f"timm cannot build it with {architecture.pooling} pooling and {input_px} px "
            f"({error}); leave out the pooling, or take the network's own size",
        ) from error
    return network


def _pooling(architecture: Architecture) -> nn.Module:
    return nn.AdaptiveAvgPool2d(1) if architecture.pooling == "average" else nn.AdaptiveMaxPool2d(1)


def _vgg(name: str, architecture: Architecture, units: int) -> nn.Module:
    """The convolutions of VGG (Simonyan and Zisserman 2015), without its three dense layers."""
    import timm  # noqa: PLC0415 - as above

    features = cast("nn.Module", timm.create_model(name, pretrained=False).features)
    return _Convolutions(features, 512, _pooling(architecture), architecture.dropout, units)


def _baseline(architecture: Architecture, units: int) -> nn.Module:
    """Two convolutions, each with a rectifier and a local maximum; 64 features."""
    two = nn.Sequential(
        nn.Conv2d(3, 32, 5, stride=2, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )
    return _Convolutions(two, 64, _pooling(architecture), architecture.dropout, units)


#: The networks that timm lacks, with what they end in.
BUILDERS: dict[str, Callable[[Architecture, int], nn.Module]] = {
    "vgg16": partial(_vgg, "vgg16"),
    "vgg19-convolutions": partial(_vgg, "vgg19"),
    "baseline": _baseline,
}


def load_classifier(package: ModelPackage) -> Classifier:
    """The package's classifier with its weights, in evaluation mode, on the CPU in fp32.

    Raises:
        PackageError: its network cannot be built here, or the weights are another network's.
    """
    classifier = Classifier(package.description)
    try:
        safetensors.torch.load_model(classifier.network, package.weights)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise PackageError(
            package.folder, f"its weights are another network's: {lines[min(1, len(lines) - 1)]}"
        ) from error
    return classifier.eval()


def save_weights(network: nn.Module, path: Path) -> None:
    """Write a network's weights as safetensors."""
    safetensors.torch.save_model(network, str(path))
