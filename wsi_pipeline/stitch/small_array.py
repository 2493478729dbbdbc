"""Arrays of a store that fit into memory."""

import hashlib
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from wsi_pipeline.stitch import layout


def write_small(
    root: zarr.Group, path: str, values: NDArray[Any], fill: float, hashes: dict[str, str]
) -> None:
    """An array in chunks small enough for a viewer; ``hashes`` gets its SHA-256 (hex)."""
    name = path.split("/", maxsplit=1)[0]
    if name == layout.TILES:
        sides, axes = (layout.GRID_CHUNK**2, *values.shape[1:]), ("tile", "class")[: values.ndim]
    else:
        sides, axes = (
            (1, layout.GRID_CHUNK, layout.GRID_CHUNK)[-values.ndim :],
            ("c", "y", "x")[-values.ndim :],
        )
    array = root.create_array(
        path,
        shape=values.shape,
        dtype=values.dtype,
        chunks=tuple(max(1, min(side, n)) for side, n in zip(sides, values.shape, strict=True)),
        fill_value=fill,
        filters=[],
        serializer=BytesCodec(),
        compressors=[ZstdCodec(level=3), Crc32cCodec()],
        dimension_names=axes,
        config={"write_empty_chunks": True},
    )
    if values.size:
        array[...] = values
    hashes[path] = hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()
