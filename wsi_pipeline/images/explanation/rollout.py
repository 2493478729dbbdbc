"""Attention rollout for vision transformers of timm (Abnar and Zuidema 2020)."""

import math
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def has_attention(network: nn.Module) -> bool:
    """Whether a network is a plain vision transformer: every token attends to every other."""
    blocks = getattr(network, "blocks", None)
    return (
        isinstance(blocks, nn.Sequential)
        and len(blocks) > 0
        and hasattr(network, "patch_embed")
        and all(_attention(block) is not None for block in blocks)
    )


class Rollout:
    """Maps of one network: how much of each place reaches what the head is given.

    Attention is averaged over heads, half of it is the token itself (the residual connection), and
    the layers are multiplied. The map is of the answer as a whole, not of one class.

    Args:
        network: One that :func:`has_attention`, in evaluation mode.
    """

    name = "attention rollout (Abnar and Zuidema 2020), the same for all classes"

    def __init__(self, network: nn.Module) -> None:
        self._network = cast("Any", network)
        self._attentions = [cast("Any", _attention(block)) for block in self._network.blocks]
        for attention in self._attentions:
            # The fused kernel computes the same and keeps no matrix.
            attention.fused_attn = False

    def __call__(self, normalised: Tensor) -> NDArray[np.float32]:
        """The share of each place, ``(n, rows, columns)`` float32, which sum to at most 1.

        Args:
            normalised: What the network is given, ``(n, 3, side, side)``.
        """
        rolled: Tensor | None = None

        def attended(_: nn.Module, given: Any) -> None:
            nonlocal rolled
            mean = given[0].float().mean(dim=1)  # over heads
            mixed = (mean + torch.eye(mean.shape[-1], device=mean.device)) / 2
            mixed = mixed / mixed.sum(dim=-1, keepdim=True)
            rolled = mixed if rolled is None else mixed @ rolled

        hooks = [one.attn_drop.register_forward_pre_hook(attended) for one in self._attentions]
        try:
            with torch.inference_mode():
                self._network(normalised)
        finally:
            for hook in hooks:
                hook.remove()
        assert rolled is not None  # there is at least one block
        prefix = int(self._network.num_prefix_tokens)
        # What the head is given: the class token, or the mean of the others.
        by_class = self._network.global_pool == "token"
        row = rolled[:, 0] if by_class else rolled[:, prefix:].mean(dim=1)
        places = row[:, prefix:]
        side = math.isqrt(places.shape[1])
        grid = getattr(self._network.patch_embed, "grid_size", (side, side))
        maps: NDArray[np.float32] = places.reshape(len(places), *grid).cpu().numpy()
        return maps


def _attention(block: nn.Module) -> nn.Module | None:
    attention = getattr(block, "attn", None)
    wanted = ("attn_drop", "fused_attn")
    # Attention in windows has a table of positions of its own, and sees no whole image.
    if attention is None or hasattr(attention, "relative_position_bias_table"):
        return None
    found: nn.Module = attention
    return found if all(hasattr(attention, name) for name in wanted) else None
