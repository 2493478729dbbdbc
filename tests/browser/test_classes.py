"""A result of several classes in the viewer: the menu, the layer of the most likely class, legend.

The layer is photographed opaque: every px must have the colour of the class that the stored mask
has there, or a screen px further.
"""

import io
import re
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from browser_support import accessibility_problems
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from results_support import api, settle
from scipy import ndimage
from service_process_support import TOKEN, Site

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.synth import CLASSES
from wsi_pipeline.testing.kinds import KINDS_COLOURS, KINDS_MPP, KINDS_PATCH_PX, draw_kinds
from wsi_pipeline.testing.slides import write_pyramid

COLUMNS, ROWS = 12, 8
CENTRE = COLUMNS * KINDS_PATCH_PX / 2, ROWS * KINDS_PATCH_PX / 2
#: One of the names.
_NAMES = re.compile(f"^({'|'.join(CLASSES)})$")
_HIDDEN = ".viewer-tools, .viewer-overview, .scale-bar, .viewer-cross"


@dataclass(frozen=True)
class Planted:
    """A slide with all four kinds, and its result."""

    slide_id: str
    job_id: str
    result: Result


@pytest.fixture(scope="module")
def served_package(kinds_package: ModelPackage) -> ModelPackage:
    """A model of four classes."""
    return kinds_package


@pytest.fixture(scope="module")
def planted(service: Site, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    folder = tmp_path_factory.mktemp("kinds")
    image, _ = draw_kinds(COLUMNS, ROWS)
    write_pyramid(folder / "kinds.tiff", image, mpp=KINDS_MPP)
    with api(service.url, TOKEN) as asked:
        slide_id = asked.upload(folder / "kinds.tiff")
        job_id = asked.analyse(slide_id)
    store = httpx.get(
        f"{service.url}/v1/jobs/{job_id}/mask.zarr.zip",
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=60,
    ).raise_for_status()
    (folder / "mask.zarr.zip").write_bytes(store.content)
    result = Result(folder / "mask.zarr.zip")
    # Without all of them there is nothing to compare.
    assert set(np.unique(result.mask(0)[...])) == set(range(len(CLASSES)))
    return Planted(slide_id, job_id, result)


@pytest.fixture
def viewer(page: Page, service: Site, planted: Planted) -> Page:
    page.goto(f"{service.url}/slides/{planted.slide_id}")
    page.wait_for_selector(".class-menu fieldset")
    settle(page)
    return page


def test_the_menu_has_every_class_and_shows_the_one_chosen(viewer: Page, planted: Planted) -> None:
    menu = viewer.get_by_role("group", name="Class")
    expect(menu.get_by_role("radio")).to_have_count(len(CLASSES))
    for name in CLASSES:
        choice = menu.locator("label").filter(has_text=name)
        red, green, blue = bytes.fromhex(KINDS_COLOURS[name][1:])
        swatch = choice.locator(".swatch")
        expect(swatch).to_have_css("background-color", f"rgb({red}, {green}, {blue})")
    expect(menu.get_by_role("radio", name="tumour")).to_be_checked()
    before = photograph(viewer)
    menu.get_by_role("radio", name="mucin").check()
    settle(viewer)
    assert (photograph(viewer) != before).any(axis=-1).mean() > 0.05
    viewer.wait_for_url("**voc_mucin*")
    # A colleague who opens the link sees the same class.
    viewer.reload()
    expect(menu.get_by_role("radio", name="mucin")).to_be_checked()
    viewer.get_by_role("tab", name="Figures").click()
    stated = planted.result.record.class_areas_mm2
    figures = viewer.locator(".figures")
    expect(figures.get_by_text("Area of mucin", exact=True)).to_be_visible()
    for name in CLASSES:
        term = figures.locator("dt").filter(has=viewer.locator(".class-name", has_text=name))
        expect(term).to_have_count(1)
        assert stated[name] > 0
    viewer.get_by_role("tab", name="Regions").click()
    expect(viewer.locator(".regions-head")).to_contain_text("where mucin is the most likely class")
    viewer.locator(".region-row").first.click()
    # Notes are kept of the positive class's regions.
    expect(viewer.locator(".note")).to_have_count(0)
    viewer.keyboard.press("k")
    viewer.get_by_role("tab", name="Layers").click()
    expect(menu.get_by_role("radio", name="mucin")).not_to_be_checked()


def test_the_legend_names_every_class(viewer: Page) -> None:
    legend = viewer.locator(".class-legend")
    expect(legend).to_be_hidden()
    viewer.keyboard.press("t")
    expect(viewer.get_by_role("checkbox", name="Most likely class")).to_be_checked()
    expect(legend.locator("li")).to_have_text(list(CLASSES))
    expect(viewer.locator("[data-slider=threshold]")).to_be_hidden()
    settle(viewer)
    viewer.locator(".viewer-slide").hover()
    expect(viewer.locator(".readout-probability")).to_have_text(_NAMES)
    assert accessibility_problems(viewer) == []


@pytest.mark.parametrize("zoom", [0.83, 1.7])
def test_the_layer_lies_on_the_mask(
    page: Page, service: Site, planted: Planted, zoom: float
) -> None:
    # Opaque, with the most likely class, without outline and coverage.
    x, y = CENTRE[0] + 31, CENTRE[1] - 17
    layer = f"layer={planted.job_id}_graphite_100__vl"
    page.goto(f"{service.url}/slides/{planted.slide_id}?x={x}&y={y}&z={zoom}&{layer}")
    page.wait_for_selector(".class-legend")
    settle(page)
    page.evaluate(
        "(hidden) => document.querySelectorAll(hidden).forEach((e) => e.style.display = 'none')",
        _HIDDEN,
    )
    shown = photograph(page)
    height, width = shown.shape[:2]
    mask = np.asarray(planted.result.mask(0)[...])
    rows, inside_y = place(height, y, zoom, mask.shape[0])
    columns, inside_x = place(width, x, zoom, mask.shape[1])
    expected = np.where(np.outer(inside_y, inside_x), mask[np.ix_(rows, columns)], 255)
    # A screen px along each axis, since each is rounded by itself.
    near = np.ones((3, 3), bool)
    for label, name in enumerate(CLASSES):
        drawn = (shown == list(bytes.fromhex(KINDS_COLOURS[name][1:]))).all(axis=-1)
        wanted = expected == label
        assert wanted.sum() > 1000
        assert not (drawn & ~ndimage.binary_dilation(wanted, near)).any(), name
        assert not (wanted & ~ndimage.binary_dilation(drawn, near)).any(), name


def place(
    pane: int, centre: float, zoom: float, length: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each screen px along an axis the mask's px below its centre, and whether there is one."""
    at = np.floor(centre + (np.arange(pane) + 0.5 - pane / 2) / zoom).astype(np.int64)
    return at.clip(0, length - 1), (at >= 0) & (at < length)


def photograph(page: Page) -> NDArray[np.uint8]:
    taken = page.locator(".viewer-slide").screenshot()
    return np.asarray(Image.open(io.BytesIO(taken)).convert("RGB"))
