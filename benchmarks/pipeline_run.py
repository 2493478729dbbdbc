"""One timed analysis by the pipeline in a process of its own; ``benchmarks.bench`` starts it.

Prints one JSON object. The model is loaded before the clock starts, as it is for the reference
loop; start-up, from the first line here to a model ready for its first tile, is measured apart
and goes as in ``wsi run``: the model loads while the rest is imported. With ``--bare`` the model
alone is timed on the same batches.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BORN = time.time()

from wsi_pipeline.analysis_settings import AnalysisSettings  # noqa: E402 - the clock above comes first
from wsi_pipeline.model.loaded import LOADED, model_loading  # noqa: E402
from wsi_pipeline.model.package import (  # noqa: E402
    ModelPackage,
    load_package,
)
from wsi_pipeline.model.predictor import RuntimeInfo  # noqa: E402
from wsi_pipeline.model.runtime import RuntimeRequest, resolve_device  # noqa: E402


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


def main() -> None:
    """Analyse a slide with one precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slide", type=Path)
    parser.add_argument("package", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--level", type=int, help="default: the package's own resolution")
    parser.add_argument("--features", default="off", help="numbers to keep them as")
    parser.add_argument("--qc", default="flag", help="quality control: flag or off")
    parser.add_argument("--bare", action="store_true")
    arguments = parser.parse_args()
    analysis = AnalysisSettings(
        device=arguments.device,
        precision=arguments.precision,
        level=arguments.level,
        features=arguments.features,
        qc=arguments.qc,
    )
    package = load_package(arguments.package)
    head = package.head(features=analysis.features != "off")
    request = RuntimeRequest(arguments.device, arguments.precision, arguments.cache, head=head)
    with model_loading(package, request, package.description.threshold.value):
        figures = (_bare if arguments.bare else _analyse)(arguments, package, analysis, request)
    print(json.dumps(figures))


def _bare(
    arguments: argparse.Namespace,
    package: ModelPackage,
    analysis: AnalysisSettings,
    request: RuntimeRequest,
) -> dict[str, float]:
    """Patches per second of the model alone, and CPU seconds to read all the plan's patches."""
    import numpy as np  # noqa: PLC0415 - while the model loads

    from wsi_pipeline.run.preparation import prepare  # noqa: PLC0415
    from wsi_pipeline.tiles.patches import read_input  # noqa: PLC0415

    predictor = LOADED.predictor(
        package.folder.resolve(), package.sha256, request, package.description.threshold.value
    )
    prepared = prepare(arguments.slide, package, analysis)
    plan, grid = prepared.plan, prepared.plan.grid
    began = time.thread_time()
    for x, y in plan.cells:
        read_input(prepared.reader, grid, int(x), int(y))
    decode = time.thread_time() - began
    # Again, and kept: memory for all of them at once is no part of reading.
    patches = [read_input(prepared.reader, grid, int(x), int(y)) for x, y in plan.cells]
    step = predictor.batch_size
    batches = [np.stack(patches[i : i + step]) for i in range(0, len(patches), step)]
    del patches
    began_wall = time.perf_counter()
    futures = [predictor.submit(batch) for batch in batches]
    for future in futures:
        future.result()
    rate = len(plan) / (time.perf_counter() - began_wall)
    return {"rate": rate, "decode_cpu_seconds": decode}


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
    from wsi_pipeline.pipeline import Work, analyse_slide  # noqa: PLC0415 - while the model loads
    from wsi_pipeline.run.observer import SilentObserver  # noqa: PLC0415
    from wsi_pipeline.run.preparation import prepare  # noqa: PLC0415
    from wsi_pipeline.run.scheduler import connect, default_workers  # noqa: PLC0415
    from wsi_pipeline.slide.probe import Prober  # noqa: PLC0415

    class Stages(SilentObserver):
        def __init__(self) -> None:
            self.began: dict[str, float] = {}

        def stage(self, name: str) -> None:
            self.began[name] = time.perf_counter()

    with (
        Prober() as prober,
        connect(None, default_workers(resolve_device(request.device))) as scheduler,
    ):
        work = Work(package, analysis, request, scheduler)
        runtime = scheduler.describe(package, work.request, work.threshold)

        def analyse(slide: Path, out: Path) -> Analysed:
            stages = Stages()
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


def _analyse(
    arguments: argparse.Namespace,
    package: ModelPackage,
    analysis: AnalysisSettings,
    request: RuntimeRequest,
) -> dict[str, object]:
    import psutil  # noqa: PLC0415 - while the model loads

    from benchmarks.memory import PeakMemory  # noqa: PLC0415

    with (
        PeakMemory(psutil.Process()) as memory,
        analyser(package, analysis, request) as (runtime, analyse),
    ):
        start_up = time.time() - BORN
        done = analyse(arguments.slide, arguments.out)
    return {
        **done.figures,
        "start_up_seconds": start_up,
        "rss_mb": memory.peak_mb,
        "runtime": runtime.to_json(),
    }


if __name__ == "__main__":
    main()
