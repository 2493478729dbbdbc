"""The plain loop everybody writes first, kept readable: what ``make bench`` measures against.

OpenSlide ``read_region`` in a ``Dataset``, a ``DataLoader``, torch in fp32. Same slide, same
tiles in the same order, same weights as the pipeline; nothing is made slow on purpose.

Run as a program it prints one JSON object: seconds, probabilities' file, peak memory.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import openslide
import psutil
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional

from benchmarks.memory import PeakMemory
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.package import load_package

BATCH_SIZE = 32


class Tiles(Dataset[torch.Tensor]):
    """Patches at level-0 positions, float RGB 0-255, ``(3, patch, patch)``."""

    def __init__(self, slide: Path, corners_0: np.ndarray, patch: int) -> None:
        self.slide_path, self.corners_0, self.patch = slide, corners_0, patch
        self.slide: openslide.OpenSlide | None = None

    def __len__(self) -> int:
        return len(self.corners_0)

    def __getitem__(self, index: int) -> torch.Tensor:
        if self.slide is None:  # each worker process opens the slide for itself
            self.slide = openslide.OpenSlide(self.slide_path)
        x, y = self.corners_0[index]
        image = self.slide.read_region((int(x), int(y)), 0, (self.patch, self.patch))
        patch: torch.Tensor = functional.to_tensor(image.convert("RGB")) * 255
        return patch


def classify(slide: Path, corners_0: np.ndarray, package: Path) -> tuple[np.ndarray, float]:
    """Probabilities of tiles at level 0 and the seconds it took once the model was loaded."""
    loaded = load_package(package)
    model = load_classifier(loaded)
    tiles = Tiles(slide, corners_0, loaded.description.patch_px)
    workers = max(1, len(os.sched_getaffinity(0)) - 1)
    began = time.perf_counter()
    loader = DataLoader(tiles, batch_size=BATCH_SIZE, num_workers=workers)
    with torch.inference_mode():
        probabilities = [model(batch).numpy() for batch in loader]
    return np.concatenate(probabilities), time.perf_counter() - began


def main() -> None:
    """Classify the tiles in an ``.npy`` file of level-0 corners."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slide", type=Path)
    parser.add_argument("corners", type=Path)
    parser.add_argument("package", type=Path)
    parser.add_argument("probabilities", type=Path)
    arguments = parser.parse_args()
    with PeakMemory(psutil.Process()) as memory:
        values, seconds = classify(arguments.slide, np.load(arguments.corners), arguments.package)
    np.save(arguments.probabilities, values)
    print(json.dumps({"seconds": seconds, "rss_mb": memory.peak_mb, "tiles": len(values)}))


if __name__ == "__main__":
    main()
