"""``make bench``: the pipeline against the plain loop, on the same slide, tiles and weights.

Runs alternate, each in a process of its own, and what is compared are medians: the machine may
be noisy. ``build/bench.json`` keeps, for the Inception v3 of the demo model under
``reference_loop``, ``fp32``, ``bf16``, ``int8``, ``auto`` and ``auto, qc off`` (as ``auto``, but
without quality control, which all other rows have) and ``screen`` (as ``auto``, with the screen of
:mod:`benchmarks.screen`, made on other slides), and for two further models, each with ``auto``
and a loop of its own, under ``lymph-node``, ``lymph-node loop``, ``resnet50``, ``resnet50 loop``:

* ``seconds``: median; from the slide's path, with the model loaded, to the result in its place
  (the loop: to the last probability);
* ``ratio``: the loop's seconds over these;
* ``tiles``: how many the model looked at; ``tiles_per_second``: all tiles of tissue;
  ``rss_mb``: peak resident memory, mapped files included;
* ``bound_share``: the lower bound (tiles over the best bare model rate of the same precision and
  batches, plus half the CPU time of reading on two cores) over ``seconds``; it is that of all
  tiles, which a screen may beat;
* ``decisions_changed``: share of the numbers whose decision at the threshold differs from the
  loop's fp32; ``max_abs_difference``: largest difference of a probability from it.

Under ``profile`` are the stages of the process of an ``auto`` run, start-up included, medians of
each; ``wsi run --profile`` prints the same.

Under ``classify`` are the figures of single images, see :mod:`benchmarks.classify`; under
``features`` those of encoders, on a smaller slide, see :mod:`benchmarks.features`.
"""

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.classify import MeasuredImages
from benchmarks.features import NETWORKS, MeasuredFeatures
from benchmarks.features import show as show_features
from benchmarks.process import delete_set_aside, run_module
from benchmarks.reference_loop import save_boxes
from benchmarks.screen import screened_demo
from benchmarks.subjects import Row, Subject, timm_package
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.settings import Settings
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.synth import SynthSpec, parse_size, write_slide

_PRECISIONS = ("fp32", "bf16", "int8", "auto")
_PARTS = (
    "check_and_tissue_seconds",
    "read_thread_seconds",
    "classify_seconds",
    "write_seconds",
    "start_up_seconds",
)


