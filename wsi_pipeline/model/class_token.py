"""Transformers of which only the class token is asked for: their last block computes that alone."""

from typing import Any, cast

from torch import Tensor, nn


class LastBlock(nn.Module):
    """A transformer's last block, for its class token alone.

    The token attends to all others; what becomes of those, two thirds of the block's work, nothing
    looks at.

    Args:
        block: timm's ``Block``.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, tokens: Tensor) -> Tensor:
        """The class token, ``(n, 1, width)``, of all tokens, ``(n, tokens, width)``."""
        block = cast("Any", self.block)
        attended = block.attn(block.norm1(tokens))[:, :1]
        token = tokens[:, :1] + block.drop_path1(block.ls1(attended))
        return cast("Tensor", token + block.drop_path2(block.ls2(block.mlp(block.norm2(token)))))


def shorten(network: nn.Module) -> None:
    """Let the last block compute the class token alone, where nothing else is asked for.

    Args:
        network: Changed where it is timm's ``VisionTransformer``, pooled by its class token.
    """
    from timm.models.vision_transformer import (  # noqa: PLC0415 - slow to import
        Block,
        VisionTransformer,
    )

    if type(network) is not VisionTransformer:
        return
    transformer = cast("Any", network)
    by_token = transformer.global_pool == "token" and transformer.attn_pool is None
    if by_token and transformer.cls_token is not None and type(transformer.blocks[-1]) is Block:
        transformer.blocks[-1] = LastBlock(transformer.blocks[-1])
