"""One timed analysis by the pipeline in a process of its own; ``benchmarks.bench`` starts it.

Prints one JSON object. The model is loaded before the clock starts, as it is for the reference
loop; start-up, from the start of the process to a model ready for its first tile, is measured apart
and goes as in ``wsi run``: the model loads while the rest is imported. ``profile`` has the stages
of the whole process. With ``--bare`` the model alone is timed on the same batches.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.process import set_aside
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.model.loaded import LOADED, model_loading
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.runtime import RuntimeRequest, resolve_device
from wsi_pipeline.native import return_large_blocks
from wsi_pipeline.run.profile import Profile, stage_times
from wsi_pipeline.slide.probe import Prober
from wsi_pipeline.slide.sandbox import PROBING, Sandbox


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
    parser.add_argument("--screen", default="auto", help="the package's: auto or off")
    parser.add_argument("--bare", action="store_true")
    arguments = parser.parse_args()
    analysis = AnalysisSettings(
        device=arguments.device,
        precision=arguments.precision,
        level=arguments.level,
        features=arguments.features,
        qc=arguments.qc,
        screen=arguments.screen,
    )
    return_large_blocks()  # as the program does
    profile = Profile()
    profile.started()
    # Before the model is found, as in the program: it has imports of its own to do.
    with Sandbox(PROBING).start() as sandbox, Prober(sandbox=sandbox) as prober:
        with profile.span("start-up", "find the model"):
            package = load_package(arguments.package)
        head = package.head(features=analysis.features != "off")
        request = RuntimeRequest(arguments.device, arguments.precision, arguments.cache, head=head)
        loading = profile.span("start-up", "load the model")
        with model_loading(package, request, package.description.threshold.value, loading):
            if arguments.bare:
                figures: dict[str, object] = {
                    **_bare(arguments, package, analysis, request, prober)
                }
            else:
                figures = _analyse(arguments, package, analysis, request, profile, prober)
    print(json.dumps(figures))


def _bare(
    arguments: argparse.Namespace,
    package: ModelPackage,
    analysis: AnalysisSettings,
    request: RuntimeRequest,
    prober: Prober,
) -> dict[str, float]:
    """Patches per second of the model alone, and CPU seconds to read all the plan's patches."""
    import numpy as np  # noqa: PLC0415 - while the model loads

    from wsi_pipeline.run.preparation import prepare  # noqa: PLC0415
    from wsi_pipeline.tiles.patches import read_input  # noqa: PLC0415

    predictor = LOADED.predictor(
        package.folder.resolve(), package.sha256, request, package.description.threshold.value
    )
    prepared = prepare(arguments.slide, package, analysis, prober=prober)
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


def _analyse(
    arguments: argparse.Namespace,
    package: ModelPackage,
    analysis: AnalysisSettings,
    request: RuntimeRequest,
    profile: Profile,
    prober: Prober,
) -> dict[str, object]:
    with profile.span("start-up", "import the pipeline"):
        import psutil  # noqa: PLC0415 - while the model loads

        from benchmarks.memory import PeakMemory  # noqa: PLC0415
        from wsi_pipeline.pipeline import analyse_slide  # noqa: PLC0415
        from wsi_pipeline.run.preparation import prepare  # noqa: PLC0415
        from wsi_pipeline.run.scheduler import connect, default_workers  # noqa: PLC0415
        from wsi_pipeline.run.work import Work  # noqa: PLC0415
        from wsi_pipeline.screen.loaded import screen_of  # noqa: PLC0415

    with (
        PeakMemory(psutil.Process()) as memory,
        connect(None, default_workers(resolve_device(arguments.device))) as scheduler,
    ):
        work = Work(package, analysis, request, scheduler, profile)
        runtime = scheduler.describe(package, request, work.threshold)
        screen_of(package)
        start_up = time.time() - profile.began
        set_aside(arguments.out)
        began = time.perf_counter()
        prepared = prepare(arguments.slide, package, analysis, prober=prober, profile=profile)
        planned = time.perf_counter()
        result = analyse_slide(prepared, arguments.out, work)
        ended = time.perf_counter()
        whole = time.time() - profile.began
    timings, screen = result.record.timings, result.record.screen
    return {
        "seconds": ended - began,
        "check_and_tissue_seconds": planned - began,
        "classify_seconds": timings.classify_seconds,
        "write_seconds": ended - planned - timings.classify_seconds,
        "read_thread_seconds": timings.read_thread_seconds,
        "model_wait_seconds": timings.model_wait_seconds,
        "profile": {one.stage: asdict(one) for one in stage_times(profile.spans, whole)},
        "start_up_seconds": start_up,
        "rss_mb": memory.peak_mb,
        "tiles": result.tiles if screen is None else result.tiles - screen.screened,
        "runtime": runtime.to_json(),
    }


if __name__ == "__main__":
    main()
