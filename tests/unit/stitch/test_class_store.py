"""A result of several classes: a plane each, and a mask with names and colours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05.image import Image
from ome_zarr_models.v05.image_label import ImageLabel

from wsi_pipeline.classes import Classes, ModelClass, Task
from wsi_pipeline.errors import ResultError
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.tiles.plan import Coverage

KINDS = (ModelClass("normal", "#4caf50"), ModelClass("tumour", "#d50000"), ModelClass("mucin"))


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_planes_mask_and_table(make_store: Callable[..., Result], task: Task) -> None:
    classes = Classes(task, KINDS, "tumour")
    result = verify(make_store(classes=classes).path)
    assert result.classes == classes
    planes, coverage = result.probability, result.coverage
    assert planes.shape == (3, *coverage.shape)
    known = coverage == Coverage.CLASSIFIED
    assert np.array_equal(~np.isnan(planes).any(axis=0), known)
    labels = np.asarray(result.mask(0)[...])
    centres = labels[7::15, 7::15][:26, :40]
    decided = np.where(known, classes.decide(planes, 0.5), 255)[:26, :40]
    assert np.array_equal(centres, decided)
    tiles = result.tile_table()
    assert tiles["probability"].shape == (len(tiles["x"]), 3)
    assert result.record.class_areas_mm2.keys() == {one.name for one in classes.labels.values()}
    with pytest.raises(ResultError, match="no tumour mask but one of normal, tumour, mucin"):
        result.tumour()


def test_overviews_hold_the_maximum_of_every_plane(make_store: Callable[..., Result]) -> None:
    result = make_store(classes=Classes("multiclass", KINDS, "tumour"))
    fine, coarse = (np.asarray(result.array(str(level))[...]) for level in (0, 1))
    assert coarse.shape == (3, -(-fine.shape[1] // 2), -(-fine.shape[2] // 2))
    assert np.array_equal(coarse[1, 2, 3], np.nanmax(fine[1, 4:6, 6:8]))


def test_the_metadata_are_valid_and_name_the_classes(make_store: Callable[..., Result]) -> None:
    path: Path = make_store(classes=Classes("multiclass", KINDS, "tumour")).path

    def group(name: str = "") -> zarr.Group:
        return zarr.open_group(path / name, mode="r", zarr_format=3)

    image = Image.from_zarr(group())
    (multiscale,) = image.ome_attributes.multiscales
    assert [axis.name for axis in multiscale.axes] == ["c", "y", "x"]
    omero: Any = group().attrs.asdict()["ome"]["omero"]  # type: ignore[index,call-overload]  # JSON
    assert [one["label"] for one in omero["channels"]] == ["normal", "tumour", "mucin"]
    label = ImageLabel.from_zarr(group("labels/classes")).ome_attributes.image_label
    assert label is not None
    assert label.properties is not None
    meanings = {
        one["label-value"]: one["meaning"] for one in label.model_dump(by_alias=True)["properties"]
    }
    assert meanings == {0: "normal", 1: "tumour", 2: "mucin", 255: "not analysed"}
