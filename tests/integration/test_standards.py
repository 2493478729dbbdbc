"""A result is what the OME-Zarr standard says, to tools that know nothing of this project."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05.image import Image
from ome_zarr_models.v05.image_label import ImageLabel
from ome_zarr_models.v05.labels import Labels

from wsi_pipeline.geometry import Mpp
from wsi_pipeline.grid import Grid
from wsi_pipeline.stitch.cells import stitch_cells
from wsi_pipeline.stitch.writer import write_store
from wsi_pipeline.testing import ArraySlide
from wsi_pipeline.testing.slides import reduced
from wsi_pipeline.tiles.plan import make_plan


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = np.full((611, 803, 3), 250, np.uint8)
    image[:300, :500] = (150, 70, 130)
    slide = ArraySlide([image, reduced(image, 4), reduced(image, 16)])
    grid = Grid(0, slide.info.size, 1.0, 1.0, 32, 16, Mpp(0.5, 0.25))
    plan = make_plan(slide, grid, min_tissue=0.3, exact=False)
    probabilities = np.linspace(0, 1, len(plan), dtype=np.float32)
    folder = tmp_path_factory.mktemp("standards") / "a.zarr"
    write_store(
        folder,
        name="a",
        plan=plan,
        probabilities=probabilities,
        cells=stitch_cells(plan, [(plan.cells, probabilities)]),
        threshold=0.5,
        levels=slide.info.levels,
        attributes={},
    )
    return folder


def group(store: Path, path: str = "") -> Any:
    return zarr.open_group(store / path, mode="r", zarr_format=3)


def test_the_image_is_valid(store: Path) -> None:
    image = Image.from_zarr(group(store))
    (multiscale,) = image.ome_attributes.multiscales
    assert multiscale.name == "a"
    assert {axis.unit for axis in multiscale.axes} == {"micrometer"}


@pytest.mark.parametrize("name", ["tumour", "coverage"])
def test_the_labels_are_valid(store: Path, name: str) -> None:
    assert set(Labels.from_zarr(group(store, "labels")).ome_attributes.labels) == {
        "tumour",
        "coverage",
    }
    label = ImageLabel.from_zarr(group(store, f"labels/{name}"))
    described = label.ome_attributes.image_label
    assert described is not None
    assert described.colors is not None
    held = set(np.unique(group(store, f"labels/{name}")["0"][...]).tolist())
    assert held <= {colour.label_value for colour in described.colors}


def test_plain_zarr_opens_everything(store: Path) -> None:
    root = group(store)
    assert root["0"].dtype == np.float32
    assert np.isnan(root["0"][...]).any()
    mask = root["labels/tumour/0"]
    assert (mask.shape, mask.dtype) == ((611, 803), np.uint8)
    assert [root[f"labels/tumour/{i}"].shape for i in range(3)] == [
        (611, 803),
        (152, 200),
        (38, 50),
    ]
    assert set(root["tiles"].array_keys()) == {"x", "y", "tissue", "probability"}


def test_a_mask_of_one_value_takes_next_to_nothing(store: Path) -> None:
    size = sum(f.stat().st_size for f in (store / "labels" / "tumour" / "0").rglob("*"))
    assert size < 611 * 803 / 20
