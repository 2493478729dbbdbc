"""Images of a store that have a px for each cell of the grid, with their coarser levels."""

from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from wsi_pipeline.stitch import layout
from wsi_pipeline.stitch.cells import Cells, stitch_cells
from wsi_pipeline.stitch.small_array import write_small
from wsi_pipeline.tiles.plan import Plan


def write_probability(
    root: zarr.Group,
    name: str,
    plan: Plan,
    cells: Cells,
    levels: int,
    hashes: dict[str, str],
) -> None:
    """The root's own image: the probabilities of each cell, a plane for each class.

    Args:
        root: Of the store.
        name: Of the image, the slide's.
        plan: The tiles.
        cells: What they were stitched to.
        levels: How many.
        hashes: Gets the SHA-256 (hex) of each array by its path, as in all functions here.
    """
    values, datasets = cells.probability, layout.grid_datasets(plan.grid.cells, levels)
    for path, _ in datasets:
        write_small(root, path, values, layout.PROBABILITY_FILL, hashes)
        values = _halved(values)
    planes = values.ndim > 2
    entry = layout.multiscale(name, datasets, plan.grid.mpp_0, "maximum", planes=planes)
    ome: dict[str, Any] = {"version": layout.NGFF_VERSION, "multiscales": [entry]}
    if planes:
        ome["omero"] = {"channels": layout.channels(cells.classes)}
    root.attrs["ome"] = ome


def write_coverage(
    root: zarr.Group, plan: Plan, cells: Cells, levels: int, hashes: dict[str, str]
) -> None:
    """Why each cell has or lacks a probability."""
    label, fill = layout.coverage_label(), layout.COVERAGE_FILL
    _write_label(root, layout.COVERAGE_LABEL, plan, cells.coverage, fill, label, levels, hashes)


def write_quality(
    root: zarr.Group,
    plan: Plan,
    quality: NDArray[np.uint8],
    levels: int,
    hashes: dict[str, str],
) -> None:
    """The reasons of each cell, which are its tile's, and of each tile in plan order."""
    side, size = plan.grid.cells_per_tile, plan.grid.cells.size
    values = quality.repeat(side, 0).repeat(side, 1)[: size.height, : size.width]
    label, fill = layout.quality_label(np.unique(values).tolist()), layout.QUALITY_FILL
    _write_label(root, layout.QUALITY_LABEL, plan, values, fill, label, levels, hashes)
    own = quality[plan.cells[:, 1], plan.cells[:, 0]]
    write_small(root, f"{layout.TILES}/quality", own, fill, hashes)


def write_attention(
    root: zarr.Group,
    plan: Plan,
    attention: NDArray[np.float32],
    levels: int,
    hashes: dict[str, str],
) -> None:
    """The attention as an image of the grid: where patches overlap, the mean of their ranks."""
    values = stitch_cells(plan, [(plan.cells, attention)]).probability
    group = root.create_group(layout.ATTENTION)
    datasets = layout.grid_datasets(plan.grid.cells, levels)
    for path, _ in datasets:
        place = f"{layout.ATTENTION}/{path}"
        write_small(root, place, values, layout.PROBABILITY_FILL, hashes)
        values = _halved(values)
    entry = layout.multiscale(layout.ATTENTION, datasets, plan.grid.mpp_0, "maximum")
    group.attrs["ome"] = {"version": layout.NGFF_VERSION, "multiscales": [entry]}


def _write_label(
    root: zarr.Group,
    path: str,
    plan: Plan,
    values: NDArray[np.uint8],
    fill: int,
    label: dict[str, Any],
    levels: int,
    hashes: dict[str, str],
) -> None:
    """A label image; of 2 × 2 cells the coarser levels have the first."""
    group, datasets = root.create_group(path), layout.grid_datasets(plan.grid.cells, levels)
    for place, _ in datasets:
        write_small(root, f"{path}/{place}", values, fill, hashes)
        values = values[::2, ::2]
    name = path.rpartition("/")[2]
    group.attrs["ome"] = {
        "version": layout.NGFF_VERSION,
        "multiscales": [layout.multiscale(name, datasets, plan.grid.mpp_0, "nearest")],
        "image-label": label,
    }


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maxima of 2 × 2 cells, NaN only where all are: a small focus must not fade in overviews."""
    *planes, rows, columns = values.shape
    odd = [(0, 0)] * len(planes) + [(0, rows % 2), (0, columns % 2)]
    padded = np.pad(values, odd, constant_values=np.nan)
    quads = padded.reshape(*planes, padded.shape[-2] // 2, 2, padded.shape[-1] // 2, 2)
    largest: NDArray[np.float32] = np.fmax.reduce(np.fmax.reduce(quads, axis=-1), axis=-2)
    return largest
