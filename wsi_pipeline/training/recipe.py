"""Recipes: how a model is trained, as YAML files; shipped ones by name, others by path."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.description import Architecture, Normalisation
from wsi_pipeline.training.operating_point import ThresholdRule, parse_rule

#: Bump when the same recipe would train other weights: checkpoints are then not resumed.
TRAINING_REVISION = 1
_SUFFIX = ".yaml"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelRule(_Frozen):
    """When a patch is called tumour.

    Attributes:
        rule: ``any``: one tumour px anywhere. ``central``: one tumour px among the central
            ``central_px`` × ``central_px``. ``fraction``: at least ``fraction`` of all px.
        central_px: Side of the central square in analysis px (Liu et al. 2017: 128).
        fraction: Share of the patch, 0-1.
    """

    rule: Literal["any", "central", "fraction"] = "central"
    central_px: int = Field(default=128, ge=1)
    fraction: float = Field(default=0.5, gt=0, le=1)


class Sampling(_Frozen):
    """Which patches are shown, and how often.

    Attributes:
        mode: ``balanced``: classes in equal numbers, and within a class every slide as often as
            the next. ``weighted``: every patch once an epoch, the loss of a class weighted by
            ``N / (2 n_c)``.
        patches: Patches of an epoch in ``balanced`` mode; None: twice the tumour patches.
        per_slide: Most patches of one slide and class that are considered; None: all.
        validation_patches: Patches validated on, classes and slides in equal numbers.
        stride: Distance between the candidates in analysis px.
        jitter: Most px a training patch is moved along x and y; only where that cannot change
            its label.
        min_tissue: Least tissue fraction of a patch, 0-1; the rule of inference.
    """

    mode: Literal["balanced", "weighted"] = "balanced"
    patches: int | None = Field(default=None, ge=2)
    per_slide: int | None = Field(default=None, ge=1)
    validation_patches: int = Field(default=2000, ge=2)
    stride: int = Field(default=128, ge=1)
    jitter: int = Field(default=8, ge=0)
    min_tissue: float = Field(default=0.3, ge=0, le=1)


class Augmentation(_Frozen):
    """How training patches are varied.

    Attributes:
        orientations: Whether each is shown in one of its eight orientations.
        brightness: Largest shift, of the range of values (Liu et al. 2017: 64/255).
        saturation: Largest relative change (0.25).
        hue: Largest turn, of the full circle (0.04).
        contrast: Largest relative change (0.75).
        stain: Largest relative change and shift of haematoxylin, eosin and the residual
            (Tellez et al. 2018).
    """

    orientations: bool = True
    brightness: float = Field(default=64 / 255, ge=0, le=1)
    saturation: float = Field(default=0.25, ge=0, le=1)
    hue: float = Field(default=0.04, ge=0, le=0.5)
    contrast: float = Field(default=0.75, ge=0, le=1)
    stain: float = Field(default=0.05, ge=0, le=1)


class Optimiser(_Frozen):
    """Gradient descent.

    Attributes:
        name: ``rmsprop``, ``adam`` or ``sgd``.
        learning_rate: Step size of the first epoch.
        decay: What the learning rate is multiplied by after every epoch.
        alpha: RMSprop's smoothing.
        momentum: Of RMSprop and SGD.
        weight_decay: L2 penalty.
    """

    name: Literal["rmsprop", "adam", "sgd"] = "rmsprop"
    learning_rate: float = Field(default=1e-4, gt=0)
    decay: float = Field(default=1.0, gt=0, le=1)
    alpha: float = Field(default=0.95, ge=0, lt=1)
    momentum: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)


class Probe(_Frozen):
    """The linear head on frozen features.

    Attributes:
        penalties: Ridge penalties tried; the best on the validation patches is taken.
        statistics_patches: Patches that batch statistics of a random trunk are fitted to.
    """

    penalties: tuple[float, ...] = (10.0, 100.0, 1000.0)
    statistics_patches: int = Field(default=64, ge=8)

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if not self.penalties or min(self.penalties) <= 0:
            raise ValueError("penalties are one or more positive numbers")
        return self


class Mining(_Frozen):
    """Hard negatives: after a round, normal patches that look most like tumour come up more often.

    Attributes:
        rounds: Rounds of training after the first.
        epochs: Of each of them.
        candidates: Normal patches scored, slides in equal numbers.
        keep: Share of them that counts as hard.
        share: Share of the normal patches shown that are hard ones.
    """

    rounds: int = Field(default=0, ge=0, le=10)
    epochs: int = Field(default=3, ge=1)
    candidates: int = Field(default=20_000, ge=1)
    keep: float = Field(default=0.1, gt=0, le=1)
    share: float = Field(default=0.5, gt=0, le=1)


class Selection(_Frozen):
    """Which epoch's weights are kept, and when to stop.

    Attributes:
        metric: Of the validation patches.
        recall_floor: Weights whose recall, at a probability of 0.5, is below it lose to any that
            reach it.
        patience: Epochs without a better one after which a round ends; None: all epochs.
    """

    metric: Literal["auc", "average_precision", "recall", "loss"] = "auc"
    recall_floor: float = Field(default=0.9, ge=0, le=1)
    patience: int | None = Field(default=None, ge=1)


class Recipe(_Frozen):
    """Everything that decides what is trained, but for the slides and the seed.

    Attributes:
        name: Told in reports.
        about: One sentence.
        method: ``gradient``: all weights, by gradient descent. ``probe``: the trunk is frozen,
            and a ridge-penalised logistic regression on its pooled features is the head.
        architecture: The network.
        init: ``imagenet``, ``random``, or a file or package to start from.
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
    method: Literal["gradient", "probe"] = "gradient"
    architecture: Architecture
    init: str = "random"
    normalisation: Normalisation = Normalisation()
    patch_px: int = Field(default=299, ge=16, le=4096)
    mpp: float | None = Field(default=None, gt=0, le=64)
    levels: tuple[int, ...] = ()
    labels: LabelRule = LabelRule()
    sampling: Sampling = Sampling()
    augmentation: Augmentation = Augmentation()
    optimiser: Optimiser = Optimiser()
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
        if self.labels.central_px > self.patch_px:
            raise ValueError("labels.central_px is larger than the patch")
        if self.sampling.stride > self.patch_px:
            raise ValueError("sampling.stride is larger than the patch: tissue would be left out")
        if self.architecture.name == "inception_v3" and self.patch_px < 75:
            raise ValueError("patch_px is at least 75 for inception_v3")
        parse_rule(self.threshold)
        return self

    @property
    def rule(self) -> ThresholdRule:
        """How the threshold is chosen."""
        return parse_rule(self.threshold)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that decides what is trained."""
        decisive = self.model_dump(mode="json", exclude={"name", "about", "checkpoint_steps"})
        text = json.dumps({"revision": TRAINING_REVISION, **decisive}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def shipped() -> list[str]:
    """Names of the recipes that come with the program."""
    folder = resources.files("wsi_pipeline.training") / "recipes"
    return sorted(
        item.name.removesuffix(_SUFFIX) for item in folder.iterdir() if item.name.endswith(_SUFFIX)
    )


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
    facts = _read(recipe)
    for change in changes:
        _apply(facts, change)
    given = {key: value for key, value in fields.items() if value is not None}
    for one, other, none in (("mpp", "levels", ()), ("levels", "mpp", None)):
        if one in given:
            facts[other] = none
    facts |= given
    try:
        return Recipe.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        raise UsageError(f"recipe {recipe}: {f'{place}: ' if place else ''}{message}") from error


def changed(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """A recipe with ``key=value`` changes.

    Raises:
        UsageError: a change makes no sense.
    """
    facts = recipe.model_dump(mode="json")
    for change in changes:
        _apply(facts, change)
    try:
        return Recipe.model_validate(facts)
    except ValidationError as error:
        raise UsageError(f"{' '.join(changes)}: {error.errors()[0]['msg']}") from error


def _read(recipe: str) -> dict[str, Any]:
    path = Path(recipe)
    try:
        if recipe in shipped():
            place = resources.files("wsi_pipeline.training") / "recipes" / f"{recipe}{_SUFFIX}"
            text = place.read_text(encoding="utf-8")
        elif path.suffix in (".yaml", ".yml"):
            text = path.read_text(encoding="utf-8")
        else:
            raise UsageError(
                f"no recipe is called {recipe!r}; choose {', '.join(shipped())}, or give a file "
                "that ends in .yaml"
            )
        facts = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"recipe {recipe} cannot be read: {error}") from error
    if not isinstance(facts, dict):
        raise UsageError(f"recipe {recipe} is not a YAML mapping")
    return facts


def _apply(facts: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {change!r}: write KEY=VALUE, as epochs=3 or labels.rule=any")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {change!r}: the value is not YAML") from error
    if isinstance(value, str):
        # YAML 1.1 takes 1e-4 for a word, because it has no point.
        with suppress(ValueError):
            value = float(value)
    *outer, last = key.strip().split(".")
    place = facts
    for part in outer:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UsageError(f"--set {change!r}: {part} has no parts")
        place = inner
    place[last] = value
