"""Files of a store are, byte for byte, those that zarr-python would have written."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from wsi_pipeline.stitch.array_metadata import ArrayMetadata
from wsi_pipeline.stitch.small_array import write_small
from wsi_pipeline.stitch.store_writer import StoreWriter


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def by_zarr(root: zarr.Group, path: str, metadata: ArrayMetadata, values: NDArray[Any]) -> None:
    array = root.create_array(
        path,
        shape=metadata.shape,
        dtype=metadata.dtype,
        chunks=metadata.chunk,
        shards=metadata.shard,
        fill_value=metadata.fill,
        filters=[],
        serializer=BytesCodec(),
        compressors=[ZstdCodec(level=metadata.zstd_level), Crc32cCodec()],
        dimension_names=metadata.axes,
        config={"write_empty_chunks": True},
    )
    if values.size:
        array[...] = values


@st.composite
def arrays(draw: st.DrawFn) -> tuple[ArrayMetadata, NDArray[Any]]:
    axes = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(0 if i == 0 else 1, 9)) for i in range(axes))
    chunk = tuple(draw(st.integers(1, 5)) for _ in shape)
    dtype = np.dtype(draw(st.sampled_from(["uint8", "int64", "float16", "float32", "float64"])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.integers(0, 3, shape).astype(dtype)
    metadata = ArrayMetadata(shape, dtype, chunk, 2, ("c", "y", "x")[-axes:], 3)
    return metadata, values


@given(arrays())
@settings(deadline=None, max_examples=40)
def test_files_are_those_of_zarr(drawn: tuple[ArrayMetadata, NDArray[Any]]) -> None:
    metadata, values = drawn
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = zarr.create_group(folder / "zarr", zarr_format=3, attributes={"ome": {"v": "µ"}})
        root.create_group("labels", attributes={"one": [1, 2.5]})
        by_zarr(root, "labels/0", metadata, values)
        files = StoreWriter(folder / "ours")
        files.group("labels", {"one": [1, 2.5]})
        files.array("labels/0", metadata, values)
        files.root({"ome": {"v": "µ"}})
        written = contents(folder / "ours")
        assert written == contents(folder / "zarr")
        assert files.arrays == {"labels/0": hashlib.sha256(values.tobytes()).hexdigest()}
        assert files.metadata == {
            path: hashlib.sha256(data).hexdigest()
            for path, data in written.items()
            if path.endswith("/zarr.json")
        }


def test_metadata_of_shards_are_those_of_zarr(tmp_path: Path) -> None:
    metadata = ArrayMetadata((70, 50), np.dtype("uint8"), (16, 16), 254, ("y", "x"), 1, (64, 64))
    by_zarr(zarr.create_group(tmp_path / "zarr"), "0", metadata, np.empty((0, 0)))
    StoreWriter(tmp_path / "ours").describe("0", metadata)
    assert contents(tmp_path / "ours")["0/zarr.json"] == contents(tmp_path / "zarr")["0/zarr.json"]


@given(st.lists(st.integers(0, 9), max_size=5), st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_rows_that_come_in_parts_are_one_array(lengths: list[int], step: int) -> None:
    values = np.arange(sum(lengths) * 3, dtype=np.float32).reshape(-1, 3)
    metadata = ArrayMetadata(values.shape, values.dtype, (step, 3), -1.0, ("tile", "feature"), 1)
    parts = np.split(values, np.cumsum(lengths)[:-1]) if lengths else []
    with tempfile.TemporaryDirectory() as name:
        whole, by_part = StoreWriter(Path(name, "whole")), StoreWriter(Path(name, "parts"))
        whole.array("a", metadata, values)
        by_part.rows("a", metadata, parts)
        assert contents(by_part.folder) == contents(whole.folder)
        assert by_part.arrays == whole.arrays


@pytest.mark.parametrize("path", ["tiles/x", "labels/coverage/0", "0"])
def test_a_chunk_that_is_lost_is_no_chunk_of_data(tmp_path: Path, path: str) -> None:
    """Chunks of the fill value are written too: one that is absent was lost."""
    shape = (30,) if path == "tiles/x" else (5, 6)
    files = StoreWriter(tmp_path / "store")
    write_small(files, path, np.full(shape, 7, np.uint8), 7)
    assert [name for name in contents(files.folder) if "/c/" in name]


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        StoreWriter(tmp_path)
