"""Tiles that the screen alone has looked at: their pattern, their words, and the legend."""

from dataclasses import dataclass

import numpy as np
import pytest
from class_layer_support import mask_on_screen, open_alone, photograph
from playwright.sync_api import Page, expect
from results_support import CELL_PX, api, settle
from scipy import ndimage
from service_process_support import TOKEN, Site

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.testing import write_pyramid
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.screens import screened
from wsi_pipeline.tiles.plan import Coverage

#: Level-0 px; no multiple of a cell.
CENTRE, ZOOM = (1211.0, 797.0), 0.4


@dataclass(frozen=True)
class Screened:
    """A slide, the job that screened it and its result."""

    slide_id: str
    job_id: str
    result: Result

    def address(self, service: Site, layer: str = "") -> str:
        """Of the viewer, with settings of the layer."""
        x, y = CENTRE
        where = f"x={x}&y={y}&z={ZOOM}&layer={self.job_id}{layer}"
        return f"{service.url}/slides/{self.slide_id}?{where}"


@pytest.fixture(scope="module")
def served_package(package: ModelPackage, tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return screened(package, tmp_path_factory.mktemp("screened") / "package")


@pytest.fixture(scope="module")
def analysed(service: Site, tmp_path_factory: pytest.TempPathFactory) -> Screened:
    folder = tmp_path_factory.mktemp("slides")
    # No tile is partly glass, which the model has never seen.
    image = np.full((17 * CELL_PX, 25 * CELL_PX, 3), 242, np.float64)
    image[CELL_PX:-CELL_PX, CELL_PX:-CELL_PX] = NORMAL_COLOUR
    image[CELL_PX:-CELL_PX, CELL_PX : 5 * CELL_PX] = TUMOUR_COLOUR
    # The texture the model was made for.
    image += np.random.default_rng(7).normal(0, 12, image.shape)
    write_pyramid(folder / "large.tiff", image.clip(0, 255).astype(np.uint8))
    with api(service.url, TOKEN) as asked:
        slide_id = asked.upload(folder / "large.tiff")
        job_id = asked.analyse(slide_id, qc="off")
        return Screened(slide_id, job_id, asked.result(job_id, folder))


def test_screened_cells_have_a_pattern_of_their_own(
    page: Page, service: Site, analysed: Screened
) -> None:
    cells = analysed.result.coverage == Coverage.SCREENED
    assert 50 < cells.sum() < 0.9 * cells.size
    # Neither colours nor outline: what differs is the pattern.
    shown = open_alone(page, analysed.address(service, "_reef_0__vc"), ".legend")
    page.get_by_role("checkbox", name="Coverage").uncheck()
    settle(page)
    drawn = (shown != photograph(page)).any(axis=-1)
    px = cells.astype(np.uint8).repeat(CELL_PX, 0).repeat(CELL_PX, 1)
    wanted = np.equal(mask_on_screen(px, drawn.shape, CENTRE, ZOOM), 1)
    assert not (drawn & ~ndimage.binary_dilation(wanted, np.ones((3, 3)))).any()
    # Dots: some of every square of two patterns' sides, few of all px.
    whole = ndimage.binary_erosion(wanted, np.ones((17, 17)))
    assert ndimage.maximum_filter(drawn, 17)[whole].all()
    assert 0.02 < drawn[wanted].mean() < 0.3


def test_legend_and_pointer_say_what_screened_means(
    page: Page, service: Site, analysed: Screened
) -> None:
    page.goto(analysed.address(service))
    settle(page)
    legend = page.locator(".legend", has_text="Coverage")
    expect(legend).to_contain_text("Screened – surely below the threshold; the model was not asked")
    row, column = np.argwhere(analysed.result.coverage == Coverage.SCREENED)[40]
    box = page.locator(".viewer-slide").bounding_box()
    assert box is not None
    x = box["x"] + box["width"] / 2 + ((column + 0.5) * CELL_PX - CENTRE[0]) * ZOOM
    y = box["y"] + box["height"] / 2 + ((row + 0.5) * CELL_PX - CENTRE[1]) * ZOOM
    page.mouse.move(x, y)
    expect(page.locator(".readout")).to_contain_text(
        "Screened: surely below the threshold, the number is a bound"
    )
    page.get_by_role("tab", name="Figures").click()
    expect(page.locator("#panel-figures")).to_contain_text("Screened")
