"""Arrays of a store that fit into memory."""

from typing import Any

from numpy.typing import NDArray

from wsi_pipeline.stitch import layout
from wsi_pipeline.stitch.array_metadata import ArrayMetadata
from wsi_pipeline.stitch.store_writer import StoreWriter

_ZSTD_LEVEL = 3


def write_small(files: StoreWriter, path: str, values: NDArray[Any], fill: float) -> None:
    """An array in chunks small enough for a viewer."""
    name = path.split("/", maxsplit=1)[0]
    if name == layout.TILES:
        sides, axes = (layout.GRID_CHUNK**2, *values.shape[1:]), ("tile", "class")[: values.ndim]
    else:
        sides, axes = (
            (1, layout.GRID_CHUNK, layout.GRID_CHUNK)[-values.ndim :],
            ("c", "y", "x")[-values.ndim :],
        )
    chunk = tuple(max(1, min(side, n)) for side, n in zip(sides, values.shape, strict=True))
    metadata = ArrayMetadata(values.shape, values.dtype, chunk, fill, axes, _ZSTD_LEVEL)
    files.array(path, metadata, values)
