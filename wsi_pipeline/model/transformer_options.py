"""How a vision transformer differs from timm's network of its name: what encoders are published as.

Sources: Dosovitskiy et al. 2021 (the transformer), Touvron et al. 2021 (layer scale), Shazeer 2020
(SwiGLU), Darcet et al. 2024 (register tokens), Oquab et al. 2024 (DINOv2, which has all of them).
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from wsi_pipeline.model.input_description import Frozen

#: Arguments of timm that change nothing of a network for square patches of one size, or that
#: ``model.yaml`` says elsewhere.
_SAID_ELSEWHERE = ("img_size", "in_chans", "num_classes", "global_pool", "dynamic_img_size")


class TransformerOptions(Frozen):
    """Arguments of timm's ``VisionTransformer``; what is None is the named network's.

    Attributes:
        patch_size: Side in px of what becomes a token.
        embed_dim: Numbers of a token.
        depth: Blocks.
        num_heads: Of the attention.
        mlp_ratio: Width of the layer between, over ``embed_dim``.
        qkv_bias: Whether queries, keys and values have one.
        init_values: Anything but None: each branch is scaled (layer scale).
        reg_tokens: Register tokens.
        no_embed_class: Whether class and register tokens have no position.
        mlp_layer: ``SwiGLUPacked`` has its two halves in one layer.
        act_layer: Activation between the layers of the MLP.
    """

    patch_size: int | None = Field(default=None, ge=4, le=64)
    embed_dim: int | None = Field(default=None, ge=8, le=8192)
    depth: int | None = Field(default=None, ge=1, le=128)
    num_heads: int | None = Field(default=None, ge=1, le=128)
    mlp_ratio: float | None = Field(default=None, gt=0, le=16)
    qkv_bias: bool | None = None
    init_values: float | None = None
    reg_tokens: int | None = Field(default=None, ge=0, le=64)
    no_embed_class: bool | None = None
    mlp_layer: Literal["Mlp", "SwiGLU", "SwiGLUPacked"] | None = None
    act_layer: Literal["gelu", "silu", "relu"] | None = None

    @model_serializer(mode="wrap")
    def _stated(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        facts: dict[str, Any] = plain(self)
        return {key: value for key, value in facts.items() if value is not None}

    def arguments(self) -> dict[str, Any]:
        """For ``timm.create_model``. Needs torch."""
        facts = self.model_dump()
        if self.mlp_layer is not None:
            import timm.layers  # noqa: PLC0415 - its import takes seconds

            facts["mlp_layer"] = getattr(timm.layers, self.mlp_layer)
        return facts


def options_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The options among arguments of timm, as a published ``config.json`` has them.

    Layers may be written as code names them: ``timm.layers.SwiGLUPacked``, ``torch.nn.SiLU``.

    Raises:
        ValueError: one of them is not known here; the message names it.
    """
    found: dict[str, Any] = {}
    for key, value in arguments.items():
        if key == "in_chans" and value != 3:
            raise ValueError(f"in_chans {value}")
        if key in _SAID_ELSEWHERE:
            continue
        if key not in TransformerOptions.model_fields:
            raise ValueError(f"{key} {value!r}")
        plain = str(value).rpartition(".")[2] if key.endswith("_layer") else value
        found[key] = plain.lower() if key == "act_layer" else plain
    return found
