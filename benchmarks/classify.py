"""Single images: ``wsi classify`` against a plain torch loop and the bare rate of the model.

``python -m benchmarks.classify --images 200 --repeats 1`` measures this alone; ``make bench`` keeps
it under ``classify``. The model is a MobileNetV3, whose rate leaves little time to read an image.
Everything is in fp32 on the same files, each run in a process of its own:

* ``seconds``: median; from the folder, with the model loaded, to table and report in their place;
* ``loop_seconds``: of a ``Dataset`` that opens and resizes with Pillow, a ``DataLoader``, torch;
* ``ratio``: the loop's seconds over ours; ``images_per_second``: ours;
* ``bare_rate``: images per second of the same runtime on squares that are in memory;
* ``bound_share``: the lower bound (images over the bare rate, plus the CPU time of reading divided
  by the cores, at most two) over ``seconds``;
* ``max_abs_difference``: largest difference of a probability from the loop's.
"""

import argparse
import json
import os
import shutil
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from benchmarks.memory import PeakMemory
from benchmarks.process import run_module
from wsi_pipeline.model.package import load_package
from wsi_pipeline.settings import Settings

_NETWORK = "mobilenetv3_large_100"
_DRAWN, _SEED, _LOOP_BATCH = 60, 8, 32
#: Sides of the images in px: as cells and patches are cut out, of no two shapes alike.
_SIDES = (180, 320)


class MeasuredImages:
    """The runs of single images: the loop's, ours, the bare model's, in turn.

    Args:
        folder: For package, images and results.
        count: How many images.
    """

    def __init__(self, folder: Path, count: int) -> None:
        from benchmarks.subjects import timm_package  # noqa: PLC0415 - only the parent makes it

        self._folder, self._count = folder, count
        self._images = folder / f"{count}"
        self._package = timm_package(folder / _NETWORK, _NETWORK).folder
        if not self._images.exists():
            _draw(self._images, count)
        self._runs: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def warm_up(self) -> None:
        """Convert the model, and read the images once."""
        self._run("bare")

    def measure(self) -> None:
        """One round."""
        for what in ("loop", "ours", "bare"):
            self._runs[what].append(self._run(what))

    def figures(self) -> dict[str, Any]:
        """What is kept."""
        seconds, loop = (
            statistics.median(run["seconds"] for run in self._runs[what])
            for what in ("ours", "loop")
        )
        rate = max(run["rate"] for run in self._runs["bare"])
        decode = min(run["decode_cpu_seconds"] for run in self._runs["bare"])
        cores = min(2, len(os.sched_getaffinity(0)))
        difference = np.abs(np.load(self._answers("ours")) - np.load(self._answers("loop")))
        return {
            "network": _NETWORK,
            "images": self._count,
            "seconds": seconds,
            "loop_seconds": loop,
            "ratio": loop / seconds,
            "images_per_second": self._count / seconds,
            "loop_images_per_second": self._count / loop,
            "bare_rate": rate,
            "decode_cpu_seconds": decode,
            "bound_share": (self._count / rate + decode / cores) / seconds,
            "rate_share": self._count / seconds / rate,
            "max_abs_difference": float(difference.max()),
            "rss_mb": max(run["rss_mb"] for run in self._runs["ours"]),
        }

    def show(self) -> None:
        """One line."""
        kept = self.figures()
        print(
            f"\nclassify, {kept['network']}: {kept['images_per_second']:.1f} images/s, "
            f"{kept['bound_share']:.0%} of the bound, {kept['rate_share']:.0%} of the bare rate "
            f"({kept['bare_rate']:.1f} images/s); {kept['ratio']:.2f} times the loop "
            f"({kept['loop_images_per_second']:.1f} images/s); max |Δp| "
            f"{kept['max_abs_difference']:.2g}"
        )

    def _answers(self, what: str) -> Path:
        return self._folder / f"{what}.npy"

    def _run(self, what: str) -> dict[str, Any]:
        places = (self._images, self._package, self._answers(what))
        return run_module("benchmarks.classify", "--part", what, *places)


