"""The plain loop everybody writes first, kept readable: what ``make bench`` measures against.

OpenSlide ``read_region`` in a ``Dataset``, a ``DataLoader``, torch in fp32. Same slide, same
tiles in the same order, same weights as the pipeline; nothing is made slow on purpose.

Run as a program it prints one JSON object: seconds, probabilities' file, peak memory.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
import psutil
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional

from benchmarks.memory import PeakMemory
from wsi_pipeline.lymph_node import LYMPH_NODE
from wsi_pipeline.lymph_node.features import new_trunk
from wsi_pipeline.lymph_node.head_file import load_head
from wsi_pipeline.lymph_node.network import MEAN, STD, LymphNodeNetwork
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.tiles.plan import Plan

BATCH_SIZE = 32


@dataclass(frozen=True, slots=True)
class Boxes:
    """Squares of a slide, and the side in px that each is brought to.

    Attributes:
        corners: Top-left corners in level px, ``(n, 2)``.
        level: Pyramid level.
        side: Width and height in level px.
        px: Side of the patch.
    """

    corners: NDArray[np.float64]
    level: int
    side: tuple[float, float]
    px: int


class Tiles(Dataset[torch.Tensor]):
    """Patches of a slide, float RGB 0-255, ``(3, px, px)``."""

    def __init__(self, slide: Path, boxes: Boxes) -> None:
        self.slide_path, self.boxes = slide, boxes
        self.slide: openslide.OpenSlide | None = None

    def __len__(self) -> int:
        return len(self.boxes.corners)

    def __getitem__(self, index: int) -> torch.Tensor:
        if self.slide is None:  # each worker process opens the slide for itself
            self.slide = openslide.OpenSlide(self.slide_path)
        boxes = self.boxes
        corner = boxes.corners[index] * self.slide.level_downsamples[boxes.level]
        size = (round(boxes.side[0]), round(boxes.side[1]))
        image = self.slide.read_region((round(corner[0]), round(corner[1])), boxes.level, size)
        image = image.convert("RGB")
        if size != (boxes.px, boxes.px):
            image = image.resize((boxes.px, boxes.px), Image.Resampling.BILINEAR)
        patch: torch.Tensor = functional.to_tensor(image) * 255
        return patch


def save_boxes(path: Path, plan: Plan) -> None:
    """Write the tiles of a plan for the loop's own process."""
    grid = plan.grid
    np.savez(
        path,
        corners=[grid.read_corner(int(x), int(y)) for x, y in plan.cells],
        level=grid.level,
        side=[grid.read_side.x, grid.read_side.y],
        px=grid.read_px,
    )


def load_boxes(path: Path) -> Boxes:
    """What :func:`save_boxes` wrote."""
    with np.load(path) as file:
        width, height = file["side"]
        return Boxes(file["corners"], int(file["level"]), (width, height), int(file["px"]))


def loop_workers() -> int:
    """Processes that read for the loop."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def classify(slide: Path, boxes: Boxes, package: ModelPackage) -> tuple[np.ndarray, float]:
    """Probabilities of patches and the seconds it took once the model was loaded."""
    model = _model(package)
    began = time.perf_counter()
    loader = DataLoader(Tiles(slide, boxes), batch_size=BATCH_SIZE, num_workers=loop_workers())
    with torch.inference_mode():
        probabilities = [model(batch).numpy() for batch in loader]
    return np.concatenate(probabilities), time.perf_counter() - began


def _model(package: ModelPackage) -> Callable[[torch.Tensor], torch.Tensor]:
    if package.description.name != LYMPH_NODE:
        return load_classifier(package)
    network = LymphNodeNetwork(new_trunk(), load_head()).eval()
    temperature = package.description.calibration.temperature

    def probabilities(patches: torch.Tensor) -> torch.Tensor:
        logits = network((patches - MEAN) / STD)[:, 0, 1:-1, 1:-1]
        return torch.sigmoid(logits / temperature)

    return probabilities


def main() -> None:
    """Classify the boxes of a file that ``benchmarks.bench`` writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slide", type=Path)
    parser.add_argument("boxes", type=Path)
    parser.add_argument("package", type=Path)
    parser.add_argument("probabilities", type=Path)
    arguments = parser.parse_args()
    boxes = load_boxes(arguments.boxes)
    with PeakMemory(psutil.Process()) as memory:
        values, seconds = classify(arguments.slide, boxes, load_package(arguments.package))
    np.save(arguments.probabilities, values)
    print(json.dumps({"seconds": seconds, "rss_mb": memory.peak_mb, "tiles": len(values)}))


if __name__ == "__main__":
    main()
