"""Writing ``features/values``: part by part, since all of them may not fit into memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import UsageError
from wsi_pipeline.stitch import layout
from wsi_pipeline.stitch.array_metadata import ArrayMetadata
from wsi_pipeline.stitch.store_writer import StoreWriter

_ZSTD_LEVEL = 1


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

    def write(self, files: StoreWriter) -> None:
        """Write them to a store.

        Memory: one part and one chunk.

        Raises:
            UsageError: a feature is too large for float16.
        """
        files.group(layout.FEATURES)
        chunk = (max(1, min(layout.FEATURE_CHUNK, self.count)), self.size)
        metadata = ArrayMetadata(
            shape=(self.count, self.size),
            dtype=np.dtype(self.numbers),
            chunk=chunk,
            fill=layout.FEATURE_FILL,
            axes=("tile", "feature"),
            zstd_level=_ZSTD_LEVEL,
        )
        files.rows(layout.FEATURE_VALUES, metadata, self._converted())

    def _converted(self) -> Iterator[NDArray[np.floating]]:
        for part in self.parts:
            with np.errstate(over="ignore"):
                values = part.astype(self.numbers)
            if np.isinf(values).any():
                raise UsageError(
                    f"features of up to {np.nanmax(np.abs(part)):.3g} do not fit into "
                    f"{self.numbers}; use --dtype float32, or another precision"
                )
            yield values
