"""What ``model.yaml`` says of the network: its name, its pooling, what stands behind it."""

from typing import Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from wsi_pipeline.model.head_shape import HeadShape
from wsi_pipeline.model.input_description import Frozen
from wsi_pipeline.model.transformer_options import TransformerOptions


class Architecture(Frozen):
    """The network: the name of its trunk and what this project puts behind it.

    Attributes:
        name: ``graph`` for a network that is an OpenVINO graph, ``onnx`` for one that is an ONNX
            file; ``baseline`` or ``vgg16`` for this
            project's own, as ``vgg19-convolutions``, ``cnn-2x2c1d`` and ``cnn-2x2x1x1c1d`` are;
            else a name of timm's, of which ``timm/NAME`` is the longer form.
        pooling: Global pooling: ``network`` leaves it as the network has it. Transformers have a
            class ``token``; ``token-and-average`` is it and the mean of the patches' tokens.
        dropout: Share of the pooled features, in training.
        head: What is there in place of the linear layer, if anything.
        options: How a transformer differs from timm's network of its name.
    """

    name: str = Field(pattern=r"^(timm/)?[A-Za-z0-9][A-Za-z0-9._-]*$")
    pooling: Literal["max", "average", "token", "token-and-average", "network"] = "network"
    dropout: float = Field(default=0.5, ge=0, lt=1)
    head: HeadShape | None = None
    options: TransformerOptions | None = None

    @model_serializer(mode="wrap")
    def _without_head(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A package with the usual layer and network says nothing of them, as before there were
        # others.
        facts: dict[str, Any] = plain(self)
        for name in ("head", "options"):
            if getattr(self, name) is None:
                facts.pop(name, None)
        return facts

    @model_validator(mode="before")
    @classmethod
    def _usual_pooling(cls, given: Any) -> Any:
        # These were the only networks before timm's came, and the maximum was their default.
        if isinstance(given, dict) and given.get("name") in ("inception_v3", "vgg16", "baseline"):
            return {"pooling": "max", **given}
        return given

    @property
    def kind(self) -> Literal["graph", "onnx", "weights"]:
        """What the package holds the network as: an OpenVINO graph, an ONNX file, or weights."""
        return self.name if self.name in ("graph", "onnx") else "weights"  # type: ignore[return-value]  # the names are of the kinds
