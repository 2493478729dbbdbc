"""Recipes: how a model is trained, as YAML files; shipped ones by name, others by path."""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.architecture import Architecture
from wsi_pipeline.model.input_description import Frozen, ImageFit, Normalisation
from wsi_pipeline.training.head_recipe import HeadRecipe
from wsi_pipeline.training.operating_point import ThresholdRule, parse_rule
from wsi_pipeline.training.recipe_file import apply, checked, read_facts
from wsi_pipeline.training.recipe_sections import (
    Augmentation,
    LabelRule,
    Mining,
    Optimiser,
    Probe,
    Sampling,
    Schedule,
    Selection,
    Stain,
)

#: Bump when the same recipe would train other weights: checkpoints are then not resumed.
TRAINING_REVISION = 1
#: Heads that gradient descent trains.
_BY_GRADIENT = frozenset({"linear", "two-stage"})
_FREEZE = re.compile(r"none|all-but-last-\d+")


class Recipe(Frozen):
    """Everything that decides what is trained, but for the slides and the seed.

    Attributes:
        name: Told in reports.
        about: One sentence.
        made_for: ``slides``, or single ``images``. With images, patches of a recipe for slides are
            as large as the images.
        method: ``gradient``: all weights, by gradient descent. ``probe``: the trunk is frozen,
            and the head is fitted to its pooled features: a ridge-penalised logistic regression,
            or what ``head`` says.
        architecture: The network.
        head: What comes behind the pooled features.
        init: ``imagenet``, ``efficientnet-lite0`` (its ImageNet weights, which are installed),
            ``random``, or a file or package to start from.
        freeze: What gradient descent leaves as it is: ``none``; ``all-but-last-N``: all blocks but
            the last N, and the head; or names of modules.
        images: How single images become patches.
        label_smoothing: Share of the certainty that is divided among all classes in the loss.
        normalisation: Of RGB 0-255.
        patch_px: Side of a patch in analysis px.
        mpp: µm per analysis px; or
        levels: pyramid levels, whose patches are merged; the package names the first.
        epochs: Of the first round.
        batch: Patches of a step, over all processes.
        threshold: ``recall=R``, ``youden`` or ``fpr=F``.
        checkpoint_steps: Steps between checkpoints within an epoch.
    """

    name: str
    about: str = ""
    made_for: Literal["slides", "images"] = "slides"
    method: Literal["gradient", "probe"] = "gradient"
    architecture: Architecture
    head: HeadRecipe = HeadRecipe()
    init: str = "random"
    freeze: str | tuple[str, ...] = "none"
    images: ImageFit = ImageFit()
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    normalisation: Normalisation = Normalisation()
    patch_px: int = Field(default=299, ge=16, le=4096)
    mpp: float | None = Field(default=None, gt=0, le=64)
    levels: tuple[int, ...] = ()
    labels: LabelRule = LabelRule()
    sampling: Sampling = Sampling()
    stain: Stain = Stain()
    augmentation: Augmentation = Augmentation()
    optimiser: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    probe: Probe = Probe()
    mining: Mining = Mining()
    selection: Selection = Selection()
    epochs: int = Field(default=10, ge=1)
    batch: int = Field(default=32, ge=1)
    threshold: str = "recall=0.95"
    checkpoint_steps: int = Field(default=200, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.mpp is None) == (not self.levels):
            raise ValueError("give mpp or levels, one of them")
        if len(set(self.levels)) != len(self.levels) or min(self.levels, default=0) < 0:
            raise ValueError("levels are different numbers from 0 on")
        if self.made_for == "slides":
            self._check_grid()
        if self.architecture.name == "inception_v3" and self.patch_px < 75:
            raise ValueError("patch_px is at least 75 for inception_v3")
        if self.head.kind not in _BY_GRADIENT and self.method != "probe":
            raise ValueError(f"a head of the kind {self.head.kind} needs method: probe")
        if self.head.kind == "two-stage" and self.method != "gradient":
            raise ValueError("a head of the kind two-stage needs method: gradient")
        if isinstance(self.freeze, str) and not _FREEZE.fullmatch(self.freeze):
            raise ValueError("freeze is none, all-but-last-N, or a list of names of modules")
        parse_rule(self.threshold)
        return self

    def _check_grid(self) -> None:
        if self.labels.central_px > self.patch_px:
            raise ValueError("labels.central_px is larger than the patch")
        if self.sampling.stride > self.patch_px:
            raise ValueError("sampling.stride is larger than the patch: tissue would be left out")

    @property
    def rule(self) -> ThresholdRule:
        """How the threshold is chosen."""
        return parse_rule(self.threshold)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that decides what is trained."""
        decisive = self.model_dump(mode="json", exclude={"name", "about", "checkpoint_steps"})
        if self.stain.method == "none":
            del decisive["stain"]  # as in the fingerprints from before there was such a step
        text = json.dumps({"revision": TRAINING_REVISION, **decisive}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def load_recipe(recipe: str, changes: Sequence[str] = (), **fields: Any) -> Recipe:
    """A recipe by its name or file, with changes.

    Args:
        recipe: The name of a shipped one, or a YAML file.
        changes: ``key=value``, keys with dots for what is nested, values as in YAML.
        fields: Top-level fields that replace the recipe's, unless None. ``mpp`` and ``levels``
            replace each other.

    Raises:
        UsageError: there is no such recipe, or it or a change makes no sense.
    """
    facts = read_facts(recipe, changes)
    given = {key: value for key, value in fields.items() if value is not None}
    for one, other, none in (("mpp", "levels", ()), ("levels", "mpp", None)):
        if one in given:
            facts[other] = none
    facts |= given
    return checked(Recipe, recipe, facts)


def changed(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """A recipe with ``key=value`` changes.

    Raises:
        UsageError: a change makes no sense.
    """
    facts = recipe.model_dump(mode="json")
    for change in changes:
        apply(facts, change)
    try:
        return Recipe.model_validate(facts)
    except ValidationError as error:
        raise UsageError(f"{' '.join(changes)}: {error.errors()[0]['msg']}") from error
