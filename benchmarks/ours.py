"""One timed analysis by the pipeline in a process of its own; ``benchmarks.bench`` starts it.

Prints one JSON object. The model is loaded before the clock starts, as it is for the reference
loop; start-up is measured apart. With ``--bare`` the model alone is timed on the same batches.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

BORN = time.time()

import numpy as np  # noqa: E402 - the clock above comes first
import psutil  # noqa: E402

from benchmarks.memory import PeakMemory  # noqa: E402
from wsi_pipeline.config import AnalysisConfig  # noqa: E402
from wsi_pipeline.model.package import load_package  # noqa: E402
from wsi_pipeline.model.predictor import Predictor  # noqa: E402
from wsi_pipeline.model.runtime import RuntimeRequest, resolve_device  # noqa: E402
from wsi_pipeline.pipeline import Work, analyse_slide  # noqa: E402
from wsi_pipeline.run.observer import SilentObserver  # noqa: E402
from wsi_pipeline.run.preparation import Preparation, prepare  # noqa: E402
from wsi_pipeline.run.regions import RESOURCES  # noqa: E402
from wsi_pipeline.run.scheduler import connect, default_workers  # noqa: E402
from wsi_pipeline.tiles.patches import read_patch  # noqa: E402


class _Stages(SilentObserver):
    """Notes when stages begin and when the first tiles are done."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.first_tiles = 0.0

    def stage(self, name: str) -> None:
        self.began[name] = time.perf_counter()

    def advanced(self, tiles: int, bytes_read: int) -> None:  # noqa: ARG002 - the interface's
        self.first_tiles = self.first_tiles or time.time()


def bare_rate(predictor: Predictor, prepared: Preparation) -> tuple[float, float]:
    """Patches per second of the model alone, and CPU seconds to read all the plan's patches."""
    plan, grid = prepared.plan, prepared.plan.grid
    began = time.process_time()
    patches = [read_patch(prepared.reader, grid, int(x), int(y)) for x, y in plan.cells]
    decode = time.process_time() - began
    step = predictor.batch_size
    batches = [np.stack(patches[i : i + step]) for i in range(0, len(patches), step)]
    del patches
    began_wall = time.perf_counter()
    futures = [predictor.submit(batch) for batch in batches]
    for future in futures:
        future.result()
    return len(plan) / (time.perf_counter() - began_wall), decode


def main() -> None:
    """Analyse a slide with one precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slide", type=Path)
    parser.add_argument("package", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bare", action="store_true")
    arguments = parser.parse_args()
    config = AnalysisConfig(device=arguments.device, precision=arguments.precision, level=0)
    package = load_package(arguments.package)
    request = RuntimeRequest(arguments.device, arguments.precision, arguments.cache)
    stages = _Stages()
    with (
        PeakMemory(psutil.Process()) as memory,
        connect(None, default_workers(resolve_device(arguments.device))) as scheduler,
    ):
        work = Work(package, config, request, scheduler)
        runtime = scheduler.describe(package, request, work.threshold)
        start_up = time.time() - BORN
        if arguments.bare:
            predictor = RESOURCES.predictor(
                package.folder.resolve(), package.sha256, request, work.threshold
            )
            rate, decode = bare_rate(predictor, prepare(arguments.slide, package, config))
            print(json.dumps({"rate": rate, "decode_cpu_seconds": decode}))
            return
        shutil.rmtree(arguments.out, ignore_errors=True)
        began = time.perf_counter()
        prepared = prepare(arguments.slide, package, config)
        planned = time.perf_counter()
        result = analyse_slide(prepared, arguments.out, work, observer=stages)
        ended = time.perf_counter()
    facts = result.attributes
    print(
        json.dumps(
            {
                "seconds": ended - began,
                "check_and_tissue_seconds": planned - began,
                "classify_seconds": stages.began["writing"] - stages.began["classifying"],
                "write_seconds": ended - stages.began["writing"],
                "read_thread_seconds": facts["timings"]["read_thread_seconds"],
                "start_up_seconds": start_up,
                "rss_mb": memory.peak_mb,
                "tiles": facts["tiles"],
                "runtime": runtime.to_json(),
            }
        )
    )


if __name__ == "__main__":
    main()
