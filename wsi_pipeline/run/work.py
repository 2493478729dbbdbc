"""What all slides of a run share."""

from dataclasses import dataclass, replace

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.run.profile import NOT_PROFILED, Recorder
from wsi_pipeline.run.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class Work:
    """What all slides of a run share.

    Attributes:
        package: The model.
        analysis: The settings.
        runtime: What to compute with.
        scheduler: Where regions run.
        profile: Told what was done when.
    """

    package: ModelPackage
    analysis: AnalysisSettings
    runtime: RuntimeRequest
    scheduler: Scheduler
    profile: Recorder = NOT_PROFILED

    def __post_init__(self) -> None:
        # The settings say what is computed; frozen, but not yet anybody's.
        object.__setattr__(self, "runtime", replace(self.runtime, tta=self.analysis.tta))

    @property
    def keeps_features(self) -> bool:
        """Whether features are kept until all tiles have theirs."""
        return self.analysis.features != "off" or self.package.needs_features

    @property
    def request(self) -> RuntimeRequest:
        """What to compute with, and what is asked of the model."""
        return replace(self.runtime, head=self.package.head(features=self.keeps_features))

    @property
    def threshold(self) -> float:
        """Probability at and above which a cell is tumour."""
        return self.analysis.threshold or self.package.description.threshold.value

    @property
    def fingerprint(self) -> str:
        """Identifies the settings, with what they leave to the package filled in."""
        description = self.package.description
        return self.analysis.fingerprint(
            mpp=description.mpp,
            level=description.level,
            stride=description.tile_px,
            threshold=description.threshold.value,
        )
