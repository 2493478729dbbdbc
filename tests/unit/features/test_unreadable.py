"""Tiles that could not be read are in no file for other programs."""

from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest
from features_support import LOST, feature_result

from wsi_pipeline.features.annotated import write_anndata
from wsi_pipeline.features.hdf5 import write_hdf5
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.tiles.plan import Coverage


@pytest.fixture
def result(tmp_path: Path) -> Result:
    return feature_result(tmp_path / "s.zarr")


def test_hdf5_and_anndata_hold_the_readable_tiles(result: Result, tmp_path: Path) -> None:
    stored, table = np.asarray(result.features()[...]), result.tile_table()
    readable = ~np.isnan(stored[:, 0])
    assert np.flatnonzero(~readable).tolist() == LOST
    write_hdf5(result, tmp_path / "s.h5")
    write_anndata(result, tmp_path / "s.h5ad")
    with h5py.File(tmp_path / "s.h5") as file:
        assert np.array_equal(file["features"][...], stored[readable])
        assert np.array_equal(file["coords"][:, 0], table["x"][readable])
    annotated = anndata.read_h5ad(tmp_path / "s.h5ad")
    assert np.array_equal(annotated.X, stored[readable])
    assert np.array_equal(annotated.obs["y"], table["y"][readable])


def test_the_image_of_an_encoders_result_is_its_tissue(result: Result) -> None:
    assert result.coverage.max() == Coverage.UNREADABLE or Coverage.CLASSIFIED in result.coverage
    share = result.probability
    assert share.shape == result.coverage.shape
    assert np.array_equal(~np.isnan(share), result.coverage == Coverage.CLASSIFIED)
    assert np.nanmin(share) >= 0.3
    assert not any(
        name.startswith("labels/") and "coverage" not in name for name in result.seal.arrays
    )
