"""Features are stored part by part, as they are, or refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import zarr

from wsi_pipeline.errors import UsageError
from wsi_pipeline.stitch.feature_array import FeatureArray
from wsi_pipeline.stitch.store_writer import StoreWriter


@pytest.mark.parametrize("numbers", ["float16", "float32"])
def test_parts_become_one_array_with_its_checksum(tmp_path: Path, numbers: str) -> None:
    values = np.random.default_rng(2).normal(size=(600, 5)).astype(np.float32)
    values[7] = np.nan
    files = StoreWriter(tmp_path / "store")
    parts = [values[:256], values[256:300], values[300:]]
    FeatureArray(600, 5, numbers, parts).write(files)
    files.root({})
    array = zarr.open_group(tmp_path / "store", mode="r")["features/values"]
    assert isinstance(array, zarr.Array)
    stored = np.asarray(array[...])
    assert stored.dtype == numbers
    assert np.array_equal(stored, values.astype(numbers), equal_nan=True)
    digest = hashlib.sha256(stored.tobytes()).hexdigest()
    assert files.arrays == {"features/values": digest}


def test_no_tiles_are_no_features(tmp_path: Path) -> None:
    files = StoreWriter(tmp_path / "store")
    FeatureArray(0, 5, "float16", []).write(files)
    assert files.arrays == {"features/values": hashlib.sha256().hexdigest()}


def test_what_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    files = StoreWriter(tmp_path / "store")
    large = np.full((3, 2), 7e4, np.float32)
    with pytest.raises(UsageError, match=r"7e\+04 do not fit into float16; use --dtype float32"):
        FeatureArray(3, 2, "float16", [large]).write(files)
