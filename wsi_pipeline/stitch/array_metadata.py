"""What a store says of its arrays and groups: the documents of Zarr v3.

Source: Zarr core specification v3, "array metadata" and "group metadata"; codecs ``bytes``,
``zstd``, ``crc32c`` and ``sharding_indexed``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

_CRC32C = {"name": "crc32c"}
_LITTLE_ENDIAN = {"name": "bytes", "configuration": {"endian": "little"}}


@dataclass(frozen=True, slots=True)
class ArrayMetadata:
    """An array whose chunks are bytes, compressed by zstd, with a CRC32C behind them.

    Attributes:
        shape: Of the array.
        dtype: Of its values.
        chunk: Shape of a chunk.
        fill: What chunks hold beyond the array's edge, and what a missing one stands for.
        axes: Their names.
        zstd_level: Of the compressor.
        shard: Shape of a shard, which is one file of several chunks; None: each chunk is a file.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk: tuple[int, ...]
    fill: float
    axes: tuple[str, ...]
    zstd_level: int
    shard: tuple[int, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The document ``zarr.json`` of the array."""
        single = self.dtype.itemsize == 1
        codecs: list[dict[str, Any]] = [
            {"name": "bytes"} if single else _LITTLE_ENDIAN,
            {"name": "zstd", "configuration": {"level": self.zstd_level, "checksum": False}},
            _CRC32C,
        ]
        if self.shard is not None:
            codecs = [
                {
                    "name": "sharding_indexed",
                    "configuration": {
                        "chunk_shape": list(self.chunk),
                        "codecs": codecs,
                        "index_codecs": [_LITTLE_ENDIAN, _CRC32C],
                        "index_location": "end",
                    },
                }
            ]
        return {
            "shape": list(self.shape),
            "data_type": self.dtype.name,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": list(self.shard or self.chunk)},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": float(self.fill) if self.dtype.kind == "f" else int(self.fill),
            "codecs": codecs,
            "attributes": {},
            "dimension_names": list(self.axes),
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        }


def group_metadata(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The document ``zarr.json`` of a group."""
    return {"attributes": dict(attributes), "zarr_format": 3, "node_type": "group"}
