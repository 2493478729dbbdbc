"""Writing ``features/values``: part by part, since all of them may not fit into memory."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from wsi_pipeline.errors import UsageError
from wsi_pipeline.stitch import layout


@dataclass(frozen=True, slots=True)
class FeatureArray:
    """The features of all tiles.

    Attributes:
        count: Tiles.
        size: Features of each.
        numbers: ``float16`` or ``float32``.
        parts: float32 ``(k, size)`` in plan order, together ``count``; NaN = unreadable.
    """

    count: int
    size: int
    numbers: str
    parts: Iterable[NDArray[np.float32]]

    def write(self, root: zarr.Group) -> str:
        """Write them to a store; returns the SHA-256 (hex) of the array.

        Memory: one part.

        Raises:
            UsageError: a feature is too large for float16.
        """
        root.create_group(layout.FEATURES)
        array = root.create_array(
            layout.FEATURE_VALUES,
            shape=(self.count, self.size),
            dtype=self.numbers,
            chunks=(max(1, min(layout.FEATURE_CHUNK, self.count)), self.size),
            fill_value=layout.FEATURE_FILL,
            filters=[],
            serializer=BytesCodec(),
            compressors=[ZstdCodec(level=1), Crc32cCodec()],
            dimension_names=("tile", "feature"),
            config={"write_empty_chunks": True},
        )
        digest, start = hashlib.sha256(), 0
        for part in self.parts:
            with np.errstate(over="ignore"):
                values = part.astype(self.numbers)
            if np.isinf(values).any():
                raise UsageError(
                    f"features of up to {np.nanmax(np.abs(part)):.3g} do not fit into "
                    f"{self.numbers}; use --dtype float32, or another precision"
                )
            array[start : start + len(values)] = values
            digest.update(np.ascontiguousarray(values).data)
            start += len(values)
        return digest.hexdigest()
