"""What ``model.yaml`` says of a fitted answer for whole slides; its numbers are in other files."""

from collections.abc import Mapping
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from wsi_pipeline.model.input_description import Frozen

#: The numbers of a fit on regions of the probability map, beside ``model.yaml``.
SLIDE_LEVEL = "slide-level.npz"

#: Networks behind the features of all tiles. ``abmil``: gated attention (Ilse et al. 2018).
#: ``clam-sb``: the same with instance clustering in training (Lu et al. 2021). ``transmil``: two
#: layers of self-attention (Shao et al. 2021). ``mean-pool``: the mean over the tiles, what
#: attention has to beat.
TileNetwork = Literal["abmil", "clam-sb", "transmil", "mean-pool"]
TILE_NETWORKS: tuple[TileNetwork, ...] = get_args(TileNetwork)


class SlideFigure(Frozen):
    """A figure with its 95 % interval, where there is one."""

    value: float
    low: float | None = None
    high: float | None = None


class SlideCalibrationNote(Frozen):
    """How scores were made probabilities: the method, and on what."""

    method: str
    fitted: str


class SlideRule(Frozen):
    """When a slide is called clear or suspicious, and what is stated of those that are.

    Of slides called clear, at most ``alpha`` are positive; of slides called suspicious, at most
    ``false_alarms`` are negative; each with a confidence of ``1 - delta``.
    :mod:`wsi_pipeline.slide_level.conformal` chooses the limits.

    Attributes:
        alpha: Share of positive slides among the clear ones, at most.
        delta: Probability that this is not kept.
        false_alarms: Share of negative slides among the suspicious ones, at most.
        slides: Independent validation slides, one of each patient, that the limits rest on.
        positives: How many of them are positive.
        clear_below: Probability below which a slide is clear; None: none can be called clear.
        suspicious_from: Probability at and above which a slide is suspicious; None likewise.
        clear: Validation slides below the first limit.
        missed: Positive ones among them.
        bound: Upper confidence bound for the share of positive slides among the clear ones.
        needed: Least number of slides below a limit, none of them positive, that would do.
        scores: Whether no slide's score is from a fit that has seen it because fits left out its
            patient, or because these slides were held out of all.
    """

    alpha: float = Field(default=0.05, gt=0, lt=1)
    delta: float = Field(default=0.1, gt=0, lt=1)
    false_alarms: float = Field(default=0.2, gt=0, lt=1)
    slides: int = Field(ge=0)
    positives: int = Field(ge=0)
    clear_below: float | None = Field(default=None, ge=0, le=1)
    suspicious_from: float | None = Field(default=None, ge=0, le=1)
    clear: int = Field(default=0, ge=0)
    missed: int = Field(default=0, ge=0)
    bound: float | None = Field(default=None, ge=0, le=1)
    needed: int = Field(ge=1)
    scores: Literal["out-of-fold", "held-out"] = "out-of-fold"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        low, high = self.clear_below, self.suspicious_from
        if low is not None and high is not None and low > high:
            raise ValueError("a slide would be clear and suspicious: clear_below > suspicious_from")
        return self


class TrainedTiles(Frozen):
    """How tiles are cut whose features networks were trained on.

    Attributes:
        patch_px: Side in px; None: the files of the features do not say.
        mpp: µm per px, the median over the slides; None likewise.
    """

    patch_px: int | None = Field(default=None, ge=1)
    mpp: float | None = Field(default=None, gt=0)


class SlideLevelSection(Frozen):
    """The section ``slide_level``.

    Attributes:
        kind: What computes the score: ``regions-logistic``, ``regions-forest``, or one of
            :data:`TILE_NETWORKS`.
        classes: Of slides.
        negative: The class of slides in which there is nothing to find; a slide's probability is
            that of not being of it.
        fitted: On what, in words.
        slides: Validation slides by their class.
        patients: Whose slides they are.
        calibration: Of the probabilities.
        rule: Of the three states.
        tiles: What networks need as features; None of fits on regions, and of packages older than
            it.
        metrics: Figures of slides no fit had seen, by name; ``auc`` and ``auc_max`` among them.
    """

    kind: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    classes: tuple[str, ...] = Field(min_length=2)
    negative: str
    fitted: str
    slides: Mapping[str, int]
    patients: int = Field(ge=1)
    calibration: SlideCalibrationNote
    rule: SlideRule
    tiles: TrainedTiles | None = None
    metrics: Mapping[str, SlideFigure] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("two classes of slides have the same name")
        if self.negative not in self.classes:
            raise ValueError(f"the negative class {self.negative!r} is not among the classes")
        if set(self.slides) != set(self.classes):
            raise ValueError("slides states a number for each class")
        return self

    @property
    def needs_features(self) -> bool:
        """Whether it is computed from the features of all tiles."""
        return self.kind in TILE_NETWORKS

    @property
    def negative_index(self) -> int:
        """Place of the negative class among the classes."""
        return self.classes.index(self.negative)
