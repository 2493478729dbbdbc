"""The overlay's edges lie on the slide's: planted squares in screenshots of the real viewer.

Slide and overlay are photographed one without the other. A px belongs to a square of the slide by
its colour, and to the overlay by the palette's; each of the two sets must lie within the other one
grown by one screen px.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from browser_support import visitor
from playwright.sync_api import Browser, Page
from registration_support import compare, photograph
from registration_support import planted as planted_px
from results_support import CELL_PX, Api, Square, api, plant
from service_process_support import TOKEN, Site

#: Level-0 px; the last column and row of cells are cut off by the slide's edge.
SIZE = 2900, 2330
COLUMNS, ROWS = 31, 25
CORNERS = {
    "top left": Square(1, 1, 3),
    "top right": Square(COLUMNS - 5, 1, 3),
    "bottom left": Square(1, ROWS - 5, 3),
    "bottom right": Square(COLUMNS - 5, ROWS - 5, 3),
}
#: Single cells and a pair, two of them at the slide's edges.
OTHERS = (Square(15, 12, 1), Square(9, 8, 2), Square(0, 12, 1), Square(COLUMNS - 6, 0, 1))
#: Screen px per level-0 px: from the whole slide to four times its own px.
ZOOMS = (0.19, 0.43, 1.0, 1.73, 4.0)
TURNED = tuple(
    (zoom, corner, rotation)
    for rotation in (90, 30)
    for zoom, corner in zip(ZOOMS, (*CORNERS, "top left"), strict=True)
)


@dataclass(frozen=True)
class Planted:
    """The slide and its result."""

    slide_id: str
    job_id: str


@pytest.fixture(scope="module")
def asked(service: Site) -> Iterator[Api]:
    with api(service.url, TOKEN) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(browser: Browser, service: Site) -> Iterator[Page]:
    """One for all tests, which only look."""
    with visitor(browser, service) as (opened, _):
        yield opened


@pytest.fixture(scope="module")
def planted(asked: Api, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    path: Path = tmp_path_factory.mktemp("registration") / "squares.tiff"
    squares = (*CORNERS.values(), *OTHERS)
    plant(path, SIZE, squares)
    slide_id = asked.upload(path)
    job_id = asked.analyse(slide_id)
    expected = np.zeros((ROWS, COLUMNS), bool)
    for square in squares:
        expected[square.cells] = True
    # Without this there is nothing to compare.
    np.testing.assert_array_equal(asked.tumour(job_id), expected)
    return Planted(slide_id, job_id)


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("zoom", ZOOMS)
def test_edges_of_the_overlay_lie_on_the_squares(
    page: Page, service: Site, planted: Planted, zoom: float, corner: str
) -> None:
    check(page, service, planted, zoom, corner, 0)


@pytest.mark.parametrize(("zoom", "corner", "rotation"), TURNED)
def test_they_do_when_the_slide_is_turned(
    page: Page, service: Site, planted: Planted, zoom: float, corner: str, rotation: int
) -> None:
    check(page, service, planted, zoom, corner, rotation)


def check(
    page: Page, service: Site, planted: Planted, zoom: float, corner: str, rotation: int
) -> None:
    """Compare both photographs of one view."""
    x, y = CORNERS[corner].centre
    if zoom * 3 * CELL_PX > 400:
        # Larger than the pane: look at the square's outer corner.
        x += (1 if "right" in corner else -1) * 1.5 * CELL_PX
        y += (1 if "bottom" in corner else -1) * 1.5 * CELL_PX
    view = f"x={x}&y={y}&z={zoom}&r={rotation}"
    # Opaque, without outline and coverage; the palette's end is a grey of 230, tissue has a green
    # of 60 to 90: what grew by half of the difference is covered.
    layer = f"layer={planted.job_id}_graphite_100__v"
    page.goto(f"{service.url}/slides/{planted.slide_id}?{view}&{layer}")
    page.wait_for_selector(".layer")
    covered = photograph(page)
    page.keyboard.press("h")
    bare = photograph(page)
    slide = planted_px(bare)
    overlay = covered[..., 1] - bare[..., 1] > 85
    assert overlay.sum() > 50, "there is no overlay"
    compare(slide, overlay, magnified=zoom > 1)
