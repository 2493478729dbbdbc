"""Shards encoded by us are what zarr-python reads, and would have written."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec
from zarr.core.metadata import ArrayV3Metadata

from wsi_pipeline.stitch.array_metadata import ArrayMetadata
from wsi_pipeline.stitch.mask import DrawnLevel
from wsi_pipeline.stitch.shard import ShardEncoder

FILL = 254
ZSTD_LEVEL = 1


def _array(
    folder: Path, drawn: DrawnLevel, chunk: int, per_side: int
) -> "zarr.Array[ArrayV3Metadata]":
    side = chunk * per_side
    return zarr.create_array(
        folder,
        shape=(drawn.size.height, drawn.size.width),
        dtype=np.uint8,
        chunks=(chunk, chunk),
        shards=(side, side),
        fill_value=FILL,
        filters=[],
        serializer=BytesCodec(),
        compressors=[ZstdCodec(level=ZSTD_LEVEL), Crc32cCodec()],
        config={"write_empty_chunks": True},
    )


@st.composite
def drawn_levels(draw: st.DrawFn) -> DrawnLevel:
    def edges(count: int) -> NDArray[np.int64]:
        lengths = draw(st.lists(st.integers(1, 40), min_size=count, max_size=count))
        return np.concatenate([[0], np.cumsum(lengths)])

    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.choice(np.array([0, 1, 255], np.uint8), (rows, columns))
    return DrawnLevel(values, edges(columns), edges(rows))


def _write(
    folder: Path, drawn: DrawnLevel, chunk: int, per_side: int
) -> "zarr.Array[ArrayV3Metadata]":
    """The level in a store: metadata by zarr, shards by us."""
    array = _array(folder, drawn, chunk, per_side)
    side, size = chunk * per_side, drawn.size
    metadata = ArrayMetadata(
        shape=(size.height, size.width),
        dtype=np.dtype(np.uint8),
        chunk=(chunk, chunk),
        fill=FILL,
        axes=("y", "x"),
        zstd_level=ZSTD_LEVEL,
        shard=(side, side),
    )
    encoder = ShardEncoder(drawn, metadata)
    for row in range(-(-size.height // side)):
        (folder / "c" / str(row)).mkdir(parents=True)
        for column in range(-(-size.width // side)):
            (folder / "c" / str(row) / str(column)).write_bytes(encoder.encode(row, column))
    return array


@given(drawn_levels(), st.integers(3, 20), st.integers(1, 4))
@settings(deadline=None, max_examples=15)
def test_zarr_reads_what_was_drawn(drawn: DrawnLevel, chunk: int, per_side: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        array = _write(Path(folder), drawn, chunk, per_side)
        size = drawn.size
        assert np.array_equal(array[...], drawn.block(0, 0, size.width, size.height))


def test_every_chunk_inside_the_level_is_there_and_none_beyond(tmp_path: Path) -> None:
    """A chunk that is missing would read as the fill value, which no mask holds."""
    drawn = DrawnLevel(np.ones((1, 1), np.uint8), np.array([0, 70]), np.array([0, 50]))
    array = _write(tmp_path / "ours", drawn, 16, 4)
    for column, columns in enumerate((4, 1)):
        data = (tmp_path / "ours" / "c" / "0" / str(column)).read_bytes()
        index = np.frombuffer(data[-(16 * 16 + 4) : -4], "<u8").reshape(4, 4, 2)
        inside = np.zeros((4, 4), bool)
        inside[:, :columns] = True
        assert np.array_equal(index[..., 0] != 2**64 - 1, inside)
    theirs = _array(tmp_path / "theirs", drawn, 16, 4)
    theirs[...] = 1
    assert np.array_equal(array[...], theirs[...])


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    drawn = DrawnLevel(np.ones((1, 1), np.uint8), np.array([0, 64]), np.array([0, 64]))
    array = _write(tmp_path, drawn, 16, 4)
    shard = tmp_path / "c" / "0" / "0"
    data = bytearray(shard.read_bytes())
    data[3] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ValueError, match="checksum"):
        array[...]
