"""The mask of a store: a label image that has the slide's own levels from the analysed one on."""

from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from wsi_pipeline.classes import Classes
from wsi_pipeline.geometry import PerAxis
from wsi_pipeline.slide.info import Level
from wsi_pipeline.stitch import layout
from wsi_pipeline.stitch.cells import Cells
from wsi_pipeline.stitch.mask import DrawnLevel
from wsi_pipeline.stitch.shard import ZSTD_LEVEL, ShardEncoder
from wsi_pipeline.tiles.plan import Plan


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
    root: zarr.Group,
    folder: Path,
    plan: Plan,
    classes: Classes,
    drawn: list[DrawnLevel],
    levels: tuple[Level, ...],
) -> None:
    """Write what :func:`draw_mask` drew; ``folder`` is where ``root`` is stored."""
    grid, path = plan.grid, layout.mask_path(classes)
    group = root.create_group(path)
    datasets: list[tuple[str, PerAxis]] = []
    for index, (level, of_level) in enumerate(zip(levels[grid.level :], drawn, strict=True)):
        _write_level(group, folder / path, str(index), of_level)
        datasets.append((str(index), PerAxis.of(level.downsample)))
    entry = layout.multiscale(layout.mask_name(classes), datasets, grid.mpp_0, "nearest")
    group.attrs["ome"] = {
        "version": layout.NGFF_VERSION,
        "multiscales": [entry],
        "image-label": layout.mask_label(classes),
    }


def _write_level(group: zarr.Group, folder: Path, path: str, drawn: DrawnLevel) -> None:
    """A level of the mask; ``folder`` is where ``group`` is stored."""
    size = drawn.size
    chunk = min(layout.MASK_CHUNK, max(size.width, size.height))
    per_side = max(1, layout.MASK_SHARD // layout.MASK_CHUNK)
    shard = chunk * per_side
    group.create_array(
        path,
        shape=(size.height, size.width),
        dtype=np.uint8,
        chunks=(chunk, chunk),
        shards=(shard, shard),
        fill_value=layout.MASK_FILL,
        filters=[],
        serializer=BytesCodec(),
        compressors=[ZstdCodec(level=ZSTD_LEVEL), Crc32cCodec()],
        dimension_names=("y", "x"),
    )
    encoder = ShardEncoder(drawn, chunk, per_side, layout.MASK_FILL)
    for row in range(-(-size.height // shard)):
        place = folder / path / "c" / str(row)
        place.mkdir(parents=True)
        for column in range(-(-size.width // shard)):
            (place / str(column)).write_bytes(encoder.encode(row, column))
