"""``make bench``: the pipeline against the plain loop, on the same slide, tiles and weights.

Runs alternate, each in a process of its own, and what is compared are medians: the machine may
be noisy. ``build/bench.json`` keeps, for ``reference_loop``, ``fp32``, ``bf16``, ``int8`` and
``auto``:

* ``seconds``: median; from the slide's path, with the model loaded, to the result in its place
  (the reference: to the last probability);
* ``ratio``: the reference's seconds over these;
* ``tiles_per_second``; ``rss_mb``: peak resident memory, mapped files included;
* ``bound_share``: the lower bound (tiles over the best bare model rate of the same precision and
  batches, plus half the CPU time of reading on two cores) over ``seconds``;
* ``decisions_changed``: share of the tiles whose decision at the threshold differs from the
  reference's fp32; ``max_abs_difference``: largest difference of a probability from it.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.settings import Settings
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.synth import SynthSpec, parse_size, write_slide

_OURS = ("fp32", "bf16", "int8", "auto")


def main() -> None:
    """Measure, print the table, keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--size", default="20000x18000")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="demo")
    arguments = parser.parse_args()
    folder = arguments.out.parent / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    slide = folder / f"{arguments.size}.tiff"
    if not slide.exists():
        write_slide(SynthSpec(parse_size(arguments.size), seed=7), slide)
    package = find_or_build(arguments.model, Settings(), lambda what: print(f"demo model: {what}"))
    plan = prepare(slide, package, AnalysisSettings(level=0)).plan
    corners = folder / "corners.npy"
    np.save(corners, plan.grid.corners_0(plan.cells))
    print(f"{slide.name}: {len(plan):,} of {plan.grid.size.area:,} tiles hold tissue")

    threshold = package.description.threshold.value
    cache = Settings().cache_dir
    ours = ["benchmarks.pipeline_run", slide, package.folder, cache]
    reference = ["benchmarks.reference_loop", slide, corners, package.folder, folder / "loop.npy"]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ("reference_loop", *_OURS)}
    bare: dict[str, list[dict[str, Any]]] = {name: [] for name in _OURS}
    for name in _OURS:  # models are converted, and the disk is warm, before anything is timed
        _run([*ours, folder / f"{name}.zarr", "--precision", name, "--bare"])
    for turn in range(arguments.repeats):
        runs["reference_loop"].append(_run(reference))
        for name in _OURS:
            runs[name].append(_run([*ours, folder / f"{name}.zarr", "--precision", name]))
            bare[name].append(_run([*ours, folder / "none", "--precision", name, "--bare"]))
        print(f"round {turn + 1} of {arguments.repeats} done", flush=True)

    truth = np.load(folder / "loop.npy")
    loop = statistics.median(run["seconds"] for run in runs["reference_loop"])
    figures: dict[str, Any] = {}
    for name, several in runs.items():
        seconds = statistics.median(run["seconds"] for run in several)
        entry: dict[str, Any] = {
            "seconds": seconds,
            "ratio": loop / seconds,
            "tiles_per_second": len(plan) / seconds,
            "rss_mb": max(run["rss_mb"] for run in several),
            "bound_share": None,
            "decisions_changed": 0.0,
            "max_abs_difference": 0.0,
        }
        if name in bare:
            rate = max(run["rate"] for run in bare[name])
            decode = min(run["decode_cpu_seconds"] for run in bare[name])
            values = Result(folder / f"{name}.zarr").tile_table()["probability"]
            changed = (values >= threshold) != (truth >= threshold)
            entry |= {
                "bound_share": (len(plan) / rate + decode / 2) / seconds,
                "decisions_changed": float(changed.mean()),
                "max_abs_difference": float(np.abs(values - truth).max()),
                "bare_rate": rate,
                "decode_cpu_seconds": decode,
            }
            for part in (
                "check_and_tissue_seconds",
                "read_thread_seconds",
                "classify_seconds",
                "write_seconds",
                "start_up_seconds",
            ):
                entry[part] = statistics.median(run[part] for run in several)
            entry["runtime"] = several[0]["runtime"]
        figures[name] = entry
    figures["slide"] = {
        "size": arguments.size,
        "tiles": len(plan),
        "grid": plan.grid.size.area,
        "repeats": arguments.repeats,
    }
    arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    _show(figures)


def _run(module: list[Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", *(str(part) for part in module)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _show(figures: dict[str, Any]) -> None:
    print(
        f"\n{'':<15}{'seconds':>9}{'ratio':>7}{'tiles/s':>9}{'RSS MB':>8}{'bound':>7}"
        f"{'changed':>9}{'max |Δp|':>10}"
    )
    for name in ("reference_loop", *_OURS):
        row = figures[name]
        bound = "" if row["bound_share"] is None else f"{row['bound_share']:.0%}"
        print(
            f"{name:<15}{row['seconds']:>9.1f}{row['ratio']:>7.2f}{row['tiles_per_second']:>9.1f}"
            f"{row['rss_mb']:>8.0f}{bound:>7}{row['decisions_changed']:>9.2%}"
            f"{row['max_abs_difference']:>10.2g}"
        )
    print(
        f"\n{'split, seconds':<15}{'check+tissue':>13}{'read (CPU)':>12}{'classify':>10}"
        f"{'write':>7}{'start-up':>10}{'bare tiles/s':>14}"
    )
    for name in _OURS:
        row = figures[name]
        print(
            f"{name:<15}{row['check_and_tissue_seconds']:>13.2f}{row['read_thread_seconds']:>12.2f}"
            f"{row['classify_seconds']:>10.2f}{row['write_seconds']:>7.2f}"
            f"{row['start_up_seconds']:>10.2f}{row['bare_rate']:>14.1f}"
        )


if __name__ == "__main__":
    main()