def main() -> None:
    """Measure, print the table, keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--size", default="20000x18000")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--feature-size", default="6000x5000", help="slide for the encoders")
    parser.add_argument("--images", type=int, default=1500, help="single images to classify")
    arguments = parser.parse_args()
    folder = arguments.out.parent / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    delete_set_aside(arguments.out.parent)
    slide = folder / f"{arguments.size}.tiff"
    if not slide.exists():
        write_slide(SynthSpec(parse_size(arguments.size), seed=7), slide)
    measured = [Measured(subject, slide, folder) for subject in _subjects(folder)]
    for each in measured:  # models are converted, and the disk is warm, before anything is timed
        each.warm_up()
    images = MeasuredImages(folder / "images", arguments.images)
    images.warm_up()
    smaller = folder / f"{arguments.feature_size}.tiff"
    if not smaller.exists():
        write_slide(SynthSpec(parse_size(arguments.feature_size), seed=7), smaller)
    encoders = [MeasuredFeatures(smaller, folder, name) for name in NETWORKS]
    for encoder in encoders:
        encoder.warm_up()
    for turn in range(arguments.repeats):
        for each in measured:
            each.measure()
        images.measure()
        for encoder in encoders:
            encoder.measure()
        print(f"round {turn + 1} of {arguments.repeats} done", flush=True)
    figures: dict[str, Any] = {}
    for each in measured:
        figures |= each.figures()
    figures["profile"] = measured[0].profile("auto")
    figures["classify"] = images.figures()
    figures["features"] = {encoder.network: encoder.figures() for encoder in encoders}
    figures["slide"] = {
        "size": arguments.size,
        "tiles": len(measured[0].plan),
        "grid": measured[0].plan.grid.size.area,
        "repeats": arguments.repeats,
    }
    arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    _show(figures)
    images.show()
    show_features(figures["features"])


def _subjects(folder: Path) -> list[Subject]:
    def named(name: str) -> ModelPackage:
        return find_or_build(name, Settings(), lambda what: print(f"{name}: {what}"))

    rows = {name: Row(name) for name in _PRECISIONS} | {"auto, qc off": Row("auto", "off")}
    demo = named("demo")
    rows["screen"] = Row("auto", package=screened_demo(demo, folder.parent / "screen"))
    return [
        Subject(demo, 0, "reference_loop", rows),
        Subject(named("lymph-node"), None, "lymph-node loop", {"lymph-node": Row("auto")}),
        Subject(
            timm_package(folder / "resnet50", "resnet50"),
            None,
            "resnet50 loop",
            {"resnet50": Row("auto")},
        ),
    ]


class Measured:
    """One model's runs: the loop's and ours, in turn.

    Args:
        subject: The model and its rows.
        slide: The slide.
        folder: For results.
    """

    def __init__(self, subject: Subject, slide: Path, folder: Path) -> None:
        self._subject, self._folder = subject, folder
        package = subject.package
        self.plan = prepare(slide, package, AnalysisSettings(level=subject.level)).plan
        grid = self.plan.grid
        name = package.description.name
        self._answers = folder / f"{name}-loop.npy"
        boxes = folder / f"{name}-boxes.npz"
        save_boxes(boxes, self.plan)
        print(f"{name}: {len(self.plan):,} of {grid.size.area:,} tiles hold tissue")
        self._loop = (slide, boxes, package.folder, self._answers)
        self._slide = slide
        self._level = [] if subject.level is None else ["--level", subject.level]
        self._runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._bare: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def warm_up(self) -> None:
        """Convert the models, and read the slide once."""
        for row, asked in self._subject.rows.items():
            self._run(row, asked, "--bare")

    def measure(self) -> None:
        """One round."""
        self._runs[self._subject.loop].append(run_module("benchmarks.reference_loop", *self._loop))
        for row, asked in self._subject.rows.items():
            self._runs[row].append(self._run(row, asked))
            self._bare[row].append(self._run(row, asked, "--bare"))

    def figures(self) -> dict[str, Any]:
        """What is kept of every row."""
        loop = _median(self._runs[self._subject.loop], "seconds")
        return {
            row: self._loop_figures(runs, loop) | self._our_figures(row)
            for row, runs in self._runs.items()
        }

    def profile(self, row: str) -> dict[str, dict[str, float | None]]:
        """What each stage of a row took: medians of the rounds."""
        runs = [run["profile"] for run in self._runs[row]]
        return {
            stage: {
                key: None if value is None else statistics.median(run[stage][key] for run in runs)
                for key, value in figures.items()
                if key != "stage"
            }
            for stage, figures in runs[0].items()
        }

    def _loop_figures(self, runs: Sequence[Mapping[str, Any]], loop: float) -> dict[str, Any]:
        seconds = _median(runs, "seconds")
        return {
            "seconds": seconds,
            "ratio": loop / seconds,
            "tiles": runs[0].get("tiles", len(self.plan)),
            "tiles_per_second": len(self.plan) / seconds,
            "rss_mb": max(run["rss_mb"] for run in runs),
            "bound_share": None,
            "decisions_changed": 0.0,
            "max_abs_difference": 0.0,
        }

    def _our_figures(self, row: str) -> dict[str, Any]:
        if row not in self._bare:
            return {}
        runs, truth = self._runs[row], np.load(self._answers)
        # Of a map the table has the mean of each tile.
        truth = truth.reshape(len(truth), -1).mean(axis=1)
        rate = max(run["rate"] for run in self._bare[row])
        decode = min(run["decode_cpu_seconds"] for run in self._bare[row])
        values = Result(self._folder / f"{row}.zarr").tile_table()["probability"]
        threshold = self._subject.package.description.threshold.value
        bound = len(self.plan) / rate + decode / 2
        return {
            "bound_share": bound / _median(runs, "seconds"),
            "decisions_changed": float(((values >= threshold) != (truth >= threshold)).mean()),
            "max_abs_difference": float(np.abs(values - truth).max()),
            "bare_rate": rate,
            "decode_cpu_seconds": decode,
            **{part: _median(runs, part) for part in _PARTS},
            "runtime": runs[0]["runtime"],
        }

    def _run(self, row: str, asked: Row, *more: str) -> dict[str, Any]:
        package = asked.package or self._subject.package
        place = self._folder / f"{row}.zarr"
        places = (self._slide, package.folder, Settings().cache_dir, place)
        options = (*self._level, *asked.options, *more)
        return run_module("benchmarks.pipeline_run", *places, *options)


def _median(runs: Sequence[Mapping[str, Any]], part: str) -> float:
    return statistics.median(float(run[part]) for run in runs)


def _show(figures: Mapping[str, Any]) -> None:
    rows = {name: row for name, row in figures.items() if "tiles_per_second" in row}
    print(
        f"\n{'':<16}{'seconds':>9}{'ratio':>7}{'tiles':>7}{'tiles/s':>9}{'RSS MB':>8}{'bound':>7}"
        f"{'changed':>9}{'max |Δp|':>10}"
    )
    for name, row in rows.items():
        bound = "" if row["bound_share"] is None else f"{row['bound_share']:.0%}"
        print(
            f"{name:<16}{row['seconds']:>9.1f}{row['ratio']:>7.2f}{row['tiles']:>7}"
            f"{row['tiles_per_second']:>9.1f}"
            f"{row['rss_mb']:>8.0f}{bound:>7}{row['decisions_changed']:>9.2%}"
            f"{row['max_abs_difference']:>10.2g}"
        )
    print(
        f"\n{'split, seconds':<16}{'check+tissue':>13}{'read (CPU)':>12}{'classify':>10}"
        f"{'write':>7}{'start-up':>10}{'bare tiles/s':>14}"
    )
    for name, row in rows.items():
        if "bare_rate" not in row:
            continue
        print(
            f"{name:<16}{row['check_and_tissue_seconds']:>13.2f}{row['read_thread_seconds']:>12.2f}"
            f"{row['classify_seconds']:>10.2f}{row['write_seconds']:>7.2f}"
            f"{row['start_up_seconds']:>10.2f}{row['bare_rate']:>14.1f}"
        )
    print(f"\n{'auto, stages':<16}{'wall s':>9}{'thread s':>10}{'share':>7}{'model idle s':>14}")
    for name, stage in figures["profile"].items():
        print(
            f"{name:<16}{stage['seconds']:>9.2f}{stage['thread_seconds']:>10.2f}"
            f"{stage['share']:>7.0%}{stage['model_idle_seconds']:>14.2f}"
        )


if __name__ == "__main__":
    main()
