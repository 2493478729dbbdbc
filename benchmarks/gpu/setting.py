"""What is measured, and where: shared by all steps, each of which is a process of its own."""

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import AnalysisSettings, PrecisionChoice
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.run.preparation import Preparation, prepare
from wsi_pipeline.settings import Settings
from wsi_pipeline.tiles.patches import read_input
from wsi_pipeline.tiles.plan import spread

#: Before a step's limit, seconds: what it started is ended and its row kept.
_FOR_KEEPING = 3.0


@dataclass(frozen=True)
class Setting:
    """What the user asked for.

    Attributes:
        out: Folder of figures and slides.
        device: ``cpu`` or ``cuda:N``.
        model: Name or folder of a package.
        size: Of the slide, as ``20000x18000``.
        large_size: Of the large slide.
        tiles: Most tiles of the plan that are compared, and that lie in memory for the bare rate.
        recipe: Of the training.
        changes: Of the recipe, ``KEY=VALUE``.
        training_size: Of the slides trained on.
        training_steps: Timed steps of the training.
        limit: Seconds this step may take.
    """

    out: Path
    device: str
    model: str
    size: str
    large_size: str
    tiles: int
    recipe: str
    changes: tuple[str, ...]
    training_size: str
    training_steps: int
    limit: float

    def seconds_left(self, began: float) -> float:
        """For a program that a step starts, so that its row is kept before the step's limit.

        Args:
            began: When the step did, on the clock of ``time.monotonic``.
        """
        return max(self.limit - (time.monotonic() - began) - _FOR_KEEPING, 1.0)

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU computes."""
        return self.device.startswith("cuda")

    @property
    def slide(self) -> Path:
        """The slide."""
        return self.slide_of(self.size)

    @property
    def large_slide(self) -> Path:
        """The large slide, which may not be drawn in time."""
        return self.slide_of(self.large_size)

    def slide_of(self, size: str) -> Path:
        """Where a slide of a size is kept."""
        return self.out / "slides" / f"{size}.tiff"

    def step_file(self, step: str) -> Path:
        """Rows of a step."""
        return self.out / "steps" / f"{step}.json"

    @cached_property
    def package(self) -> ModelPackage:
        """The model."""
        return find_or_build(self.model, Settings(), print)

    @property
    def analysis(self) -> AnalysisSettings:
        """Level 0 for the demo model, as in ``make bench``; else the package's own resolution."""
        return AnalysisSettings(device=self.device, level=0 if self.model == "demo" else None)

    def request(self, precision: PrecisionChoice, runtime: str = "torch") -> RuntimeRequest:
        """Torch on the device: a GPU's runtime, or the reference on the CPU."""
        return RuntimeRequest(self.device, precision, Settings().cache_dir, runtime)  # type: ignore[arg-type]  # benchmarks.gpu.cascades adds one

    @property
    def precisions(self) -> tuple[PrecisionChoice, ...]:
        """What torch computes in on this device."""
        return ("fp32", "bf16", "fp16") if self.on_gpu else ("fp32",)

    def prepared(self) -> Preparation:
        """The slide with its plan."""
        return prepare(self.slide, self.package, self.analysis)

    def patches(self, prepared: Preparation) -> NDArray[np.uint8]:
        """Tiles spread over the plan, ``(n, patch, patch, 3)``, all in memory."""
        plan = prepared.plan
        chosen = plan.cells[spread(len(plan), self.tiles)]
        return np.stack([read_input(prepared.reader, plan.grid, int(x), int(y)) for x, y in chosen])