def _draw(folder: Path, count: int) -> None:
    """Images of drawn tissue, each of another part and shape, as JPEG."""
    from wsi_pipeline.synth import render_patches  # noqa: PLC0415 - only the parent draws

    drawn = np.concatenate(
        [
            render_patches(kind, _DRAWN // 2, seed=_SEED, patch_px=_SIDES[1], mpp=0.25)
            for kind in ("tumour", "normal")
        ]
    )
    rng = np.random.default_rng(_SEED)
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for index in range(count):
        shifted = np.roll(drawn[index % len(drawn)], tuple(rng.integers(_SIDES[1], size=2)), (0, 1))
        height, width = rng.integers(*_SIDES, size=2)
        Image.fromarray(shifted[:height, :width]).save(unfinished / f"{index:06d}.jpg", quality=90)
    unfinished.rename(folder)


def _loop(images: Path, package_folder: Path, answers: Path) -> dict[str, float]:
    import torch  # noqa: PLC0415 - ours needs none
    from torch.utils.data import DataLoader, Dataset  # noqa: PLC0415
    from torchvision.transforms import functional  # noqa: PLC0415

    from wsi_pipeline.images.classification import intake_of  # noqa: PLC0415
    from wsi_pipeline.model.network import load_classifier  # noqa: PLC0415

    package = load_package(package_folder)
    side, intake = package.description.patch_px, intake_of(package.description)
    paths = sorted(images.iterdir())

    class Files(Dataset[torch.Tensor]):
        """Images as the model's square, float RGB 0-255."""

        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, index: int) -> torch.Tensor:
            pixels = np.asarray(Image.open(paths[index]).convert("RGB"))
            square: torch.Tensor = functional.to_tensor(intake(pixels, side).pixels.copy()) * 255
            return square

    model = load_classifier(package)
    workers = max(1, len(os.sched_getaffinity(0)) - 1)
    began = time.perf_counter()
    loader = DataLoader(Files(), batch_size=_LOOP_BATCH, num_workers=workers)
    with torch.inference_mode():
        found = np.concatenate([model(batch).numpy() for batch in loader])
    seconds = time.perf_counter() - began
    np.save(answers, found)
    return {"seconds": seconds}


def _ours(images: Path, package_folder: Path, answers: Path) -> dict[str, float]:
    import pyarrow.parquet as pq  # noqa: PLC0415 - the others need none

    from wsi_pipeline.cli.classify_images import ImagesDisplay  # noqa: PLC0415
    from wsi_pipeline.images.collection import read_collection  # noqa: PLC0415
    from wsi_pipeline.images.run import ImageSettings, run_images  # noqa: PLC0415
    from wsi_pipeline.model.loaded import describe_runtime  # noqa: PLC0415
    from wsi_pipeline.model.runtime import RuntimeRequest  # noqa: PLC0415

    package = load_package(package_folder)
    request = RuntimeRequest("cpu", "fp32", Settings().cache_dir)
    threshold = package.description.threshold.value
    describe_runtime(package.folder.resolve(), package.sha256, request, threshold)
    out = answers.with_suffix("")
    shutil.rmtree(out, ignore_errors=True)
    with PeakMemory(psutil.Process()) as memory, ImagesDisplay(quiet=True) as display:
        began = time.perf_counter()
        run_images(read_collection(images), out, package, request, ImageSettings(), display)
        seconds = time.perf_counter() - began
    column = f"p_{package.description.positive}"
    found = pq.read_table(out / "images.parquet", columns=[column]).column(column)
    np.save(answers, found.to_numpy())
    return {"seconds": seconds, "rss_mb": memory.peak_mb}


def _bare(images: Path, package_folder: Path, _: Path) -> dict[str, float]:
    from wsi_pipeline.images.classification import intake_of  # noqa: PLC0415
    from wsi_pipeline.images.collection import read_collection  # noqa: PLC0415
    from wsi_pipeline.images.reading import read_one  # noqa: PLC0415
    from wsi_pipeline.model.admission import load_predictor  # noqa: PLC0415
    from wsi_pipeline.model.predictor import predict_all  # noqa: PLC0415
    from wsi_pipeline.model.runtime import RuntimeRequest  # noqa: PLC0415

    package = load_package(package_folder)
    about = package.description
    request = RuntimeRequest("cpu", "fp32", Settings().cache_dir)
    predictor = load_predictor(package, request, threshold=about.threshold.value)
    began = time.thread_time()
    read = [
        read_one(image, about.patch_px, intake_of(about)).square
        for image in read_collection(images).images
    ]
    decode = time.thread_time() - began
    squares = np.stack([square for square in read if square is not None])
    began = time.perf_counter()
    predict_all(predictor, squares)
    return {
        "rate": len(squares) / (time.perf_counter() - began),
        "decode_cpu_seconds": decode,
    }


def main() -> None:
    """Measure; or run one part, which the measuring starts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--part", choices=("loop", "ours", "bare"), help=argparse.SUPPRESS)
    parser.add_argument("paths", nargs="*", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part is not None:
        part = {"loop": _loop, "ours": _ours, "bare": _bare}[arguments.part]
        print(json.dumps(part(*arguments.paths)))
        return
    measured = MeasuredImages(arguments.out / "images", arguments.images)
    measured.warm_up()
    for _ in range(arguments.repeats):
        measured.measure()
    measured.show()


if __name__ == "__main__":
    main()
