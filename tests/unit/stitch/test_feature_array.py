"""Features are stored part by part, as they are, or refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import zarr

from wsi_pipeline.errors import UsageError
from wsi_pipeline.stitch.feature_array import FeatureArray


@pytest.mark.parametrize("numbers", ["float16", "float32"])
def test_parts_become_one_array_with_its_checksum(tmp_path: Path, numbers: str) -> None:
    values = np.random.default_rng(2).normal(size=(600, 5)).astype(np.float32)
    values[7] = np.nan
    root = zarr.create_group(tmp_path / "store", zarr_format=3)
    parts = [values[:256], values[256:300], values[300:]]
    digest = FeatureArray(600, 5, numbers, parts).write(root)
    array = root["features/values"]
    assert isinstance(array, zarr.Array)
    stored = np.asarray(array[...])
    assert stored.dtype == numbers
    assert np.array_equal(stored, values.astype(numbers), equal_nan=True)
    assert digest == hashlib.sha256(stored.tobytes()).hexdigest()


def test_no_tiles_are_no_features(tmp_path: Path) -> None:
    root = zarr.create_group(tmp_path / "store", zarr_format=3)
    assert FeatureArray(0, 5, "float16", []).write(root) == hashlib.sha256().hexdigest()


def test_what_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    root = zarr.create_group(tmp_path / "store", zarr_format=3)
    large = np.full((3, 2), 7e4, np.float32)
    with pytest.raises(UsageError, match=r"7e\+04 do not fit into float16; use --dtype float32"):
        FeatureArray(3, 2, "float16", [large]).write(root)
