"""The files of a store that is being written, without zarr's machinery.

zarr-python makes each of a result's hundred small files through an event loop and a thread, which
takes longer than everything else that is written of a small slide. What is written is ordinary
Zarr v3, and the tests hold every file against the one that zarr-python writes. Readers and
``wsi verify`` go through zarr-python.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

from wsi_pipeline.stitch.array_metadata import ArrayMetadata, group_metadata
from wsi_pipeline.stitch.checksums import METADATA, with_checksum


class StoreWriter:
    """Writes groups, arrays and chunks; :mod:`wsi_pipeline.durable` makes them durable.

    Args:
        folder: Of the store; made here.

    Attributes:
        folder: The same.
        arrays: SHA-256 (hex) of the values of arrays in row order, by path.
        metadata: SHA-256 (hex) of each ``zarr.json`` below the root, by its name in the store.

    Raises:
        FileExistsError: there is something.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.arrays: dict[str, str] = {}
        self.metadata: dict[str, str] = {}
        self._made = {folder}

    def root(self, attributes: Mapping[str, Any]) -> Path:
        """Write the root group, of which readers know a complete store: last. Gives its file."""
        return self._write(METADATA, _as_bytes(group_metadata(attributes)))

    def group(self, path: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Write a group; those above it are written by calls of their own."""
        self._describe(path, group_metadata(attributes or {}))

    def describe(self, path: str, metadata: ArrayMetadata) -> None:
        """Write an array's metadata; its files are given to :meth:`chunk`."""
        self._describe(path, metadata.to_json())

    def chunk(self, path: str, index: tuple[int, ...], data: bytes) -> None:
        """Write an encoded chunk of an array, or a shard.

        Args:
            path: Of the array.
            index: Place in the grid of chunks, or of shards.
            data: See :func:`encode_chunk`.
        """
        self._write("/".join([path, "c", *map(str, index)]), data)

    def array(self, path: str, metadata: ArrayMetadata, values: NDArray[Any]) -> None:
        """Write an array that is in memory; every chunk of it, also where it is the fill value."""
        self.describe(path, metadata)
        for index in _places(metadata):
            block = values[
                tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, metadata.chunk, strict=True))
            ]
            self.chunk(path, index, encode_chunk(block, metadata))
        self.arrays[path] = hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()

    def rows(self, path: str, metadata: ArrayMetadata, parts: Iterable[NDArray[Any]]) -> None:
        """Write an array that does not fit into memory.

        Memory: a part and a row of chunks.

        Args:
            path: Of the array.
            metadata: Its chunks are as wide as it is.
            parts: Its rows in order, as many at a time as they come.
        """
        self.describe(path, metadata)
        digest, step, number = hashlib.sha256(), metadata.chunk[0], 0
        left: NDArray[Any] = np.empty((0, *metadata.shape[1:]), metadata.dtype)
        for part in parts:
            digest.update(np.ascontiguousarray(part).data)
            left = np.concatenate([left, part])
            while len(left) >= step:
                self._row_of_chunks(path, metadata, number, left[:step])
                left, number = left[step:], number + 1
        if len(left):
            self._row_of_chunks(path, metadata, number, left)
        self.arrays[path] = digest.hexdigest()

    def _row_of_chunks(
        self, path: str, metadata: ArrayMetadata, number: int, rows: NDArray[Any]
    ) -> None:
        index = (number, *(0 for _ in metadata.shape[1:]))
        self.chunk(path, index, encode_chunk(rows, metadata))

    def _describe(self, path: str, document: dict[str, Any]) -> None:
        name, data = f"{path}/{METADATA}", _as_bytes(document)
        self._write(name, data)
        self.metadata[name] = hashlib.sha256(data).hexdigest()

    def _write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        path.write_bytes(data)
        return path


def encode_chunk(values: NDArray[Any], metadata: ArrayMetadata) -> bytes:
    """A chunk as its codecs make it of values, which are fewer at the array's edge."""
    if values.shape != metadata.chunk:
        whole = np.full(metadata.chunk, metadata.fill, metadata.dtype)
        whole[tuple(slice(n) for n in values.shape)] = values
        values = whole
    stored = np.ascontiguousarray(values, metadata.dtype.newbyteorder("<"))
    return with_checksum(Zstd(metadata.zstd_level).encode(stored))


def _places(metadata: ArrayMetadata) -> Iterable[tuple[int, ...]]:
    """Where an array's chunks are in their grid."""
    counts = (-(-side // n) for side, n in zip(metadata.shape, metadata.chunk, strict=True))
    return itertools.product(*(range(count) for count in counts))


def _as_bytes(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=2).encode()
