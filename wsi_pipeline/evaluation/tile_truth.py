"""Whether a tile is tumour: the truth under each patch of a result, by a stated rule."""

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.annotation.truth import Truth
from wsi_pipeline.evaluation.settings import TileRule
from wsi_pipeline.grid import Grid


def label_tiles(
    truth: Truth, grid: Grid, x: NDArray[np.int64], y: NDArray[np.int64], rule: TileRule
) -> NDArray[np.bool_]:
    """Which tiles are tumour, ``(n,)``.

    The truth is looked at in analysis px, at their centres: what the model saw, px for px. Only
    patches that meet the tumour's bounds are looked at.

    Args:
        truth: Where tumour is.
        grid: The analysis grid the tiles are of.
        x: Left edges of the patches, level-0 px.
        y: Top edges, level-0 px.
        rule: When a tile is tumour.

    Raises:
        AnnotationError: the truth cannot be decoded.
    """
    labels = np.zeros(len(x), bool)
    bounds = truth.bounds
    if bounds is None:
        return labels
    side = grid.patch
    if rule.name == "central":
        side = min(side, int(rule.value))
    px_0 = grid.px_0
    inset, reach = (grid.patch - side) // 2, px_0 * side
    left, top = x + inset * px_0.x, y + inset * px_0.y
    near = (left < bounds[2]) & (left + reach.x > bounds[0])
    near &= (top < bounds[3]) & (top + reach.y > bounds[1])
    for index in np.flatnonzero(near):
        window = truth.window(float(left[index]), float(top[index]), side, side, px_0)
        if rule.name == "fraction":
            labels[index] = np.count_nonzero(window) >= rule.value * side * side - 1e-9
        else:
            labels[index] = window.any()
    return labels
