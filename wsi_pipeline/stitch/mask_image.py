"""The mask of a store: a label image that has the slide's own levels from the analysed one on."""

import numpy as np

from wsi_pipeline.classes import Classes
from wsi_pipeline.geometry import PerAxis
from wsi_pipeline.slide.info import Level
from wsi_pipeline.stitch import layout
from wsi_pipeline.stitch.array_metadata import ArrayMetadata
from wsi_pipeline.stitch.cells import Cells
from wsi_pipeline.stitch.mask import DrawnLevel
from wsi_pipeline.stitch.shard import ShardEncoder
from wsi_pipeline.stitch.store_writer import StoreWriter
from wsi_pipeline.tiles.plan import Plan

_ZSTD_LEVEL = 1


def draw_mask(
    plan: Plan, cells: Cells, threshold: float, levels: tuple[Level, ...]
) -> list[DrawnLevel]:
    """The mask at the analysis level and every coarser one of the slide."""
    decision, grid = cells.decision(threshold), plan.grid.cells
    return [
        DrawnLevel(
            decision,
            grid.column_edges(level.downsample, level.size.width),
            grid.row_edges(level.downsample, level.size.height),
        )
        for level in levels[grid.level :]
    ]


def write_mask(
    files: StoreWriter,
    plan: Plan,
    classes: Classes,
    drawn: list[DrawnLevel],
    levels: tuple[Level, ...],
) -> None:
    """Write what :func:`draw_mask` drew; its hashes are the caller's to make."""
    grid, path = plan.grid, layout.mask_path(classes)
    datasets: list[tuple[str, PerAxis]] = []
    for index, (level, of_level) in enumerate(zip(levels[grid.level :], drawn, strict=True)):
        _write_level(files, f"{path}/{index}", of_level)
        datasets.append((str(index), PerAxis.of(level.downsample)))
    entry = layout.multiscale(layout.mask_name(classes), datasets, grid.mpp_0, "nearest")
    ome = {
        "version": layout.NGFF_VERSION,
        "multiscales": [entry],
        "image-label": layout.mask_label(classes),
    }
    files.group(path, {"ome": ome})


def _write_level(files: StoreWriter, path: str, drawn: DrawnLevel) -> None:
    size = drawn.size
    chunk = min(layout.MASK_CHUNK, max(size.width, size.height))
    per_side = max(1, layout.MASK_SHARD // layout.MASK_CHUNK)
    shard = chunk * per_side
    metadata = ArrayMetadata(
        shape=(size.height, size.width),
        dtype=np.dtype(np.uint8),
        chunk=(chunk, chunk),
        fill=layout.MASK_FILL,
        axes=("y", "x"),
        zstd_level=_ZSTD_LEVEL,
        shard=(shard, shard),
    )
    files.describe(path, metadata)
    encoder = ShardEncoder(drawn, metadata)
    for row in range(-(-size.height // shard)):
        for column in range(-(-size.width // shard)):
            files.chunk(path, (row, column), encoder.encode(row, column))
