"""What an evaluation is asked to do, frozen."""

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from wsi_pipeline.errors import UsageError

#: Where sensitivity is read from the FROC curve: false positives per slide.
OPERATING_POINTS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
#: µm per level-0 px in the challenge's own script, whatever the slide's.
OFFICIAL_MPP = 0.243
#: The challenge's scanners, 0.226 to 0.25 µm per px, are within this of it.
_OFFICIAL_TOLERANCE = 0.1

Interpolation = Literal["linear", "first-at-least", "last-at-most"]
TileRuleName = Literal["any", "central", "fraction"]

_CENTRAL_PX = 128
_RULE = re.compile(r"(any|central|centre|center|fraction)(?::(\d*\.?\d+))?")


@dataclass(frozen=True, slots=True)
class TileRule:
    """When a tile counts as tumour; the rules and the default of training.

    Attributes:
        name: ``any``: any px of its patch is tumour. ``central``: any px of a central square is.
            ``fraction``: at least a share of its px is.
        value: Side of the central square in analysis px, or the share (0-1); unused by ``any``.
    """

    name: TileRuleName = "central"
    value: float = _CENTRAL_PX

    @classmethod
    def parse(cls, text: str) -> "TileRule":
        """Read ``any``, ``central``, ``central:PX`` or ``fraction:SHARE``.

        Raises:
            UsageError: it is none of these.
        """
        found = _RULE.fullmatch(text.strip().lower())
        if found is None:
            raise UsageError(
                f"--tile-label {text!r}: write any, central, central:128 or fraction:0.5"
            )
        name, value = found[1], None if found[2] is None else float(found[2])
        if name == "any":
            return cls("any", 0.0)
        if name == "fraction":
            if value is None or not 0 < value <= 1:
                raise UsageError("--tile-label fraction:SHARE wants a share above 0, at most 1")
            return cls("fraction", value)
        if value is not None and value < 1:
            raise UsageError("--tile-label central:PX wants the side of a square in px")
        return cls("central", _CENTRAL_PX if value is None else float(round(value)))

    def __str__(self) -> str:
        return self.words("tumour")

    def words(self, positive: str) -> str:
        """The rule for a class."""
        if self.name == "any":
            return f"any px of the patch is {positive}"
        if self.name == "central":
            return f"any of the patch's central {self.value:g} × {self.value:g} px is {positive}"
        return f"at least {100 * self.value:g} % of the patch's px are {positive}"


@dataclass(frozen=True, slots=True)
class FrocRule:
    """The challenge's rule for lesions and hits.

    Attributes:
        downsample: Level-0 px per px of the evaluation mask: level 5 of a CAMELYON slide.
        mpp: µm per level-0 px to believe for every slide; ``slide``: each slide's own; ``auto``:
            the script's 0.243 for the slides it was made for, others' own.
        gap_um: Tumour nearer to each other than this is one lesion; half of it is how far from a
            lesion a detection still hits it.
        itc_um: Lesions of the evaluation mask with a shorter major axis are isolated tumour
            cells: neither to be found nor an error.
        interpolation: How sensitivity is read between points of the curve.
    """

    downsample: float = 32
    mpp: float | Literal["auto", "slide"] = "auto"
    gap_um: float = 75
    itc_um: float = 275
    interpolation: Interpolation = "linear"

    def __post_init__(self) -> None:
        if not isinstance(self.mpp, str) and not 0 < self.mpp <= 64:
            raise UsageError("--froc-mpp is µm per level-0 px, above 0; or auto, or slide")
        if not 1 <= self.downsample <= 1024:
            raise UsageError("--froc-downsample is level-0 px per px, 1 to 1024")

    def mpp_of(self, slide_mpp: float | None) -> float:
        """µm per level-0 px that the lengths are converted by.

        Args:
            slide_mpp: The slide's own; None where it is not known.
        """
        if not isinstance(self.mpp, str):
            return self.mpp
        if slide_mpp is None:
            return OFFICIAL_MPP
        official = abs(slide_mpp / OFFICIAL_MPP - 1) <= _OFFICIAL_TOLERANCE
        return OFFICIAL_MPP if official and self.mpp == "auto" else slide_mpp


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """Settings that decide the figures.

    Attributes:
        threshold: Score at and above which cells and slides are tumour; None takes each result's.
        detection_threshold: Least probability of a detection made from a heatmap.
        detection_radius_um: Cells nearer than this to a stronger detection are part of it.
        froc: The rule for lesions.
        tile_rule: When a tile counts as tumour.
        resamples: How often slides are drawn for intervals.
        seed: Of the draws.
        stages: Whether patients are staged as in CAMELYON17.
        pictures: How many errors of each kind the gallery shows.
    """

    threshold: float | None = None
    detection_threshold: float = 0.5
    detection_radius_um: float = 187.0
    froc: FrocRule = field(default_factory=FrocRule)
    tile_rule: TileRule = field(default_factory=TileRule)
    resamples: int = 2000
    seed: int = 1
    stages: bool = False
    pictures: int = 12

    def __post_init__(self) -> None:
        if not 0 < self.detection_threshold <= 1:
            raise UsageError("--detection-threshold is a probability above 0")
        if self.detection_radius_um < 0:
            raise UsageError("--detection-radius is a length in µm, 0 or more")
        if self.resamples < 1:
            raise UsageError("--resamples is at least 1")

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
