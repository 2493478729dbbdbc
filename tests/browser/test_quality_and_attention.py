"""What quality control found and what the networks look at, in the viewer and in the worklist."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from attending_support import CELL_PX, COLUMNS, Tissue, attending_package
from browser_support import accessibility_problems
from class_layer_support import mask_on_screen, open_alone, photograph
from numpy.typing import NDArray
from playwright.sync_api import Page, expect
from results_support import api, settle
from scipy import ndimage
from service_process_support import TOKEN, Site

from wsi_pipeline.classes import NOT_ANALYSED
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.quality.reasons import Reason
from wsi_pipeline.stitch.result import Result

#: Tumour tiles, and the state of such a slide; the most probable first.
SLIDES = {
    "much.tiff": (40, "Suspicious"),
    "some.tiff": (4, "Look again"),
    "none.tiff": (0, "Clear"),
}
#: Of the slide with much tumour: rows and columns of cells below the ink.
PEN = slice(4, 7), slice(9, COLUMNS + 1)
INKED = 3 * (COLUMNS + 1 - 9)
#: Level-0 px; no multiple of a cell.
CENTRE = 431.0, 377.0


@dataclass(frozen=True)
class Marked:
    """The slide with ink and much tumour, and its result."""

    slide_id: str
    job_id: str
    result: Result


@pytest.fixture(scope="module")
def tissue() -> Tissue:
    return Tissue.drawn()


@pytest.fixture(scope="module")
def served_package(
    kinds_package: ModelPackage,
    tissue: Tissue,
    tmp_path_factory: pytest.TempPathFactory,
    model_cache: Path,
) -> ModelPackage:
    folder = tmp_path_factory.mktemp("attending")
    return attending_package(kinds_package, tissue, folder, model_cache)


@pytest.fixture(scope="module")
def marked(service: Site, tissue: Tissue, tmp_path_factory: pytest.TempPathFactory) -> Marked:
    folder = tmp_path_factory.mktemp("slides")
    made: dict[str, tuple[str, str]] = {}
    with api(service.url, TOKEN) as asked:
        for seed, (name, (tumour, _)) in enumerate(SLIDES.items()):
            inked = name == "much.tiff"
            tissue.slide(folder / name, tumour, pen=PEN if inked else None, seed=seed)
            slide_id = asked.upload(folder / name)
            # Its tiles have a spread too.
            made[name] = slide_id, asked.analyse(slide_id, tta=inked)
        slide_id, job_id = made["much.tiff"]
        return Marked(slide_id, job_id, asked.result(job_id, folder))


def address(service: Site, marked: Marked, zoom: float, layer: str = "") -> str:
    """Of the viewer at :data:`CENTRE`, with settings of the layer."""
    x, y = CENTRE
    where = f"x={x}&y={y}&z={zoom}&layer={marked.job_id}{layer}"
    return f"{service.url}/slides/{marked.slide_id}?{where}"


def point_at(page: Page, column: int, row: int, zoom: float) -> None:
    """Move the pointer over the middle of a cell."""
    box = page.locator(".viewer-slide").bounding_box()
    assert box is not None
    x = box["x"] + box["width"] / 2 + ((column + 0.5) * CELL_PX - CENTRE[0]) * zoom
    y = box["y"] + box["height"] / 2 + ((row + 0.5) * CELL_PX - CENTRE[1]) * zoom
    page.mouse.move(x, y)


def on_screen(cells: NDArray[np.bool_], pane: tuple[int, ...], zoom: float) -> NDArray[np.bool_]:
    """Where cells lie on the screen."""
    px = cells.astype(np.uint8).repeat(CELL_PX, 0).repeat(CELL_PX, 1)
    return np.equal(mask_on_screen(px, pane[:2], CENTRE, zoom), 1)


def check_place(drawn: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> None:
    """Drawn is what is wanted, to a screen px."""
    near = np.ones((3, 3), bool)
    assert wanted.sum() > 1000
    assert not (drawn & ~ndimage.binary_dilation(wanted, near)).any()
    assert not (ndimage.binary_erosion(wanted, near) & ~drawn).any()


def test_marked_tiles_have_a_pattern_that_can_be_switched_off(
    page: Page, service: Site, marked: Marked
) -> None:
    quality = marked.result.quality
    assert quality is not None
    pen = quality == Reason.PEN
    assert pen.sum() == INKED
    assert np.isin(quality, (0, Reason.PEN, NOT_ANALYSED)).all()
    zoom = 0.83
    # No colours of cells, no outline, no coverage: what differs is the pattern.
    shown = open_alone(page, address(service, marked, zoom, "_reef_0__v"), ".legend.quality")
    page.get_by_role("checkbox", name="Quality").uncheck()
    settle(page)
    without = photograph(page)
    page.wait_for_url("**_vn*")
    drawn = (shown != without).any(axis=-1)
    check_place(drawn, on_screen(pen, shown.shape, zoom))
    page.get_by_role("checkbox", name="Quality").check()
    settle(page)
    assert np.array_equal(photograph(page), shown)


def test_the_pointer_tells_what_is_wrong_with_a_tile(
    page: Page, service: Site, marked: Marked
) -> None:
    page.goto(address(service, marked, 0.83))
    settle(page)
    readout = page.locator(".readout")
    slide = page.locator(".viewer-slide")
    before = slide.bounding_box()
    point_at(page, 10, 5, 0.83)
    expect(readout).to_contain_text("quality: pen · spread 0.")
    shift = marked.result.record.shift
    assert shift is not None
    assert shift.far is not None
    distance = re.compile(rf"Unlike training: distance \d+\.\d\d, limit {shift.far:.2f}")
    expect(readout).to_contain_text(distance)
    assert slide.bounding_box() == before, "the slide stays where it is"
    tiles, distances = marked.result.tile_table(), marked.result.array("tiles/distance")[...]
    usual = int(np.argmin(np.asarray(distances)))
    point_at(page, int(tiles["x"][usual] / CELL_PX), int(tiles["y"][usual] / CELL_PX), 0.83)
    expect(readout).to_contain_text(re.compile(r"Like training: distance \d+\.\d\d, limit"))
    expect(readout).to_contain_text(f"usually {shift.usual_nearest:.2f}")
    expect(readout).not_to_contain_text("pen")
    expect(readout).not_to_contain_text("Unlike")
    # Glass was not looked at.
    point_at(page, 0, 0, 0.83)
    expect(readout).to_contain_text("Glass or too little tissue")
    expect(readout).not_to_contain_text("training")


def test_legend_and_figures_count_the_marked_tiles(
    page: Page, service: Site, marked: Marked
) -> None:
    page.goto(address(service, marked, 0.83))
    settle(page)
    legend = page.locator(".legend.quality")
    expect(legend.locator("li")).to_have_text([f"Pen – {INKED} tiles"])
    assert accessibility_problems(page) == []
    page.get_by_role("tab", name="Figures").click()
    figures = page.locator("[data-figures=quality]")
    expect(figures).to_contain_text(f"{INKED} of {marked.result.tiles}")
    expect(figures.locator("dt", has_text="Pen")).to_be_visible()
    expect(page.locator("[data-alarm=unlike-training]")).to_contain_text("colour (")


def test_attention_lies_exactly_on_its_tiles(page: Page, service: Site, marked: Marked) -> None:
    attention = marked.result.attention
    assert attention is not None
    zoom = 0.83
    # Opaque, without outline, coverage and quality.
    layer = "_graphite_100__vn_attention"
    shown = open_alone(page, address(service, marked, zoom, layer), ".class-menu fieldset")
    expect(page.get_by_role("radio", name="attention")).to_be_checked()
    expect(page.get_by_label("Outline from")).to_have_value("0.9")
    # All px of a tile have one colour, darker or brighter with its rank, and none is left out.
    ranks = np.unique(attention[~np.isnan(attention)])
    inside = [
        shown[ndimage.binary_erosion(on_screen(attention == rank, shown.shape, zoom), iterations=2)]
        for rank in ranks
    ]
    assert all(len(px) > 1000 and (px == px[0]).all() for px in inside)
    grey = np.array([float(px[0].mean()) for px in inside])
    assert (np.diff(grey) <= 0).all() or (np.diff(grey) >= 0).all()
    assert abs(grey[-1] - grey[0]) > 100
    # Glass stays as it is.
    page.get_by_role("button", name="Hide layer").click()
    settle(page)
    drawn = (photograph(page) != shown).any(axis=-1)
    near = np.ones((3, 3), bool)
    known = on_screen(~np.isnan(attention), shown.shape, zoom)
    assert not (drawn & ~ndimage.binary_dilation(known, near)).any()
    # The outline is around the tenth that is looked at most.
    strongest = np.nan_to_num(attention) >= 0.9
    page.get_by_role("button", name="Show layer").click()
    page.get_by_role("checkbox", name="Outline").check()
    settle(page)
    lines = (photograph(page) != shown).any(axis=-1)
    wanted = on_screen(strongest, shown.shape, zoom)
    edge = ndimage.binary_dilation(wanted, near) & ~ndimage.binary_erosion(wanted, near)
    assert lines[edge].mean() > 0.95
    assert not (lines & ~ndimage.binary_dilation(edge, near, iterations=3)).any()
    # The tumour is what the networks look at.
    rows, columns = np.nonzero(strongest)
    assert (COLUMNS * (rows - 1) + columns - 1 < SLIDES["much.tiff"][0]).mean() > 0.9
    row, column = np.unravel_index(np.nanargmax(attention), attention.shape)
    point_at(page, int(column), int(row), zoom)
    expect(page.locator(".readout-probability")).to_have_text("attention 1.000")


def test_the_worklist_has_the_three_states_in_order(
    page: Page, service: Site, marked: Marked
) -> None:
    page.goto(service.url)
    groups = page.locator("tbody.group")
    expect(groups).to_have_count(len(SLIDES))
    assert page.locator(".slide-name").all_inner_texts() == list(SLIDES)
    for name, (_, state) in SLIDES.items():
        group = groups.filter(has=page.get_by_text(name, exact=True))
        expect(group.locator(".col-score").get_by_text(state, exact=True)).to_be_visible()
    expect(page.locator(f"tr[data-job='{marked.job_id}']")).to_contain_text("eight orientations")
    for name in ("suspicious", "look-again", "clear"):
        page.locator(f"[data-filter={name}]").click()
        expect(groups).to_have_count(1)
        expect(groups.locator(f"[data-slide-state={name}]")).to_be_visible()


def test_eight_orientations_are_asked_for_in_the_dialog(
    page: Page, service: Site, marked: Marked
) -> None:
    page.goto(service.url)
    page.get_by_role("checkbox", name="Select none.tiff").check()
    page.get_by_role("button", name="Analyse…", exact=True).click()
    dialog = page.get_by_role("dialog", name="Analyse slide")
    dialog.get_by_label("Look at each tile in eight orientations").check()
    assert accessibility_problems(page) == []
    dialog.get_by_role("button", name="Queue analysis").click()
    expect(dialog).to_be_hidden()
    group = page.locator("tbody.group").filter(has=page.get_by_text("none.tiff", exact=True))
    expect(group).to_contain_text("eight orientations")
