"""The sections of a recipe: labels, sampling, augmentation, optimiser, selection."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from wsi_pipeline.model.input_description import Frozen


class LabelRule(Frozen):
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


class Sampling(Frozen):
    """Which patches are shown, and how often.

    Attributes:
        mode: ``balanced``: classes in equal numbers, and within a class every slide as often as
            the next. ``weighted``: every patch once an epoch, the loss of a class weighted by
            ``N / (C n_c)``. ``plain``: every patch once an epoch, all of the same weight.
        patches: Patches of an epoch in ``balanced`` mode; None: twice the positive ones, or of
            several classes as many as there are.
        per_slide: Most patches of one slide and class that are considered; None: all.
        validation_patches: Patches validated on, classes and slides in equal numbers; None: all,
            as of single images.
        stride: Distance between the candidates in analysis px.
        jitter: Most px a training patch is moved along x and y; only where that cannot change
            its label.
        min_tissue: Least tissue fraction of a patch, 0-1; the rule of inference.
    """

    mode: Literal["balanced", "weighted", "plain"] = "balanced"
    patches: int | None = Field(default=None, ge=2)
    per_slide: int | None = Field(default=None, ge=1)
    validation_patches: int | None = Field(default=2000, ge=2)
    stride: int = Field(default=128, ge=1)
    jitter: int = Field(default=8, ge=0)
    min_tissue: float = Field(default=0.3, ge=0, le=1)


class Augmentation(Frozen):
    """How training patches are varied.

    Attributes:
        orientations: Whether each is shown in one of its eight orientations.
        brightness: Largest shift, of the range of values (Liu et al. 2017: 64/255).
        saturation: Largest relative change (0.25).
        hue: Largest turn, of the full circle (0.04).
        contrast: Largest relative change (0.75).
        stain: Largest relative change and shift of haematoxylin, eosin and the residual
            (Tellez et al. 2018). Where the recipe normalises stain, of the target's own stains.
        rotation: Largest turn by any angle, degrees.
        zoom: Largest change of size, as a share.
        shear: Largest shear, degrees.
    """

    orientations: bool = True
    brightness: float = Field(default=64 / 255, ge=0, le=1)
    saturation: float = Field(default=0.25, ge=0, le=1)
    hue: float = Field(default=0.04, ge=0, le=0.5)
    contrast: float = Field(default=0.75, ge=0, le=1)
    stain: float = Field(default=0.05, ge=0, le=1)
    rotation: float = Field(default=0, ge=0, le=180)
    zoom: float = Field(default=0, ge=0, lt=1)
    shear: float = Field(default=0, ge=0, lt=80)


class Optimiser(Frozen):
    """Gradient descent.

    Attributes:
        name: Of torch's.
        learning_rate: Step size of the first epoch.
        decay: What the learning rate is multiplied by after every epoch.
        alpha: RMSprop's smoothing.
        momentum: Of RMSprop and SGD.
        weight_decay: L2 penalty.
    """

    name: Literal["rmsprop", "adam", "adamw", "sgd", "nadam", "radam"] = "rmsprop"
    learning_rate: float = Field(default=1e-4, gt=0)
    decay: float = Field(default=1.0, gt=0, le=1)
    alpha: float = Field(default=0.95, ge=0, lt=1)
    momentum: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)


class Schedule(Frozen):
    """How the learning rate goes on, beside the decay of every epoch.

    Attributes:
        name: ``constant``; ``plateau``: multiplied by ``factor`` after ``patience`` epochs without
            a better one; ``cosine``: to nearly nothing at the last epoch, along a cosine.
        factor: Of ``plateau``.
        patience: Of ``plateau``, epochs.
        warm_up: Epochs in which ``cosine`` rises first.
    """

    name: Literal["constant", "plateau", "cosine"] = "constant"
    factor: float = Field(default=0.3, gt=0, lt=1)
    patience: int = Field(default=2, ge=0)
    warm_up: int = Field(default=0, ge=0)


class Probe(Frozen):
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


#: As target of :class:`Stain`: the usual stain of what is trained on.
FROM_TRAINING = "training"


class Stain(Frozen):
    """Whether all slides or images are made as if they were stained alike, for training and use.

    In a recipe ``stain: macenko`` is short for its method.

    Attributes:
        method: ``none`` leaves them as they are; see :mod:`wsi_pipeline.stain`.
        target: What they are made like: ``training``, the usual stain of those trained on; or a
            picture, or a package.
    """

    method: Literal["none", "macenko", "reinhard", "vahadane"] = "none"
    target: str = FROM_TRAINING

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        return {"method": given} if isinstance(given, str) else given


class Mining(Frozen):
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


class Selection(Frozen):
    """Which epoch's weights are kept, and when to stop.

    Attributes:
        metric: Of the validation patches; of several classes its mean over them.
        recall_floor: Weights whose recall, at a probability of 0.5, is below it lose to any that
            reach it.
        patience: Epochs without a better one after which a round ends; None: all epochs.
    """

    metric: Literal["auc", "average_precision", "recall", "f1", "accuracy", "loss"] = "auc"
    recall_floor: float = Field(default=0.9, ge=0, le=1)
    patience: int | None = Field(default=None, ge=1)
