"""Recipes for slide labels: which network is trained behind the features, and how."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from wsi_pipeline.model.input_description import Frozen
from wsi_pipeline.model.slide_level_section import TileNetwork
from wsi_pipeline.slide_level.attention.design import HeadDesign
from wsi_pipeline.slide_level.attention.head_file import MOST_MEMBERS
from wsi_pipeline.training.recipe_file import checked, read_facts
from wsi_pipeline.training.slides.table import Target

_MADE_FOR = "slide-labels"
#: Slides of a step of survival at least, or hardly any pair is compared.
_LEAST_COMPARED = 8
#: Bump when the same recipe would train other weights: what is unfinished is then not resumed.
_REVISION = 1


class Clustering(Frozen):
    """Instance clustering of ``clam-sb`` (Lu et al. 2021).

    Attributes:
        tiles: Most and least attended tiles of a slide that are told apart.
        weight: Of this loss; that of the slide has the rest.
    """

    tiles: int = Field(default=8, ge=1)
    weight: float = Field(default=0.3, ge=0, lt=1)


class SlideRecipe(Frozen):
    """Everything that decides what is trained, but for the slides and the seed.

    Attributes:
        name: Told in reports.
        about: One sentence.
        made_for: Tells these recipes from the others.
        kind: Of the network.
        target: ``classes``, or ``survival``: Cox's partial likelihood (Cox 1972, Breslow's ties).
        components: Principal components of the features, of the tiles trained on, that are kept
            and whitened; None: all features, standardised. Few slides cannot tell which of a
            thousand numbers matter.
        hidden: Numbers that each tile is reduced to then.
        attention: Width of the gated attention.
        heads: Of the self-attention.
        dropout: Share of a tile's numbers that is left out, in training.
        clustering: Of ``clam-sb``.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        batch: Slides of a step; of survival those that are compared with one another.
        tiles: Tiles of a slide that a step is shown, drawn anew each time; a slide with fewer is
            shown whole.
        epochs: At most.
        least_epochs: Before which the inner part decides nothing: a few slides say little of a
            network that has hardly begun.
        patience: Epochs without a smaller inner validation loss after which training ends.
        inner: Share of the groups trained on that decide when it ends.
        refit: Whether the network is then trained anew on all of these groups, for as many epochs
            as were best: of few slides none is to be spared.
        folds: Parts that the groups are dealt into; a network is trained for each, on the others.
        repeats: How often that is done, dealt out anew; the package keeps all networks.
    """

    name: str
    about: str = ""
    made_for: Literal["slide-labels"] = "slide-labels"
    kind: TileNetwork
    target: Target = "classes"
    components: int | None = Field(default=None, ge=2, le=4096)
    hidden: int = Field(default=128, ge=8, le=2048)
    attention: int = Field(default=64, ge=4, le=1024)
    heads: int = Field(default=8, ge=1, le=64)
    dropout: float = Field(default=0.25, ge=0, lt=1)
    clustering: Clustering = Clustering()
    learning_rate: float = Field(default=2e-4, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    batch: int = Field(default=4, ge=1)
    tiles: int = Field(default=4096, ge=16)
    epochs: int = Field(default=60, ge=1)
    least_epochs: int = Field(default=1, ge=1)
    patience: int = Field(default=10, ge=1)
    inner: float = Field(default=0.2, gt=0, le=0.5)
    refit: bool = True
    folds: int = Field(default=5, ge=2, le=20)
    repeats: int = Field(default=1, ge=1, le=10)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self.design(features=1, outputs=1)
        if self.folds * self.repeats > MOST_MEMBERS:
            raise ValueError(f"folds times repeats is {MOST_MEMBERS} at most")
        if self.target == "survival":
            if self.batch < _LEAST_COMPARED:
                raise ValueError(
                    f"survival compares the slides of a step: batch is at least {_LEAST_COMPARED}"
                )
            if self.kind == "clam-sb":
                raise ValueError("instance clustering needs classes: take abmil for survival")
        return self

    def design(self, features: int, outputs: int) -> HeadDesign:
        """The network, for so many numbers of a tile and so many logits."""
        return HeadDesign(
            kind=self.kind,
            features=features,
            outputs=outputs,
            hidden=self.hidden,
            attention=self.attention,
            heads=self.heads,
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that decides what is trained."""
        decisive = self.model_dump(mode="json", exclude={"name", "about"})
        text = json.dumps({"revision": _REVISION, **decisive}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def is_for_slide_labels(recipe: str) -> bool:
    """Whether a recipe, by its name or file, is one of these.

    Raises:
        UsageError: there is no such recipe.
    """
    return bool(read_facts(recipe).get("made_for") == _MADE_FOR)


def load_slide_recipe(recipe: str, changes: Sequence[str] = (), **fields: Any) -> SlideRecipe:
    """A recipe for slide labels, with changes.

    Args:
        recipe: The name of a shipped one, or a YAML file.
        changes: ``key=value``, values as in YAML.
        fields: Top-level fields that replace the recipe's, unless None.

    Raises:
        UsageError: there is no such recipe, or it or a change makes no sense.
    """
    given = {key: value for key, value in fields.items() if value is not None}
    return checked(SlideRecipe, recipe, read_facts(recipe, changes) | given)
