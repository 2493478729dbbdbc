"""What an analysis is asked to do, frozen, with the fingerprint that identifies it."""

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from wsi_pipeline.geometry import MPP_RANGE, GridKind

#: What computes the probabilities; `model.runtime` has an entry for each but ``auto``.
RuntimeChoice = Literal["auto", "openvino", "torch", "onnxruntime"]
PrecisionChoice = Literal["auto", "fp32", "bf16", "fp16", "int8"]

#: As what features are kept, if at all.
FeatureNumbers = Literal["off", "float16", "float32"]
#: What becomes of tiles that quality control finds fault with.
QualityChoice = Literal["off", "flag", "reject"]

#: Whether a model's screen is used: where it was validated for the slide's stain, or not at all.
ScreenChoice = Literal["auto", "off"]

#: Bump when the same settings would give other arrays: old results are then not reused.
ANALYSIS_REVISION = 1
#: The model package that is used where none is named.
DEFAULT_MODEL = "lymph-node"


class AnalysisSettings(BaseModel):
    """Settings that decide the arrays of a result.

    Attributes:
        mpp: µm per analysis px; None takes the package's.
        level: Pyramid level to analyse as it is; overrides ``mpp``.
        stride: Distance between tiles in analysis px; None takes the patch side.
        grid: ``cover`` covers the whole slide; ``wsinfer`` takes that program's tiles and reads
            them as it does.
        min_tissue: Least tissue fraction of a classified patch, 0-1.
        tissue: ``fast`` decides from a coarse level, ``exact`` reads every patch.
        qc: Quality control: ``off``, ``flag`` marks tiles and classifies them all the same,
            ``reject`` leaves marked tiles out.
        qc_limit: Share of the tissue, 0-1; where ``reject`` would leave out more, nothing is left
            out, and an alarm says so.
        slide_mpp: µm per level-0 px to believe instead of the file.
        threshold: Probability at and above which a cell is tumour; None takes the package's.
        allow_unreadable: Share of the tissue tiles that may be unreadable, 0-1.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        precision: ``auto`` or one precision.
        runtime: ``auto``, ``openvino``, ``torch`` or ``onnxruntime``.
        features: Whether each tile's features are kept, and as which numbers.
        tta: Whether each tile is looked at in eight orientations: eight times the work.
        screen: ``auto`` lets the model's screen say which tiles are surely negative, where it was
            validated for slides of this stain; ``off`` gives every tile to the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mpp: float | None = Field(default=None, gt=0, le=MPP_RANGE[1])
    level: int | None = Field(default=None, ge=0)
    stride: int | None = Field(default=None, ge=1)
    grid: GridKind = "cover"
    min_tissue: float = Field(default=0.3, ge=0, le=1)
    tissue: Literal["fast", "exact"] = "fast"
    qc: QualityChoice = "flag"
    qc_limit: float = Field(default=0.5, ge=0, le=1)
    slide_mpp: float | None = Field(default=None, ge=MPP_RANGE[0], le=MPP_RANGE[1])
    threshold: float | None = Field(default=None, gt=0, lt=1)
    allow_unreadable: float = Field(default=0.0, ge=0, le=1)
    device: str = "auto"
    precision: PrecisionChoice = "auto"
    runtime: RuntimeChoice = "auto"
    features: FeatureNumbers = "off"
    tta: bool = False
    screen: ScreenChoice = "auto"

    def fingerprint(
        self, *, mpp: float | None, level: int | None, stride: int, threshold: float
    ) -> str:
        """SHA-256 (hex) of what decides the arrays: equal for equal analyses, on every machine.

        What is left to the package counts as if it had been given. Where it is computed does not
        count, nor how much of the tissue may be unreadable: a result that stands met that.

        Args:
            mpp: The package's, where this names none.
            level: The package's, where this names none.
            stride: The package's patch side, where this names none.
            threshold: The package's, where this names none.
        """
        decisive = self.model_dump(mode="json", exclude={"device", "allow_unreadable"})
        if self.level is not None:
            decisive["mpp"] = None
        elif self.mpp is None:
            decisive |= {"mpp": mpp, "level": level}
        if self.grid == "cover":
            del decisive["grid"]  # as in the fingerprints from before there was another
        if self.features == "off":
            del decisive["features"]  # as before there were any
        if not self.tta:
            del decisive["tta"]  # likewise
        if self.screen == "auto":
            del decisive["screen"]  # likewise
        if self.qc == "off":
            del decisive["qc"], decisive["qc_limit"]  # likewise
        decisive["stride"] = self.stride or stride
        decisive["threshold"] = self.threshold or threshold
        text = json.dumps({"revision": ANALYSIS_REVISION, **decisive}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
