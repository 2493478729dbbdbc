"""Which network stands behind the features of the tiles: its kind and its sizes."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wsi_pipeline.model.slide_level_section import TileNetwork


class HeadDesign(BaseModel):
    """The network of a slide-level head.

    Attributes:
        kind: Which.
        features: Numbers that the encoder gives of a tile.
        outputs: Logits: one for each class; one, the logarithm of the hazard, of survival.
        hidden: Numbers that each tile is reduced to first.
        attention: Width of the gated attention (``abmil``, ``clam-sb``).
        heads: Of the self-attention (``transmil``); they divide ``hidden``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: TileNetwork
    features: int = Field(ge=1, le=65_536)
    outputs: int = Field(ge=1, le=1000)
    hidden: int = Field(default=128, ge=8, le=2048)
    attention: int = Field(default=64, ge=4, le=1024)
    heads: int = Field(default=8, ge=1, le=64)

    @model_validator(mode="after")
    def _heads_divide(self) -> "HeadDesign":
        if self.kind == "transmil" and self.hidden % self.heads:
            raise ValueError(f"{self.heads} heads do not divide hidden, {self.hidden}")
        return self

    @property
    def attends(self) -> bool:
        """Whether it weighs tiles: a mean has no attention to show."""
        return self.kind != "mean-pool"
