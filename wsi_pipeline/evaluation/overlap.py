"""Overlap of mask and truth at the mask's own level, and truth the analysis never looked at."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.annotation.truth import Truth
from wsi_pipeline.export.decision import Decision
from wsi_pipeline.metrics.confusion import share
from wsi_pipeline.quality.reasons import FACTS, Reason, is_marked
from wsi_pipeline.stitch.cells import TUMOUR
from wsi_pipeline.stitch.mask import DrawnLevel
from wsi_pipeline.tiles.plan import Coverage

#: Side of the blocks the truth is drawn in, px of the analysis level.
_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class Overlap:
    """Counts of px of the mask's level.

    Attributes:
        tumour: Tumour in the truth.
        mask: Tumour in the mask.
        both: In both.
        unseen: Tumour in the truth by why its cells were not classified; all but ``classified``.
        px_mm2: Area of a px.
        marked: Tumour in the truth by what quality control found in its cells, classified or not;
            ``any`` is all of it. Empty where it did not look.
    """

    tumour: int
    mask: int
    both: int
    unseen: dict[str, int]
    px_mm2: float
    marked: dict[str, int] = field(default_factory=dict)

    @property
    def dice(self) -> float:
        """Twice what is in both over what is in either, counted twice; NaN of nothing."""
        return share(2 * self.both, self.tumour + self.mask)

    @property
    def iou(self) -> float:
        """What is in both of what is in either; NaN of nothing."""
        return share(self.both, self.tumour + self.mask - self.both)

    @property
    def unseen_share(self) -> float:
        """Share of the true tumour in cells that were not classified; NaN without tumour."""
        return share(sum(self.unseen.values()), self.tumour)


def measure_overlap(decision: Decision, truth: Truth | None) -> Overlap:
    """Lay the truth over the mask, px by px of the analysis level.

    The mask is drawn from the cells as the stored one was, so its px are the stored mask's. The
    truth is drawn where there is some, block by block.

    Memory bound: a few bytes per px of a block of 2048 × 2048, whatever the slide.

    Args:
        decision: The cells.
        truth: Where tumour is; None: nowhere.

    Raises:
        AnnotationError: the truth cannot be decoded.
    """
    grid = decision.grid
    columns = grid.column_edges(grid.downsample, grid.level_size.width)
    rows = grid.row_edges(grid.downsample, grid.level_size.height)
    # One value per cell for both questions: why it was looked at or not, and what was found.
    codes = (2 * decision.coverage + (decision.mask == TUMOUR)).astype(np.uint8)
    level = DrawnLevel(codes, columns, rows)
    marks = None if decision.quality is None else DrawnLevel(decision.quality, columns, rows)
    counts, found_marks = np.zeros(2 * len(Coverage), np.int64), np.zeros(256, np.int64)
    for x, y, width, height in _blocks(truth, grid.downsample, level):
        assert truth is not None  # without one there are no blocks
        down = grid.downsample
        tumour = truth.window(x * down, y * down, width, height, down)
        if tumour.any():
            found = level.block(x, y, width, height)[tumour]
            counts += np.bincount(found, minlength=len(counts))
            if marks is not None:
                found_marks += np.bincount(marks.block(x, y, width, height)[tumour], minlength=256)
    mask = np.outer(np.diff(rows), np.diff(columns))[decision.tumour].sum()
    per_class = counts.reshape(-1, 2)
    return Overlap(
        tumour=int(counts.sum()),
        mask=int(mask),
        both=int(per_class[:, 1].sum()),
        unseen={
            item.name.lower(): int(per_class[item].sum())
            for item in Coverage
            if item != Coverage.CLASSIFIED
        },
        px_mm2=grid.downsample**2 * decision.mpp_0.x * decision.mpp_0.y / 1e6,
        marked={} if marks is None else _by_reason(found_marks),
    )


def _by_reason(counts: NDArray[np.int64]) -> dict[str, int]:
    """Px by reason, out of px by the bits they have."""
    bits = np.arange(256)
    known = np.where(is_marked(bits.astype(np.uint8)), counts, 0)
    found = {FACTS[one].key: int(known[(bits & one) > 0].sum()) for one in Reason}
    return {"any": int(known.sum()), **found}


def _blocks(
    truth: Truth | None, downsample: float, level: DrawnLevel
) -> list[tuple[int, int, int, int]]:
    """Blocks of the level that may hold tumour: x, y, width, height in its px."""
    bounds = None if truth is None else truth.bounds
    if bounds is None:
        return []
    left, top = (max(0, math.floor(low / downsample)) for low in bounds[:2])
    right = min(level.size.width, math.ceil(bounds[2] / downsample))
    bottom = min(level.size.height, math.ceil(bounds[3] / downsample))
    return [
        (x, y, min(_BLOCK, right - x), min(_BLOCK, bottom - y))
        for y in range(top, bottom, _BLOCK)
        for x in range(left, right, _BLOCK)
    ]
