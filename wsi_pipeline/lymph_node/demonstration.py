"""Held-out real patches laid side by side as a slide: the model at work on real tissue."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from wsi_pipeline import durable
from wsi_pipeline.errors import ResultError
from wsi_pipeline.lymph_node.folds import TEST_FOLD, folds_of
from wsi_pipeline.lymph_node.network import CELL_PX, MPP, SEEN_PX
from wsi_pipeline.lymph_node.patches import RealPatches
from wsi_pipeline.metrics.ranking import roc_auc
from wsi_pipeline.stitch.result import Result

_PER_CM = 1e4 / MPP
_CELLS = SEEN_PX // CELL_PX


def held_out(patches: RealPatches) -> RealPatches:
    """Those of the test fold, which the head that comes with this program has not seen."""
    return patches.only(np.flatnonzero(folds_of(patches) == TEST_FOLD))


def lay(patches: RealPatches, path: Path) -> Path:
    """Write them as one slide, row by row, without loss; the rest of the last row is white.

    Args:
        patches: To be laid.
        path: Of the TIFF; replaced if it is there.
    """
    across = math.ceil(math.sqrt(len(patches)))
    down = math.ceil(len(patches) / across)
    grid = np.full((across * down, SEEN_PX, SEEN_PX, 3), 255, np.uint8)
    grid[: len(patches)] = patches.pixels
    rows = grid.reshape(down, across, SEEN_PX, SEEN_PX, 3).transpose(0, 2, 1, 3, 4)
    path.parent.mkdir(parents=True, exist_ok=True)
    with durable.replacing(path) as fresh:
        tifffile.imwrite(
            fresh,
            rows.reshape(down * SEEN_PX, across * SEEN_PX, 3),
            photometric="rgb",
            compression="deflate",
            tile=(256, 256),
            resolution=(_PER_CM, _PER_CM),
            resolutionunit="CENTIMETER",
            metadata=None,
        )
    return path


@dataclass(frozen=True, slots=True)
class Judged:
    """How the model did on patches laid side by side.

    Attributes:
        auc: Of the probabilities in the patches' centres; NaN where a class is missing.
        patches: How many were judged.
        left_out: How many were not analysed: they hold too little tissue.
    """

    auc: float
    patches: int
    left_out: int


def judge(result: Result, patches: RealPatches) -> Judged:
    """Compare the cells in the middle of the patches with their labels.

    Args:
        result: Of what :func:`lay` wrote, with the package ``lymph-node``.
        patches: As they were laid.

    Raises:
        ResultError: the result is of another slide or model.
    """
    probability: NDArray[np.float32] = result.probability
    across = math.ceil(math.sqrt(len(patches)))
    down = math.ceil(len(patches) / across)
    if probability.shape != (down * _CELLS, across * _CELLS):
        raise ResultError(result.path, "is not of these patches and the model lymph-node")
    found = probability[1::_CELLS, 1::_CELLS].ravel()[: len(patches)]
    known = ~np.isnan(found)
    return Judged(
        roc_auc(patches.tumour[known], found[known]), int(known.sum()), int((~known).sum())
    )
