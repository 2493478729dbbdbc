"""Many small slides in one ``wsi run``, beside the time that their model alone would take.

``python -m benchmarks.archive`` draws 20 slides of 8,000×7,000 px and analyses the folder once, in
one process that starts cold but for the model's conversion. It prints and writes to
``build/archive.json``:

* ``seconds``: from the start of the process to its end, over all its starts;
* ``model_seconds``: all tiles over ``bare_rate``, the best rate of the model on tiles in memory;
* ``ratio``: the first over the second;
* ``stage_seconds``: all tiles over the rate at which the first slide's go through the model when it
  is analysed alone, which is the stage ``model`` of its profile: other stages go on beside it;
  ``stage_ratio``: ``seconds`` over it;
* ``tiles_per_second``, and ``single_slide_rate``: of the first slide alone, from its path with the
  model loaded to its result; ``rate_share``: the first over the second;
* ``profile``: the stages of a run without kills, see ``wsi run --profile``.

The first slide is analysed alone some times before the folder and some times after it, of which the
medians count: it takes two seconds, and a machine is not as fast at all times.

``--kills K`` kills the process and its children with SIGKILL when a share of the results is there,
K shares evenly apart, and starts the same command again, which continues:

    python -m benchmarks.archive --count 200 --kills 5
"""

import argparse
import functools
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.process import delete_set_aside, run_module, set_aside
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.settings import Settings
from wsi_pipeline.stitch.layout import SUFFIX
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.synth import SynthSpec, parse_size, write_slide

#: How often it is looked whether enough results are there for the next kill, seconds.
_LOOK_SECONDS = 0.05
#: How often the first slide is analysed alone, before the folder and after it.
_ALONE = 4


def main() -> None:
    """Draw, analyse, print, keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/archive.json"))
    parser.add_argument("--count", type=int, default=20, help="slides")
    parser.add_argument("--size", default="8000x7000", help="of each, px")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--level", type=int, default=0)
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()
    delete_set_aside(arguments.out.parent)
    figures = measure(
        arguments.out.parent / "archive",
        count=arguments.count,
        size=arguments.size,
        kills=arguments.kills,
        model=arguments.model,
        options=("--level", str(arguments.level), "--precision", arguments.precision),
    )
    arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    _show(figures)


def measure(
    folder: Path, *, count: int, size: str, kills: int, model: str, options: Sequence[str]
) -> dict[str, Any]:
    """The figures.

    Args:
        folder: For slides, which are drawn once, and results.
        count: Slides.
        size: Of each, ``8000x7000`` px.
        kills: How often the run is killed and continued.
        model: Name or folder of the package.
        options: Level and precision, as ``wsi run`` has them.
    """
    slides = _draw(folder / f"{count} of {size}", count, size)
    package = find_or_build(model, Settings(), lambda what: print(f"{model}: {what}"))
    places = (slides / _name(0), package.folder, Settings().cache_dir, folder / "single.zarr")
    single = functools.partial(run_module, "benchmarks.pipeline_run", *places, *options)
    bare = [single("--bare")]  # converts the model, and reads the slide once
    alone = [single() for _ in range(_ALONE)]
    bare.append(single("--bare"))
    out = folder / "results"
    set_aside(out)
    trace = folder / "profile.json"
    command = [sys.executable, "-m", "wsi_pipeline.cli", "run", slides, "-o", out, "--quiet"]
    command += ["--model", package.folder, *options, "--profile", trace]
    seconds, killed = _run([str(part) for part in command], out, count, kills)
    alone += [single() for _ in range(_ALONE)]
    bare.append(single("--bare"))
    tiles = sum(Result(path).tiles for path in out.glob(f"*{SUFFIX}"))
    best = max(run["rate"] for run in bare)
    model_seconds = tiles / best
    stage = statistics.median(run["profile"]["model"]["seconds"] for run in alone)
    stage_seconds = tiles * stage / alone[0]["tiles"]
    whole = statistics.median(run["seconds"] for run in alone)
    rate, single_rate = tiles / seconds, alone[0]["tiles"] / whole
    profile = json.loads(trace.read_text())
    return {
        "slides": count,
        "size": size,
        "tiles": tiles,
        "kills": killed,
        "seconds": seconds,
        "bare_rate": best,
        "model_seconds": model_seconds,
        "ratio": seconds / model_seconds,
        "stage_seconds": stage_seconds,
        "stage_ratio": seconds / stage_seconds,
        "tiles_per_second": rate,
        "single_slide_rate": single_rate,
        "rate_share": rate / single_rate,
        "profile_seconds": profile["seconds"],
        "profile": profile["stages"],
    }


def _draw(folder: Path, count: int, size: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        path = folder / _name(seed)
        if not path.exists():
            write_slide(SynthSpec(parse_size(size), seed=seed), path)
    return folder


def _name(seed: int) -> str:
    return f"{seed:04d}.tiff"


def _run(command: Sequence[str], out: Path, count: int, kills: int) -> tuple[float, int]:
    """Run a command to its end, killed on the way; seconds, and how often it was killed.

    Raises:
        RuntimeError: it failed.
    """
    marks = [count * (number + 1) / (kills + 1) for number in range(kills)]
    killed, began = 0, time.perf_counter()
    while True:
        process = subprocess.Popen(command, start_new_session=True)
        if killed < kills:
            while process.poll() is None and len(list(out.glob(f"*{SUFFIX}"))) < marks[killed]:
                time.sleep(_LOOK_SECONDS)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                killed += 1
        code = process.wait()
        if code == -signal.SIGKILL:
            continue
        if code:
            raise RuntimeError(f"{' '.join(command)}: exit code {code}")
        return time.perf_counter() - began, killed


def _show(figures: dict[str, Any]) -> None:
    print(
        f"{figures['slides']} slides of {figures['size']} px, {figures['tiles']:,} tiles, "
        f"{figures['kills']} kills: {figures['seconds']:.1f} s; the model alone "
        f"{figures['model_seconds']:.1f} s ({figures['bare_rate']:.1f} tiles/s): "
        f"{figures['ratio']:.2f} times; its stage, of slides alone, "
        f"{figures['stage_seconds']:.1f} s: {figures['stage_ratio']:.2f} times\n"
        f"{figures['tiles_per_second']:.1f} tiles/s, {figures['rate_share']:.0%} of one slide "
        f"alone ({figures['single_slide_rate']:.1f} tiles/s)\n"
    )
    print(f"{'stage':<10}{'wall s':>9}{'thread s':>10}{'share':>7}{'model idle s':>14}")
    for name, stage in figures["profile"].items():
        print(
            f"{name:<10}{stage['seconds']:>9.2f}{stage['thread_seconds']:>10.2f}"
            f"{stage['share']:>7.0%}{stage['model_idle_seconds']:>14.2f}"
        )


if __name__ == "__main__":
    main()
