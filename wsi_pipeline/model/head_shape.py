"""What ``model.yaml`` says of a head that is no plain linear layer: its kind and its sizes."""

from typing import Literal, Self

from pydantic import Field, model_validator

from wsi_pipeline.model.input_description import Frozen


class HeadShape(Frozen):
    """A head behind pooled features; its numbers are among the weights.

    Attributes:
        kind: See :mod:`wsi_pipeline.model.heads`.
        stages: Of ``two-stage``: numbers of the classes of each coarse class that has sub-types.
        reduce: What becomes of the standardised features first.
        components: Numbers left by ``pca`` or ``umap``.
        points: Of ``umap``: training images whose places are kept.
        nearest: Of ``umap``: how many of them an image's place is made of.
        examples: Support vectors of ``svm``; training images of ``neighbours``.
        neighbours: Of ``neighbours``.
        trees: Of ``forest``.
        nodes: Of the largest tree.
        depth: Of the deepest tree.
    """

    kind: Literal["two-stage", "svm", "logistic", "neighbours", "forest"]
    stages: tuple[tuple[int, ...], ...] = ()
    reduce: Literal["none", "pca", "umap"] = "none"
    components: int = Field(default=0, ge=0)
    points: int = Field(default=0, ge=0)
    nearest: int = Field(default=0, ge=0)
    examples: int = Field(default=0, ge=0)
    neighbours: int = Field(default=0, ge=0)
    trees: int = Field(default=0, ge=0)
    nodes: int = Field(default=0, ge=0)
    depth: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        members = [number for stage in self.stages for number in stage]
        if len(set(members)) != len(members) or (self.kind == "two-stage") != bool(members):
            raise ValueError("stages belong to two-stage, and a class is in one of them at most")
        if self.nearest > self.points or self.neighbours > self.examples:
            raise ValueError("it has fewer training images than it looks for")
        return self
