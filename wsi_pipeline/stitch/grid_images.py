"""Images of a store that have a px for each cell of the grid, with their coarser levels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.stitch import layout
from wsi_pipeline.stitch.cells import Cells, stitch_cells
from wsi_pipeline.stitch.small_array import write_small
from wsi_pipeline.stitch.store_writer import StoreWriter
from wsi_pipeline.tiles.plan import Plan


def write_probability(
    files: StoreWriter, name: str, plan: Plan, cells: Cells, levels: int
) -> dict[str, Any]:
    """The root's own image: the probabilities of each cell, a plane for each class.

    Args:
        files: Of the store.
        name: Of the image, the slide's.
        plan: The tiles.
        cells: What they were stitched to.
        levels: How many.

    Returns:
        The root's attributes ``ome``.
    """
    values, datasets = cells.probability, layout.grid_datasets(plan.grid.cells, levels)
    for path, _ in datasets:
        write_small(files, path, values, layout.PROBABILITY_FILL)
        values = _halved(values)
    planes = values.ndim > 2
    entry = layout.multiscale(name, datasets, plan.grid.mpp_0, "maximum", planes=planes)
    ome: dict[str, Any] = {"version": layout.NGFF_VERSION, "multiscales": [entry]}
    if planes:
        ome["omero"] = {"channels": layout.channels(cells.classes)}
    return ome


def write_coverage(files: StoreWriter, plan: Plan, cells: Cells, levels: int) -> None:
    """Why each cell has or lacks a probability."""
    label, fill = layout.coverage_label(), layout.COVERAGE_FILL
    _write_label(files, layout.COVERAGE_LABEL, plan, cells.coverage, fill, label, levels)


def write_quality(files: StoreWriter, plan: Plan, quality: NDArray[np.uint8], levels: int) -> None:
    """The reasons of each cell, which are its tile's, and of each tile in plan order."""
    side, size = plan.grid.cells_per_tile, plan.grid.cells.size
    values = quality.repeat(side, 0).repeat(side, 1)[: size.height, : size.width]
    label, fill = layout.quality_label(np.unique(values).tolist()), layout.QUALITY_FILL
    _write_label(files, layout.QUALITY_LABEL, plan, values, fill, label, levels)
    own = quality[plan.cells[:, 1], plan.cells[:, 0]]
    write_small(files, f"{layout.TILES}/quality", own, fill)


def write_attention(
    files: StoreWriter, plan: Plan, attention: NDArray[np.float32], levels: int
) -> None:
    """The attention as an image of the grid: where patches overlap, the mean of their ranks."""
    values = stitch_cells(plan, [(plan.cells, attention)]).probability
    datasets = layout.grid_datasets(plan.grid.cells, levels)
    for path, _ in datasets:
        write_small(files, f"{layout.ATTENTION}/{path}", values, layout.PROBABILITY_FILL)
        values = _halved(values)
    entry = layout.multiscale(layout.ATTENTION, datasets, plan.grid.mpp_0, "maximum")
    ome = {"version": layout.NGFF_VERSION, "multiscales": [entry]}
    files.group(layout.ATTENTION, {"ome": ome})


def _write_label(
    files: StoreWriter,
    path: str,
    plan: Plan,
    values: NDArray[np.uint8],
    fill: int,
    label: dict[str, Any],
    levels: int,
) -> None:
    """A label image; of 2 × 2 cells the coarser levels have the first."""
    datasets = layout.grid_datasets(plan.grid.cells, levels)
    for place, _ in datasets:
        write_small(files, f"{path}/{place}", values, fill)
        values = values[::2, ::2]
    name = path.rpartition("/")[2]
    ome = {
        "version": layout.NGFF_VERSION,
        "multiscales": [layout.multiscale(name, datasets, plan.grid.mpp_0, "nearest")],
        "image-label": label,
    }
    files.group(path, {"ome": ome})


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maxima of 2 × 2 cells, NaN only where all are: a small focus must not fade in overviews."""
    *planes, rows, columns = values.shape
    odd = [(0, 0)] * len(planes) + [(0, rows % 2), (0, columns % 2)]
    padded = np.pad(values, odd, constant_values=np.nan)
    quads = padded.reshape(*planes, padded.shape[-2] // 2, 2, padded.shape[-1] // 2, 2)
    largest: NDArray[np.float32] = np.fmax.reduce(np.fmax.reduce(quads, axis=-1), axis=-2)
    return largest
