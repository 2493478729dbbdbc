"""Shards of a mask encoded without zarr's machinery: most chunks of a mask are the same one.

zarr-python draws, compares, compresses and checks every chunk, constant or not; on a gigapixel
mask that takes longer than everything else that is written. Here a chunk of one value is encoded
once per level. What is written is ordinary Zarr v3: ``sharding_indexed`` with the index at the
end, chunks as bytes → zstd → crc32c (Zarr core specification v3, "sharding codec"). Readers,
``wsi verify`` and the tests go through zarr-python.
"""

from dataclasses import dataclass, field

import numpy as np
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

from wsi_pipeline.stitch.checksums import ABSENT, with_checksum
from wsi_pipeline.stitch.mask import DrawnLevel

#: Of the compressor, in the array's metadata and here.
ZSTD_LEVEL = 1


@dataclass(slots=True)
class ShardEncoder:
    """Encodes the shards of one level.

    Attributes:
        drawn: The level.
        chunk: Side of a chunk in px.
        per_side: Chunks along a shard's side.
        fill: What a chunk holds beyond the level's edge.
    """

    drawn: DrawnLevel
    chunk: int
    per_side: int
    fill: int
    _constant: dict[int, bytes] = field(default_factory=dict)

    def encode(self, row: int, column: int) -> bytes:
        """The shard at this place of the shard grid: chunks in row order, then their index."""
        index = np.full((self.per_side, self.per_side, 2), ABSENT, np.dtype("<u8"))
        parts: list[bytes] = []
        offset = 0
        for j in range(self.per_side):
            for i in range(self.per_side):
                y = (row * self.per_side + j) * self.chunk
                x = (column * self.per_side + i) * self.chunk
                if y >= self.drawn.size.height or x >= self.drawn.size.width:
                    continue
                part = self._chunk(x, y)
                index[j, i] = offset, len(part)
                parts.append(part)
                offset += len(part)
        return b"".join([*parts, with_checksum(index.tobytes())])

    def _chunk(self, x: int, y: int) -> bytes:
        size = self.drawn.size
        width, height = min(self.chunk, size.width - x), min(self.chunk, size.height - y)
        whole = width == height == self.chunk
        value = self.drawn.constant(x, y, width, height) if whole else None
        if value is not None:
            if value not in self._constant:
                self._constant[value] = _encoded(np.full((self.chunk, self.chunk), value, np.uint8))
            return self._constant[value]
        px = self.drawn.block(x, y, width, height)
        if not whole:
            padded = np.full((self.chunk, self.chunk), self.fill, np.uint8)
            padded[:height, :width] = px
            px = padded
        return _encoded(px)


def _encoded(px: NDArray[np.uint8]) -> bytes:
    return with_checksum(Zstd(ZSTD_LEVEL).encode(np.ascontiguousarray(px)))
