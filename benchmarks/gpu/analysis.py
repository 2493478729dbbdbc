"""Analyses of slides in this process, the model loaded once, and when their parts began."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import RuntimeInfo
from wsi_pipeline.model.runtime import RuntimeRequest, resolve_device
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.observer import SilentObserver
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import connect, default_workers
from wsi_pipeline.run.work import Work
from wsi_pipeline.slide.probe import Prober


@dataclass(frozen=True, slots=True)
class Analysed:
    """When the parts of an analysis began and ended, on the clock of ``time.perf_counter``.

    Attributes:
        began: With the slide's path, the model loaded.
        planned: Its tissue is found.
        classifying: The first region is handed out.
        writing: The last probability is there.
        ended: The result is in its place.
        tiles: How many the model looked at.
        read_thread_seconds: Thread time of reading and decoding.
    """

    began: float
    planned: float
    classifying: float
    writing: float
    ended: float
    tiles: int
    read_thread_seconds: float

    @property
    def figures(self) -> dict[str, float]:
        """Seconds of the whole and of its parts, and tiles."""
        return {
            "seconds": self.ended - self.began,
            "check_and_tissue_seconds": self.planned - self.began,
            "classify_seconds": self.writing - self.classifying,
            "write_seconds": self.ended - self.writing,
            "read_thread_seconds": self.read_thread_seconds,
            "tiles": self.tiles,
        }


class _Stages(SilentObserver):
    """Notes when each stage began."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}

    def stage(self, name: str) -> None:
        """Note it."""
        self.began[name] = time.perf_counter()


@contextmanager
def analyser(
    package: ModelPackage, analysis: AnalysisSettings, request: RuntimeRequest
) -> Iterator[tuple[RuntimeInfo, Callable[[Path, Path], Analysed]]]:
    """Load a model; what computes it, and what analyses a slide into a place with it.

    Args:
        package: The model.
        analysis: The settings.
        request: What to compute with.
    """
    with (
        Prober() as prober,
        connect(None, default_workers(resolve_device(request.device))) as scheduler,
    ):
        work = Work(package, analysis, request, scheduler)
        runtime = scheduler.describe(package, work.request, work.threshold)

        def analyse(slide: Path, out: Path) -> Analysed:
            stages = _Stages()
            shutil.rmtree(out, ignore_errors=True)
            began = time.perf_counter()
            prepared = prepare(slide, package, analysis, prober=prober)
            planned = time.perf_counter()
            result = analyse_slide(prepared, out, work, observer=stages)
            return Analysed(
                began,
                planned,
                stages.began["classifying"],
                stages.began["writing"],
                time.perf_counter(),
                result.tiles,
                result.record.timings.read_thread_seconds,
            )

        yield runtime, analyse
