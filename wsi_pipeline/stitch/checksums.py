"""The checksums of a result's files, compared before bytes are given away; nothing is decoded.

Every chunk ends with its CRC32C, and so does the index of a shard; the metadata files have their
SHA-256 in the root's attributes, which have one themselves. What ``wsi verify`` compares on top are
the decoded arrays. Imports neither zarr nor the layout: the service, which only gives files away,
gets along without.

Source: Zarr core specification v3, "crc32c codec" and "sharding codec".
"""

import hashlib
import itertools
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from wsi_pipeline.errors import ResultError

METADATA = "zarr.json"
#: Chunks in a shard of the mask; a test holds it and the layout together.
SHARD_CHUNKS = 16
_ATTRIBUTES = "wsi_pipeline"
#: Where the mask is, which is stored in shards; a test holds it and the layout together.
_SHARDED = ("labels/tumour/", "labels/classes/")
_CRC_BYTES = 4
_INDEX_BYTES = 16 * SHARD_CHUNKS + _CRC_BYTES
#: Offset and length of a chunk that is not there.
ABSENT = 2**64 - 1
#: Files up to this length are read as a whole: one request of an object store instead of two.
_WHOLE_BYTES = 2**20

Read = Callable[[str, int, int], bytes]
"""Gives bytes of a file of a store: its name in the store, the first byte, how many."""


