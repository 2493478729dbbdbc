"""A result with several cells a tile in the viewer: every px has the colour of the stored mask."""

from dataclasses import dataclass

import numpy as np
import pytest
from class_layer_support import check_colours, mask_on_screen, open_alone
from playwright.sync_api import Page
from results_support import api
from service_process_support import TOKEN, Site

from wsi_pipeline.classes import NOT_ANALYSED
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.testing.maps import MAP_CLASSES, make_map_package
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.slides import write_pyramid

#: Level-0 px; no multiple of a tile's 96 px or a cell's 4 px.
WIDTH, HEIGHT = 1007, 685
COLOURS = dict(zip(MAP_CLASSES, ("#4caf50", "#d50000", "#42d4f4"), strict=True))


@dataclass(frozen=True)
class Planted:
    """A slide and its result."""

    slide_id: str
    job_id: str
    result: Result


@pytest.fixture(scope="module")
def served_package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A model that answers with a map of three classes."""
    classes = [{"name": name, "colour": colour} for name, colour in COLOURS.items()]
    folder = tmp_path_factory.mktemp("maps") / "package"
    return make_map_package(folder, units=3, stride=4, patch_px=128, classes=classes)


@pytest.fixture(scope="module")
def planted(service: Site, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    folder = tmp_path_factory.mktemp("slide")
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    # Rings and a corner of glass: nothing of the picture repeats along the grid.
    share = (np.sin(np.hypot(x - 300, y - 200) / 40)[..., None] + 1) / 2
    image = share * np.array(TUMOUR_COLOUR) + (1 - share) * np.array(NORMAL_COLOUR)
    image[(x > 700) & (y > 450)] = 243
    write_pyramid(folder / "rings.tiff", image.astype(np.uint8), mpp=0.5)
    with api(service.url, TOKEN) as asked:
        slide_id = asked.upload(folder / "rings.tiff")
        job_id = asked.analyse(slide_id)
        result = asked.result(job_id, folder)
    counts = [np.count_nonzero(result.mask(0)[...] == value) for value in (0, 1, 2, NOT_ANALYSED)]
    # Without several labels there is nothing to compare.
    assert sum(count > 10_000 for count in counts) >= 3, counts
    return Planted(slide_id, job_id, result)


@pytest.mark.parametrize("zoom", [1.0, 1.7, 4.0])
def test_every_cell_lies_on_the_mask(
    page: Page, service: Site, planted: Planted, zoom: float
) -> None:
    # Opaque, with the most likely class, without outline, coverage and marks of quality control,
    # which takes colours of so many stains for ink.
    x, y = 331.0, 217.0
    layer = f"layer={planted.job_id}_graphite_100__vln"
    shown = open_alone(
        page,
        f"{service.url}/slides/{planted.slide_id}?x={x}&y={y}&z={zoom}&{layer}",
        ".class-legend",
    )
    mask = np.asarray(planted.result.mask(0)[...])
    expected = mask_on_screen(mask, shown.shape[:2], (x, y), zoom)
    assert sum(check_colours(shown, expected, MAP_CLASSES, COLOURS)) > 100_000
