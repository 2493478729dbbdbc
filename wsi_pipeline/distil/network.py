"""Fits the screen's network to a model's probabilities."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from wsi_pipeline.screen.network import LAYERS, PLACES, SCALE, shapes

_OF_A_NORM = ("weight", "bias", "running_mean", "running_var")
_EPSILON = 1e-5
_BATCH = 64
_LEARNING_RATE = 3e-3
#: Densities are scaled by up to this much either way, each channel by itself, as stains vary.
_COLOUR = 0.15


@dataclass(frozen=True, slots=True)
class Examples:
    """Tiles to learn from.

    Attributes:
        views: Their pictures with margins, RGB uint8 ``(n, 64, 64, 3)``.
        probabilities: What the model says of them, float32 ``(n,)``.
    """

    views: NDArray[np.uint8]
    probabilities: NDArray[np.float32]


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        before = 3
        for kernel, stride, channels in LAYERS:
            self.convolutions.append(nn.Conv2d(before, channels, kernel, stride, bias=False))
            self.norms.append(nn.BatchNorm2d(channels, eps=_EPSILON))
            before = channels
        self.last = nn.Conv2d(before, 1, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits ``(n,)`` of pictures ``(n, 3, side, side)``, 0-255."""
        x = pixels / SCALE - 0.5
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(convolution(x)).relu()
        places: torch.Tensor = self.last(x)
        return places.flatten(1).logsumexp(1) - 2 * float(np.log(PLACES))

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The network without batch normalisation, whose factors go into the weights."""
        state = {name: tensor.numpy() for name, tensor in self.state_dict().items()}
        found = {"weight": state["last.weight"], "bias": state["last.bias"]}
        for index in range(len(LAYERS)):
            of = {name: state[f"norms.{index}.{name}"] for name in _OF_A_NORM}
            factor = of["weight"] / np.sqrt(of["running_var"] + _EPSILON)
            weight = state[f"convolutions.{index}.weight"]
            found[f"weight{index}"] = weight * factor[:, None, None, None]
            found[f"bias{index}"] = of["bias"] - of["running_mean"] * factor
        return {name: np.asarray(found[name], np.float32) for name in shapes()}


def fit_network(
    examples: Examples,
    threshold: float,
    *,
    steps: int,
    seed: int,
    told: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, NDArray[np.float32]]:
    """Learn a model's probabilities (distillation, Hinton et al. 2015).

    Half of each batch are tiles that the model calls positive, and the loss is the cross-entropy
    with the model's probability. Pictures are turned, mirrored and stained otherwise.

    Args:
        examples: Tiles of both kinds.
        threshold: From which on the model calls a tile positive.
        steps: Batches.
        seed: Decides everything that is drawn.
        told: Called with batches done and in all.

    Returns:
        The network's arrays, see :func:`~wsi_pipeline.screen.network.shapes`.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    network = _Network().train()
    optimiser = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=steps)
    positive = examples.probabilities >= np.float32(threshold)
    kinds = [np.flatnonzero(positive), np.flatnonzero(~positive)]
    for step in range(steps):
        chosen = np.concatenate([rng.choice(kind, _BATCH // 2) for kind in kinds])
        pixels = torch.from_numpy(_varied(examples.views[chosen], rng))
        wanted = torch.from_numpy(examples.probabilities[chosen])
        loss = nn.functional.binary_cross_entropy_with_logits(network(pixels), wanted)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimiser.step()
        schedule.step()
        told(step + 1, steps)
    with torch.inference_mode():
        return network.eval().arrays()


def _varied(views: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """Pictures in one of eight orientations each, with other densities, ``(n, 3, side, side)``."""
    turned = np.empty_like(views)
    for index, view in enumerate(views):
        flipped = view[:, ::-1] if rng.integers(2) else view
        turned[index] = np.rot90(flipped, int(rng.integers(4)))
    factor = rng.uniform(1 - _COLOUR, 1 + _COLOUR, (len(views), 1, 1, 3)).astype(np.float32)
    # I = 255 * 10**-D, so scaled densities are powers of the intensities.
    pixels = 255 * ((turned.astype(np.float32) + 1) / 256) ** factor
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 1), np.float32)
