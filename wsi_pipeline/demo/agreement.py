"""How well a mask agrees with planted truth, measured px by px at a coarse level."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from wsi_pipeline.errors import ResultError
from wsi_pipeline.stitch.cells import TUMOUR
from wsi_pipeline.stitch.result import Result

#: Longest side of the level compared: finer ones change nothing in the third digit.
_SIDE_PX = 4096


@dataclass(frozen=True, slots=True)
class Agreement:
    """Overlap of called and planted tumour; all 0-1, NaN where there is nothing to divide by.

    Attributes:
        dice: Twice the common area over the sum of both (Dice 1945).
        sensitivity: Share of the planted tumour that was called.
        precision: Share of the called tumour that was planted.
        planted_mm2: Planted tumour.
    """

    dice: float
    sensitivity: float
    precision: float
    planted_mm2: float


def agreement(result: Result, truth: Path) -> Agreement:
    """Compare a result with a truth mask (non-zero = tumour) of the same pyramid.

    Raises:
        ResultError: the mask has other level sizes than the result.
    """
    with tifffile.TiffFile(truth) as file:
        sizes = [page.shape[:2] for page in file.pages]
        for index in range(result.mask_levels):
            called = result.mask(index)
            if max(called.shape) <= _SIDE_PX or index == result.mask_levels - 1:
                break
        if called.shape not in sizes:
            raise ResultError(result.path, f"has no level in common with {truth}")
        planted = file.pages[sizes.index(called.shape)].asarray() > 0
    tumour = called[...] == TUMOUR
    both = float(np.count_nonzero(tumour & planted))
    ours, theirs = float(np.count_nonzero(tumour)), float(np.count_nonzero(planted))
    slide = result.slide
    area = slide.width * slide.height * slide.mpp.x * slide.mpp.y / 1e6
    with np.errstate(invalid="ignore"):
        return Agreement(
            dice=float(np.divide(2 * both, ours + theirs)),
            sensitivity=float(np.divide(both, theirs)),
            precision=float(np.divide(both, ours)),
            planted_mm2=area * theirs / planted.size,
        )
