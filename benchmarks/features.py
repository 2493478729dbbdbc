"""``make bench``, features: an encoder's of one slide, beside the loop that users of timm write.

The loop reads tile by tile with OpenSlide in a ``DataLoader``, makes tensors as torchvision does
and runs timm's network with torch in fp32, batches of 32. Same slide, same tiles in the same order,
same weights. It is told which tiles hold tissue, which the pipeline finds out itself, and it keeps
its rows in memory, where the pipeline writes and hashes a store. Encoders are ViT-S/16 and ViT-B/16
of random weights.

``build/bench.json`` keeps under ``features``, for each network, ``loop``, ``fp32`` and ``auto``:
``seconds`` (median, with the model loaded), ``ratio`` (the loop's seconds over these), ``tiles``,
``rss_mb``, ``precision`` as it was admitted, and ``least_cosine`` with the loop's rows.
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from benchmarks.memory import PeakMemory
from benchmarks.process import run_module
from benchmarks.reference_loop import BATCH_SIZE, Boxes, Tiles, load_boxes, loop_workers, save_boxes
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.model.description import REFERENCE, WEIGHTS, ModelDescription
from wsi_pipeline.model.linear_probe import pooled_features
from wsi_pipeline.model.network import Classifier, load_classifier, save_weights
from wsi_pipeline.model.package import CALIBRATION, DESCRIPTION, ModelPackage, load_package
from wsi_pipeline.model.pinning import write_description, write_npz
from wsi_pipeline.model.reference_check import FEATURE_TOLERANCE, least_cosine
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.settings import Settings
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.synth import SynthSpec, parse_size, render_patches, write_slide

NETWORKS = ("vit_small_patch16_224", "vit_base_patch16_224")
_PRECISIONS = ("fp32", "auto")
_PATCH_PX, _MPP, _SEED = 224, 0.25, 60


def encoder_package(folder: Path, network: str) -> ModelPackage:
    """An encoder with random weights, kept in a folder.

    Args:
        folder: Made where it is missing.
        network: Its name in timm.
    """
    if (folder / DESCRIPTION).exists():
        return load_package(folder)
    folder.mkdir(parents=True, exist_ok=True)
    fields = {
        "name": network,
        "version": "1",
        "architecture": {"name": f"timm/{network}", "pooling": "token", "dropout": 0.0},
        "output": "features",
        "patch_px": _PATCH_PX,
        "mpp": _MPP,
        "training": {"data": "none; random weights, for the benchmark only", "synthetic": True},
        "licence": "Apache-2.0",
        "intended_use": "To measure speed. Its features mean nothing.",
        "tolerance": {key: FEATURE_TOLERANCE[key] for key in ("fp32", "bf16", "int8")},
    }
    torch.manual_seed(_SEED)
    pins = dict.fromkeys((WEIGHTS, REFERENCE), "")
    classifier = Classifier(ModelDescription.model_validate({**fields, "files": pins})).eval()
    patches = np.concatenate(
        [
            render_patches(kind, 16, seed=_SEED, patch_px=_PATCH_PX, mpp=_MPP)
            for kind in ("tumour", "normal")
        ]
    )
    features = pooled_features(classifier, patches[::2], 8).astype(np.float32)
    save_weights(classifier.network, folder / WEIGHTS)
    write_npz(folder / REFERENCE, patches=patches[::2], features=features)
    write_npz(folder / CALIBRATION, patches=patches)
    return write_description(folder, fields)


def run_loop(slide: Path, boxes: Boxes, package: ModelPackage) -> tuple[NDArray[Any], float]:
    """Features of the boxes, and the seconds it took once the model was loaded."""
    network = load_classifier(package).network
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1)
        for values in (
            package.description.normalisation.mean,
            package.description.normalisation.std,
        )
    )
    began = time.perf_counter()
    loader = DataLoader(Tiles(slide, boxes), batch_size=BATCH_SIZE, num_workers=loop_workers())
    with torch.inference_mode():
        rows = [network((batch - mean) / std).numpy() for batch in loader]
    return np.concatenate(rows), time.perf_counter() - began


class MeasuredFeatures:
    """Runs of one network: the loop's and ours, in turn.

    Args:
        slide: The slide.
        folder: For packages and results.
        network: timm's name.
    """

    def __init__(self, slide: Path, folder: Path, network: str) -> None:
        self.network, self._slide, self._folder = network, slide, folder
        self._package = encoder_package(folder / network, network)
        plan = prepare(slide, self._package, AnalysisSettings()).plan
        self._tiles, self._boxes = len(plan), folder / f"{network}-boxes.npz"
        save_boxes(self._boxes, plan)
        self._rows = folder / f"{network}-rows.npy"
        self._runs: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def warm_up(self) -> None:
        """Convert the models."""
        for precision in _PRECISIONS:
            self._ours(precision)

    def measure(self) -> None:
        """One round."""
        loop = [self._slide, self._boxes, self._package.folder, self._rows]
        self._runs["loop"].append(run_module("benchmarks.features", "--loop", *loop))
        for precision in _PRECISIONS:
            self._runs[precision].append(self._ours(precision))

    def figures(self) -> dict[str, Any]:
        """What is kept of every row."""
        loop = self._median("loop")
        rows = np.load(self._rows)
        found: dict[str, Any] = {
            "loop": {
                "seconds": loop,
                "tiles": self._tiles,
                "rss_mb": max(run["rss_mb"] for run in self._runs["loop"]),
            }
        }
        for precision in _PRECISIONS:
            values = np.asarray(Result(self._out(precision)).features()[...])
            found[precision] = {
                "seconds": self._median(precision),
                "ratio": loop / self._median(precision),
                "tiles": self._tiles,
                "rss_mb": max(run["rss_mb"] for run in self._runs[precision]),
                "precision": self._runs[precision][0]["runtime"]["precision"],
                "least_cosine": least_cosine(values.astype(np.float32), rows),
            }
        return found

    def _median(self, row: str) -> float:
        return statistics.median(float(run["seconds"]) for run in self._runs[row])

    def _out(self, precision: str) -> Path:
        return self._folder / f"{self.network}-{precision}.zarr"

    def _ours(self, precision: str) -> dict[str, Any]:
        place = [self._slide, self._package.folder, Settings().cache_dir, self._out(precision)]
        settings = ("--precision", precision, "--features", "float32")
        return run_module("benchmarks.pipeline_run", *place, *settings)


def show(figures: Mapping[str, Any]) -> None:
    """Print the table."""
    print(
        f"\n{'features':<24}{'':<6}{'seconds':>9}{'ratio':>7}{'tiles':>7}{'RSS MB':>8}{'cosine':>9}"
    )
    for network, rows in figures.items():
        for name, row in rows.items():
            ratio = f"{row['ratio']:.2f}" if "ratio" in row else ""
            cosine = f"{row['least_cosine']:.5f}" if "ratio" in row else ""
            print(
                f"{network:<24}{name:<6}{row['seconds']:>9.1f}{ratio:>7}{row['tiles']:>7}"
                f"{row['rss_mb']:>8.0f}{cosine:>9}  {row.get('precision', 'fp32')}"
            )


def main() -> None:
    """Measure features alone; or be the loop, in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", nargs=4, type=Path, help="slide, boxes, package, rows to write")
    parser.add_argument("--out", type=Path, default=Path("build/bench/features"))
    parser.add_argument("--size", default="6000x5000")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--networks", nargs="*", default=NETWORKS)
    arguments = parser.parse_args()
    if arguments.loop:
        slide, boxes, package, place = arguments.loop
        with PeakMemory(psutil.Process()) as memory:
            rows, seconds = run_loop(slide, load_boxes(boxes), load_package(package))
        np.save(place, rows)
        print(json.dumps({"seconds": seconds, "rss_mb": memory.peak_mb, "tiles": len(rows)}))
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    slide = arguments.out / f"{arguments.size}.tiff"
    if not slide.exists():
        write_slide(SynthSpec(parse_size(arguments.size), seed=7), slide)
    measured = [MeasuredFeatures(slide, arguments.out, name) for name in arguments.networks]
    for each in measured:
        each.warm_up()
    for _ in range(arguments.repeats):
        for each in measured:
            each.measure()
    figures = {each.network: each.figures() for each in measured}
    show(figures)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
