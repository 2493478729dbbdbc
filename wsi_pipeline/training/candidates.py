"""The candidates of one slide: which of its tiles may be shown, and what each is called.

Grid and tissue rule are those of inference. Labels come from the annotation's px at the
resolution the model sees, strip by strip, so that memory stays flat.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.annotation.truth import Truth
from wsi_pipeline.grid import Grid, make_grid
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.slide.resolution import choose_resolution
from wsi_pipeline.tiles.plan import make_plan
from wsi_pipeline.training.recipe import Recipe
from wsi_pipeline.training.recipe_sections import LabelRule

#: Columns of candidates whose truth is looked at together span at most this many analysis px.
_STRIP_PX = 16_384


@dataclass(frozen=True, slots=True)
class Tiles:
    """Candidates of one slide at one level.

    Attributes:
        grid: What the tiles are cells of.
        cells: Column and row of each, ``(n, 2)`` int32.
        tumour: What the label rule calls each, ``(n,)``.
        steady: Where every place within the jitter gets the same label, ``(n,)``.
    """

    grid: Grid
    cells: NDArray[np.int32]
    tumour: NDArray[np.bool_]
    steady: NDArray[np.bool_]

    def of(self, chosen: NDArray[np.bool_]) -> "Tiles":
        """Some of the tiles."""
        return Tiles(self.grid, self.cells[chosen], self.tumour[chosen], self.steady[chosen])


def grids(reader: SlideReader, recipe: Recipe) -> list[Grid]:
    """The grids candidates are cells of: one per level, or one at the recipe's µm per px.

    Raises:
        SlideMetadataError: the slide does not allow what the recipe asks.
    """
    levels: tuple[int | None, ...] = recipe.levels or (None,)
    found = []
    for level in levels:
        resolution = choose_resolution(reader.info, mpp=recipe.mpp, level=level)
        found.append(
            make_grid(reader.info, resolution, patch=recipe.patch_px, stride=recipe.sampling.stride)
        )
    return found


def survey(
    reader: SlideReader,
    grid: Grid,
    truth: Truth | None,
    recipe: Recipe,
    *,
    exhaustive: bool,
    threads: int,
) -> Tiles:
    """Find and label the tiles of a slide that hold enough tissue.

    Args:
        reader: The slide.
        grid: From :func:`grids`.
        truth: Where its tumour is; None: nowhere.
        recipe: Tissue rule, label rule and jitter.
        exhaustive: Whether what is not annotated is no tumour. If not, it is left out.
        threads: Threads that read patches whose tissue a coarse level leaves open.

    Raises:
        SlideError: the slide or its annotation cannot be read.
    """
    plan = make_plan(
        reader, grid, min_tissue=recipe.sampling.min_tissue, exact=False, threads=threads
    )
    cells = plan.cells
    tumour = np.zeros(len(cells), bool)
    steady = np.ones(len(cells), bool)
    if truth is not None:
        tumour, steady = label(grid, cells, truth, recipe.labels, recipe.sampling.jitter)
    tiles = Tiles(grid, cells.astype(np.int32), tumour, steady)
    return tiles if exhaustive else tiles.of(tumour)


def label(
    grid: Grid, cells: NDArray[np.int64], truth: Truth, rule: LabelRule, jitter: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What a rule calls the patches of cells, and where jitter cannot change that.

    Args:
        grid: Its patches are labelled.
        cells: Column and row of each, ``(n, 2)``.
        truth: Where there is tumour.
        rule: The rule.
        jitter: Most px a patch is moved along x and y, analysis px.

    Returns:
        Tumour and steady, ``(n,)`` each. A patch is steady if the px that every moved patch
        shares make it tumour, or the px of all moved patches together do not.
    """
    tumour = np.zeros(len(cells), bool)
    steady = np.ones(len(cells), bool)
    if truth.bounds is None:
        return tumour, steady
    px_0 = grid.px_0
    inset, side, least = _box(rule, grid.patch)
    corners = cells * grid.stride + inset  # analysis px
    left, right = truth.bounds[0] / px_0.x, truth.bounds[2] / px_0.x
    top, bottom = truth.bounds[1] / px_0.y, truth.bounds[3] / px_0.y
    reach = side + jitter
    near = (corners[:, 0] - jitter <= right) & (corners[:, 0] + reach >= left)
    near &= (corners[:, 1] - jitter <= bottom) & (corners[:, 1] + reach >= top)
    for strip in _strips(corners, np.flatnonzero(near), side):
        y = int(corners[strip[0], 1])
        columns = corners[strip, 0]
        start = int(columns.min()) - jitter
        width = int(columns.max()) + side + jitter - start
        height = side + 2 * jitter
        px = truth.window(start * px_0.x, (y - jitter) * px_0.y, width, height, px_0)
        offset = columns - start
        exact = _counts(px[jitter : jitter + side], offset, side)
        outer = _counts(px, offset - jitter, side + 2 * jitter)
        core = side - 2 * jitter
        inner = (
            _counts(px[2 * jitter : 2 * jitter + core], offset + jitter, core)
            if core > 0
            else np.zeros(len(strip), np.int64)
        )
        tumour[strip] = exact >= least
        steady[strip] = np.where(exact >= least, inner >= least, outer < least)
    return tumour, steady


def _box(rule: LabelRule, patch: int) -> tuple[int, int, int]:
    """Inset and side of the square a rule looks at, and how many of its px make it tumour."""
    if rule.rule == "central":
        return (patch - rule.central_px) // 2, rule.central_px, 1
    if rule.rule == "any":
        return 0, patch, 1
    return 0, patch, int(np.ceil(rule.fraction * patch * patch - 1e-9))


def _strips(
    corners: NDArray[np.int64], near: NDArray[np.int64], side: int
) -> Iterator[NDArray[np.int64]]:
    """Candidates of one row each, near enough together that their px fit in memory."""
    order = near[np.lexsort((corners[near, 0], corners[near, 1]))]
    start = 0
    for index in range(1, len(order) + 1):
        if index < len(order):
            first, this = corners[order[start]], corners[order[index]]
            if this[1] == first[1] and this[0] + side - first[0] <= _STRIP_PX:
                continue
        yield order[start:index]
        start = index


def _counts(px: NDArray[np.bool_], starts: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Tumour px in boxes as high as ``px``, from each start on, ``width`` wide."""
    columns = np.concatenate([[0], np.cumsum(np.count_nonzero(px, axis=0))])
    counted: NDArray[np.int64] = columns[starts + width] - columns[starts]
    return counted
