"""Tiles that could not be read are in no file for other programs."""

import dataclasses
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest

from wsi_pipeline.classes import NO_CLASSES
from wsi_pipeline.features.annotated import write_anndata
from wsi_pipeline.features.hdf5 import write_hdf5
from wsi_pipeline.grid import make_grid
from wsi_pipeline.slide.resolution import choose_resolution
from wsi_pipeline.stitch.cells import stitch_tissue
from wsi_pipeline.stitch.feature_array import FeatureArray
from wsi_pipeline.stitch.features_record import FeaturesRecord
from wsi_pipeline.stitch.result import Result, verify
from wsi_pipeline.stitch.writer import write_store
from wsi_pipeline.testing import ArraySlide
from wsi_pipeline.testing.models import NORMAL_COLOUR
from wsi_pipeline.testing.records import make_record
from wsi_pipeline.tiles.plan import Coverage, make_plan

LOST = [3, 300]


@pytest.fixture
def result(tmp_path: Path) -> Result:
    """Of an encoder: 352 tiles, of which two could not be read, in two chunks of features."""
    slide = ArraySlide([np.full((352, 512, 3), NORMAL_COLOUR, np.uint8)], mpp=0.25)
    resolution = choose_resolution(slide.info, mpp=None, level=0)
    grid = make_grid(slide.info, resolution, patch=32, stride=16)
    plan = make_plan(slide, grid, min_tissue=0.3, exact=False)
    readable = np.ones(len(plan), np.bool_)
    readable[LOST] = False
    cells = stitch_tissue(plan, readable)
    values = np.random.default_rng(1).normal(size=(len(plan), 4)).astype(np.float32)
    values[LOST] = np.nan
    record = dataclasses.replace(
        make_record(grid, slide.info.levels, cells, name="s"),
        classes=NO_CLASSES,
        features=FeaturesRecord(size=4, numbers="float32"),
    )
    write_store(
        tmp_path / "s.zarr",
        name="s",
        plan=plan,
        probabilities=np.empty((len(plan), 0), np.float32),
        cells=cells,
        threshold=0.5,
        levels=slide.info.levels,
        attributes=record.to_json(),
        features=FeatureArray(len(plan), 4, "float32", [values[:256], values[256:]]),
    )
    return verify(tmp_path / "s.zarr")


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
