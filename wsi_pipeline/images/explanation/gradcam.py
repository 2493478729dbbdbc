"""Grad-CAM for convolutional networks (Selvaraju et al. 2017), computed by captum."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from captum.attr import LayerGradCam
from numpy.typing import NDArray
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class FeatureLayer:
    """Where in a network the last features lie that still have a place in the image.

    Attributes:
        module: The layer.
        before: Whether they are what the layer is given; else what it gives.
    """

    module: nn.Module
    before: bool


def feature_layer(network: nn.Module, side: int) -> FeatureLayer | None:
    """The last features with a place: what the global pooling is given, as a rule.

    Found by running the network once and looking at shapes. From the network inwards, it is the
    one module that is given places and gives none; where several do so side by side, what their
    parent is given; where none does, what the last one with places gives. So branches that are
    joined count whole.

    Args:
        network: In evaluation mode.
        side: Of its input, px.

    Returns:
        The layer; None where nothing but the image has places, or channels come last.
    """
    if getattr(network, "output_fmt", "NCHW") == "NHWC":  # as timm names it; captum wants the other
        return None
    call, layer = _calls(network, side), None
    while True:
        pooling = [inner for inner in call.inner if inner.pools]
        if len(pooling) == 1:
            call = pooling[0]
            if call.image or call.again:
                return layer
            layer = FeatureLayer(call.module, before=True)
            continue
        if layer is None and not pooling:
            layer = _flattened(call.inner)
        return layer


def _flattened(calls: Sequence["_Call"]) -> FeatureLayer | None:
    """What the last call with places gives, where numbers without a place follow.

    Tokens that follow are places of another form, which the slope at the features tells little of.
    """
    last = max((place for place, call in enumerate(calls) if call.gives_places), default=None)
    if last is None or calls[last].again or any(len(one.gives) == 3 for one in calls[last + 1 :]):
        return None
    return FeatureLayer(calls[last].module, before=False)


class GradCam:
    """Maps of one network.

    Args:
        scores: Pixels ``(n, 3, side, side)``, RGB 0-255, to one score for each class; of frozen
            weights.
        layer: Where the features lie.
    """

    name = "Grad-CAM (Selvaraju et al. 2017)"

    def __init__(self, scores: Callable[[Tensor], Tensor], layer: FeatureLayer) -> None:
        self._layer = layer
        # captum asks for the slope at the px too, for which nobody has a use.
        self._captum = LayerGradCam(lambda pixels: scores(pixels.detach()), layer.module)

    def __call__(self, pixels: Tensor, classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """What speaks for a class, at least 0, at the places of the features.

        Args:
            pixels: ``(n, 3, side, side)``, RGB 0-255.
            classes: Index of the class of each image, ``(n,)``.

        Returns:
            float32 ``(n, rows, columns)``.
        """
        # The slope ends at the features: what lies before them needs none, which saves most time.
        begin = self._layer.module
        if self._layer.before:
            hook = begin.register_forward_pre_hook(lambda _, given: (_leaf(given[0]), *given[1:]))
        else:
            hook = begin.register_forward_hook(lambda _, __, gives: _leaf(gives))
        try:
            found = self._captum.attribute(
                pixels,
                target=torch.from_numpy(classes).to(pixels.device),
                attribute_to_layer_input=self._layer.before,
                relu_attributions=True,
            )
        finally:
            hook.remove()
        maps: NDArray[np.float32] = found[:, 0].detach().cpu().numpy().astype(np.float32)
        return maps


@dataclass(slots=True)
class _Call:
    """One call of a module.

    Attributes:
        module: Which.
        given: Shape of what it was given.
        image: Whether that was the network's own input.
        again: Whether the module is called more than once.
        gives: Shape of what it gave.
        inner: The calls inside of it, in order.
    """

    module: nn.Module
    given: tuple[int, ...]
    image: bool
    again: bool = False
    gives: tuple[int, ...] = ()
    inner: list["_Call"] = field(default_factory=list)

    @property
    def gives_places(self) -> bool:
        return _has_places(self.gives)

    @property
    def pools(self) -> bool:
        return _has_places(self.given) and not self.gives_places


def _calls(network: nn.Module, side: int) -> _Call:
    """The call of the network, which holds all others."""
    device = next(network.parameters()).device
    pixels = torch.zeros(1, 3, side, side, device=device)
    root = _Call(network, tuple(pixels.shape), image=True)
    running = [root]
    first: dict[int, _Call] = {}

    def begins(module: nn.Module, given: Any) -> None:
        value = given[0] if given else None
        call = _Call(module, _shape(value), image=value is pixels, again=id(module) in first)
        first.setdefault(id(module), call).again = call.again
        running[-1].inner.append(call)
        running.append(call)

    def ends(_: nn.Module, __: Any, gives: Any) -> None:
        running.pop().gives = _shape(gives)

    hooks: list[Any] = []
    for module in list(network.modules())[1:]:
        hooks += [module.register_forward_pre_hook(begins), module.register_forward_hook(ends)]
    try:
        with torch.no_grad():
            network(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    return root


def _leaf(features: Tensor) -> Tensor:
    return features.detach().requires_grad_()


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def _has_places(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[2] * shape[3] > 1
