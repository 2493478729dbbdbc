"""What a recipe says of the head: its kind, the features it is given, its own settings."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.head_shape import HeadShape
from wsi_pipeline.model.input_description import Frozen


class HeadRecipe(Frozen):
    """What comes behind the pooled features of the trunk.

    Attributes:
        kind: ``linear``; ``two-stage``: coarse classes, then the sub-types of each; the others are
            fitted with scikit-learn: ``svm`` (RBF), ``logistic``, ``neighbours``, ``forest``.
        stages: Of ``two-stage``: names of coarse classes, with their sub-types; classes that are
            in none are coarse ones themselves. Capitals do not matter.
        reduce: What fitted heads are given: standardised features as they are, or after ``pca`` or
            ``umap``.
        components: Numbers left by it.
        views: In how many orientations each training image is shown to a fitted head, 1-8.
        cost: C of ``svm``, and of ``logistic``.
        gamma: Of the RBF, divided by the number of features; 1 is scikit-learn's ``scale``.
        neighbours: Of ``neighbours``.
        trees: Of ``forest``.
        depth: Of each tree at most.
    """

    kind: Literal["linear", "two-stage", "svm", "logistic", "neighbours", "forest"] = "linear"
    stages: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    reduce: Literal["none", "pca", "umap"] = "none"
    components: int = Field(default=32, ge=2, le=1024)
    views: int = Field(default=1, ge=1, le=8)
    cost: float = Field(default=1.0, gt=0)
    gamma: float = Field(default=1.0, gt=0)
    neighbours: int = Field(default=15, ge=1, le=200)
    trees: int = Field(default=200, ge=1, le=1000)
    depth: int = Field(default=8, ge=1, le=16)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.kind == "two-stage") != bool(self.stages):
            raise ValueError("stages belong to a head of the kind two-stage, and it needs them")
        members = [name.lower() for names in self.stages.values() for name in names]
        if len(set(members)) != len(members) or any(len(one) < 2 for one in self.stages.values()):
            raise ValueError("a stage has two sub-types or more, each in one stage only")
        return self


def two_stage(head: HeadRecipe, classes: Sequence[str]) -> HeadShape:
    """The shape of a head of the kind ``two-stage``, for classes by their names.

    Raises:
        UsageError: a stage names a class that is not there.
    """
    numbers = {name.lower(): number for number, name in enumerate(classes)}
    missing = [one for names in head.stages.values() for one in names if one.lower() not in numbers]
    if missing:
        raise UsageError(
            f"head.stages names {missing[0]}, which is no class; the classes are "
            f"{', '.join(classes)}"
        )
    stages = tuple(tuple(numbers[one.lower()] for one in names) for names in head.stages.values())
    return HeadShape(kind="two-stage", stages=stages)
