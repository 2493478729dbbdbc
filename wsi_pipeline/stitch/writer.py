"""Writing a result: beside its final name, made durable, then moved into place as a whole."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline import durable
from wsi_pipeline.errors import ResultExistsError
from wsi_pipeline.slide.info import Level
from wsi_pipeline.stitch import layout
from wsi_pipeline.stitch.cells import Cells
from wsi_pipeline.stitch.checksums import attributes_digest
from wsi_pipeline.stitch.feature_array import FeatureArray
from wsi_pipeline.stitch.grid_images import (
    write_attention,
    write_coverage,
    write_probability,
    write_quality,
)
from wsi_pipeline.stitch.mask import LevelHash
from wsi_pipeline.stitch.mask_image import draw_mask, write_mask
from wsi_pipeline.stitch.small_array import write_small
from wsi_pipeline.stitch.store_writer import StoreWriter
from wsi_pipeline.tiles.plan import Plan


def write_store(
    folder: Path,
    *,
    name: str,
    plan: Plan,
    probabilities: NDArray[np.float32],
    cells: Cells,
    threshold: float,
    levels: tuple[Level, ...],
    attributes: Mapping[str, Any],
    extras: Mapping[str, NDArray[np.float32]] = {},
    features: FeatureArray | None = None,
    quality: NDArray[np.uint8] | None = None,
    attention: NDArray[np.float32] | None = None,
    hashed: Callable[[], LevelHash] | None = None,
) -> None:
    """Write a complete result store into a new folder and make it durable.

    Memory: a few chunks of the mask (1 MiB each) at a time, however large the slide.

    Args:
        folder: Must not exist yet.
        name: Of the image, the slide's.
        plan: The tiles.
        probabilities: One row per tile in plan order, ``(n,)`` of a binary model, else
            ``(n, planes)``; of maps their means; NaN = unreadable. Of an encoder not written.
        cells: What they were stitched to.
        threshold: Decides the mask.
        levels: The slide's levels, finest first.
        attributes: For ``wsi_pipeline`` in the root's metadata; ``format``, ``arrays`` and
            ``digest`` are added.
        features: Of the tiles, if they are kept.
        extras: More arrays of ``tiles/`` by name, ``(n,)`` in plan order; NaN = unreadable.
        quality: Reasons of every tile of the grid, uint8 ``(rows, columns)`` of tiles; None
            where nobody looked.
        attention: Rank of each tile, ``(n,)`` in plan order; NaN = unreadable; None: there is none.
        hashed: Gives what was hashed ahead of the mask's finest level; None: nothing was.
    """
    if attention is not None:
        extras = {**extras, layout.ATTENTION: attention}
    masks = [layout.mask_name(cells.classes)] if cells.classes.members else []
    files = StoreWriter(folder)
    drawn = draw_mask(plan, cells, threshold, levels) if masks else []
    depth = len(levels) - plan.grid.level
    # Hashing the mask takes longest, its finest level most of all: it goes on beside all writing.
    with (
        ThreadPoolExecutor(1, thread_name_prefix="hash-mask") as hasher,
        ThreadPoolExecutor(1, thread_name_prefix="flush") as flusher,
    ):
        pending = {
            f"{layout.LABELS}/{masks[0]}/{index}": hasher.submit(
                level.sha256, hashed if index == 0 else None
            )
            for index, level in enumerate(drawn)
        }
        # OME-Zarr wants an image and its labels to have equally many levels.
        ome = write_probability(files, name, plan, cells, depth)
        labels = [*masks, "coverage", *([] if quality is None else ["quality"])]
        files.group(layout.LABELS, {"ome": {"version": layout.NGFF_VERSION, "labels": labels}})
        if masks:
            write_mask(files, plan, cells.classes, drawn, levels)
        write_coverage(files, plan, cells, depth)
        _write_tiles(files, plan, probabilities, extras)
        if quality is not None:
            write_quality(files, plan, quality, depth)
        if features is not None:
            features.write(files)
        if attention is not None:
            write_attention(files, plan, attention, depth)
        flushed = flusher.submit(durable.sync_tree, folder)
        # What has not been begun is hashed here, the smallest first.
        left = zip(reversed(pending.items()), reversed(drawn), strict=True)
        hashes = {
            path: level.sha256() if future.cancel() else future.result()
            for (path, future), level in left
        }
        files.arrays.update(reversed(hashes.items()))
        flushed.result()
    metadata = {**dict(sorted(files.metadata.items())), "ome": attributes_digest({"ome": ome})}
    ours = {
        "format": layout.FORMAT_VERSION,
        **attributes,
        "arrays": files.arrays,
        "metadata": metadata,
    }
    root = files.root({"ome": ome, layout.ATTRIBUTES: {**ours, "digest": attributes_digest(ours)}})
    durable.sync(root)
    durable.sync(folder)


def publish(folder: Path, final: Path, *, overwrite: bool = False) -> None:
    """Move a complete store to its final name; readers see nothing or all of it.

    Args:
        folder: The store, durable as :func:`write_store` leaves it.
        final: Its name.
        overwrite: Whether an older result may be replaced.

    Raises:
        ResultExistsError: something is there already.
    """
    try:
        durable.publish_folder(folder, final, replace=overwrite)
    except FileExistsError as error:
        cause = "exists already; remove it or use --overwrite"
        raise ResultExistsError(final, cause) from error


def _write_tiles(
    files: StoreWriter,
    plan: Plan,
    probabilities: NDArray[np.float32],
    extras: Mapping[str, NDArray[np.float32]],
) -> None:
    files.group(layout.TILES)
    corners = plan.grid.corners_0(plan.cells)
    # Of an encoder there are none.
    answers = (
        {"probability": (probabilities, layout.PROBABILITY_FILL)}
        if probabilities.shape[1:] != (0,)
        else {}
    )
    columns: dict[str, tuple[NDArray[Any], float]] = {
        "x": (corners[:, 0], layout.POSITION_FILL),
        "y": (corners[:, 1], layout.POSITION_FILL),
        "tissue": (plan.tissue, layout.PROBABILITY_FILL),
        **answers,
        **{name: (values, layout.PROBABILITY_FILL) for name, values in extras.items()},
    }
    for key, (values, fill) in columns.items():
        write_small(files, f"{layout.TILES}/{key}", values, fill)