def attributes_digest(attributes: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of attributes but their own digest, as canonical JSON."""
    rest = {key: value for key, value in attributes.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def is_unaltered(attributes: Mapping[str, Any]) -> bool:
    """Whether attributes still have the digest that they state."""
    return bool(attributes_digest(attributes) == attributes.get("digest"))


def with_checksum(data: bytes) -> bytes:
    """Bytes with their CRC32C behind them, little-endian."""
    checksum: int = google_crc32c.value(data)
    return data + checksum.to_bytes(_CRC_BYTES, "little")


def metadata_hashes(store: Path, ome: Any) -> dict[str, str]:
    """SHA-256 (hex) of every ``zarr.json`` below the root, and of the root's ``ome`` attributes.

    Args:
        store: The store's folder, or a ZIP of it.
        ome: The root's ``ome`` attributes; its own file also holds these hashes.
    """
    if store.is_file():
        with zipfile.ZipFile(store) as archive:
            files = {
                name: archive.read(name)
                for name in archive.namelist()
                if name.endswith("/zarr.json")
            }
    else:
        files = {
            path.relative_to(store).as_posix(): path.read_bytes()
            for path in store.glob("*/**/zarr.json")
        }
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    return {**hashes, "ome": attributes_digest({"ome": ome})}


class CheckedStore:
    """Reads files of one result store, and compares what is read with its checksums.

    Args:
        name: What errors call the store.
        read: Gives bytes of its files.
        size: Length of a file of it, by its name.
    """

    def __init__(self, name: Path | str, read: Read, size: Callable[[str], int]) -> None:
        self._name = name
        self._read = read
        self._size = size

    def read(self, file: str, start: int, length: int) -> bytes:
        """Bytes of a file, once everything they belong to was found sound.

        Args:
            file: Name in the store.
            start: First byte.
            length: How many.

        Raises:
            ResultError: a checksum differs; the message names the file.
            FileNotFoundError: it is gone, or what its checksum is in.
        """
        if file == METADATA or file.endswith(f"/{METADATA}"):
            return self._metadata(file)[start : start + length]
        size = self._size(file)
        if not file.startswith(_SHARDED):
            return self._checked(file, self._read(file, 0, size))[start : start + length]
        if size <= _WHOLE_BYTES:
            whole = self._read(file, 0, size)
            read: Read = lambda _, first, count: whole[first : first + count]  # noqa: E731 - as Read
        else:
            read = self._read
        parts = []
        for first, count in self._pieces(file, size, read):
            if first < start + length and start < first + count:
                piece = self._checked(file, read(file, first, count))
                parts.append(piece[max(0, start - first) : start + length - first])
        return b"".join(parts)

    def check(self, file: str) -> None:
        """Compare all of a file, a piece at a time.

        Raises:
            ResultError: as :meth:`read`.
            FileNotFoundError: as :meth:`read`.
        """
        size = self._size(file)
        # An empty file has no checksum either.
        for start in range(0, max(1, size), _WHOLE_BYTES):
            self.read(file, start, min(_WHOLE_BYTES, max(1, size - start)))

    def _pieces(self, file: str, size: int, read: Read) -> Iterator[tuple[int, int]]:
        """Where the chunks and the index of a shard are: together they are all of the file."""
        at = size - _INDEX_BYTES
        if at < 0:
            raise self._damaged(file)
        index = self._checked(file, read(file, at, _INDEX_BYTES))
        entries = np.frombuffer(index[:-_CRC_BYTES], "<u8").reshape(-1, 2)
        place = 0
        for first, count in sorted(
            (int(first), int(count)) for first, count in entries if first != ABSENT
        ):
            if first != place or first + count > at:
                raise self._damaged(file)
            yield first, count
            place = first + count
        if place != at:
            raise self._damaged(file)
        yield at, _INDEX_BYTES

    def _checked(self, file: str, data: bytes) -> bytes:
        if len(data) < _CRC_BYTES or with_checksum(data[:-_CRC_BYTES]) != data:
            raise self._damaged(file)
        return data

    def _metadata(self, file: str) -> bytes:
        root = self._read(METADATA, 0, self._size(METADATA))
        try:
            described = json.loads(root)
            attributes = described["attributes"]
            ours = attributes[_ATTRIBUTES]
            stated = ours["metadata"]
            sound = (
                attributes_digest(ours) == ours["digest"]
                and stated["ome"] == attributes_digest({"ome": attributes["ome"]})
                and (described["node_type"], described["zarr_format"]) == ("group", 3)
            )
        except (ValueError, KeyError, TypeError):
            sound = False
        if not sound:
            raise self._damaged(METADATA)
        if file == METADATA:
            return root
        data = self._read(file, 0, self._size(file))
        if hashlib.sha256(data).hexdigest() != stated.get(file):
            raise self._damaged(file)
        return data

    def _damaged(self, file: str) -> ResultError:
        return ResultError(self._name, f"damaged: {file} (its checksum differs)")


def local_store(folder: Path) -> CheckedStore:
    """A store that is a folder of this host."""

    def read(file: str, start: int, length: int) -> bytes:
        with (folder / file).open("rb") as opened:
            opened.seek(start)
            return opened.read(length)

    return CheckedStore(folder, read, lambda file: (folder / file).stat().st_size)


def check_files(folder: Path) -> None:
    """Compare every file of a store with its checksum; a tenth of the time of ``verify``.

    Raises:
        ResultError: one differs, or is missing; the message names it.
    """
    store = local_store(folder)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for name in (METADATA, *sorted(there - {METADATA})):
        try:
            store.check(name)
        except FileNotFoundError as error:
            raise _missing(folder, name) from error
    ours = json.loads((folder / METADATA).read_bytes())["attributes"][_ATTRIBUTES]
    needed = [name for name in ours["metadata"] if name.endswith(f"/{METADATA}")]
    for name in needed:
        if name not in there:
            raise _missing(folder, name)
        for chunk in _chunks(name, json.loads((folder / name).read_bytes())):
            if chunk not in there:
                raise _missing(folder, chunk)


def _chunks(name: str, metadata: Mapping[str, Any]) -> Iterator[str]:
    """The files of an array; all are written, whatever they hold. Of a group there are none."""
    if metadata["node_type"] == "array":
        sides = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        counts = (-(-n // side) for n, side in zip(metadata["shape"], sides, strict=True))
        for place in itertools.product(*(range(count) for count in counts)):
            yield "/".join([name.removesuffix(f"/{METADATA}"), "c", *map(str, place)])


def _missing(folder: Path, name: str) -> ResultError:
    return ResultError(folder, f"damaged: {name} is missing")
