"""Drawing in the viewer: exact at any zoom and rotation, kept by the service, and out to QuPath.

One page of one visitor; what a test draws it deletes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import shapely
from browser_support import Watch, accessibility_problems, visitor
from playwright.sync_api import Browser, Page, Route, expect
from registration_support import compare, photograph, planted
from results_support import CELL_PX, Square, api, plant, settle
from scipy import ndimage
from service_process_support import TOKEN, Site

from wsi_pipeline.annotation.asap import read_asap
from wsi_pipeline.annotation.geojson import read_geojson
from wsi_pipeline.annotation.shapes import union_of
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.settings import ServiceSettings

SIZE = 16 * CELL_PX, 12 * CELL_PX
#: What is drawn around, and another one far from it.
TARGET, OTHER = Square(9, 6, 2), Square(2, 2, 3)
#: Screen px per level-0 px, and degrees.
VIEWS = [(0.31, 0), (2.7, 0), (0.5, 90), (0.43, 37), (1.3, 37)]


@dataclass(frozen=True)
class Drawn:
    """The slide, its result, and the service as a program sees it."""

    site: Site
    slide_id: str
    job_id: str

    @property
    def path(self) -> str:
        return f"/v1/slides/{self.slide_id}/drawings"

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        url = f"{self.site.url}{path}"
        return httpx.request(method, url, headers=headers, timeout=60, **more).raise_for_status()

    @property
    def stored(self) -> list[dict[str, Any]]:
        drawings: list[dict[str, Any]] = self.ask("GET", self.path).json()["drawings"]
        return drawings

    def address(self, **view: float) -> str:
        """Of the viewer with the panel of drawings; the result is there and not shown."""
        query = "&".join(f"{name}={value}" for name, value in view.items())
        layer = f"layer={self.job_id}_reef_60__"
        return f"{self.site.url}/slides/{self.slide_id}?{query}&panel=drawings&{layer}"


@pytest.fixture(scope="module")
def drawn(service: Site, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    path = tmp_path_factory.mktemp("drawings") / "squares.tiff"
    plant(path, SIZE, (TARGET, OTHER))
    with api(service.url, TOKEN) as asked:
        slide_id = asked.upload(path)
        return Drawn(service, slide_id, asked.analyse(slide_id))


@pytest.fixture(scope="module")
def visiting(browser: Browser, service: Site) -> Iterator[tuple[Page, Watch]]:
    with visitor(browser, service, height=860) as opened:
        yield opened


@pytest.fixture
def page(visiting: tuple[Page, Watch], drawn: Drawn) -> Iterator[Page]:
    """The whole slide; nothing is drawn on it, before and after."""
    for one in drawn.stored:
        drawn.ask("DELETE", f"{drawn.path}/{one['id']}")
    opened = visiting[0]
    look_at(opened, drawn, x=SIZE[0] / 2, y=SIZE[1] / 2, z=0.5)
    yield opened
    saved(opened)


def look_at(page: Page, drawn: Drawn, **view: float) -> None:
    page.goto(drawn.address(**view))
    expect(page.get_by_role("tab", name="Drawings")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".drawing-lists")).not_to_contain_text("Loading")
    settle(page)


def saved(page: Page) -> None:
    # What was done last is shown with the next frame: until then the text is of what was before.
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    expect(page.locator(".drawing-saved")).not_to_contain_text("Saving")
    expect(page.locator(".drawing-saved")).not_to_contain_text("not saved")


def screen(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a level-0 place is on the screen, by the address alone: not the page's own code."""
    values = page.evaluate("Object.fromEntries(new URLSearchParams(location.search))")
    zoom, angle = float(values["z"]), math.radians(float(values.get("r", 0)))
    box = page.locator(".viewer-slide").bounding_box()
    assert box is not None
    dx, dy = (x - float(values["x"])) * zoom, (y - float(values["y"])) * zoom
    return (
        box["x"] + box["width"] / 2 + dx * math.cos(angle) - dy * math.sin(angle),
        box["y"] + box["height"] / 2 + dx * math.sin(angle) + dy * math.cos(angle),
    )


def corners_of(square: Square) -> list[tuple[float, float]]:
    left, top = square.column * CELL_PX, square.row * CELL_PX
    right, bottom = left + square.side * CELL_PX, top + square.side * CELL_PX
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def click(page: Page, x: float, y: float) -> None:
    page.mouse.click(*screen(page, x, y))


def drag(page: Page, *places: tuple[float, float]) -> None:
    """With the main button along level-0 places."""
    page.mouse.move(*screen(page, *places[0]))
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*screen(page, *place), steps=6)
    page.mouse.up()


def size_of(drawn: Drawn, group: str = "Tumor") -> float:
    """Level-0 px² of a class, by the file for QuPath."""
    features = drawn.ask("GET", f"{drawn.path}.geojson").json()["features"]
    return sum(
        shapely.geometry.shape(one["geometry"]).area
        for one in features
        if one["properties"]["classification"]["name"] == group
    )


@pytest.mark.parametrize(("zoom", "rotation"), VIEWS)
def test_a_drawn_square_lies_on_the_planted_one_and_comes_back_the_same(
    page: Page, drawn: Drawn, tmp_path: Path, zoom: float, rotation: float
) -> None:
    x, y = TARGET.centre
    look_at(page, drawn, x=x, y=y, z=zoom, r=rotation)
    bare = photograph(page)
    page.keyboard.press("g")
    for corner in corners_of(TARGET):
        click(page, *corner)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator(".drawing-item")).to_have_count(1)
    saved(page)
    page.mouse.move(5, 400)
    # The outline reaches 2 px beyond the edge that it is drawn on.
    outlined = np.abs(photograph(page) - bare).max(axis=2) > 6
    drawing = ndimage.binary_erosion(ndimage.binary_fill_holes(outlined), iterations=2)
    squares, _ = ndimage.label(planted(bare))
    height, width = squares.shape
    compare(squares == squares[height // 2, width // 2], drawing, magnified=zoom > 1)

    [stored] = drawn.stored
    ring = np.array(stored["rings"][0])
    # The pointer is where the screen's px are whole, or their fractions.
    assert np.abs(ring - corners_of(TARGET)).max() <= 0.5 / zoom + 0.01
    geojson, xml = tmp_path / "a.geojson", tmp_path / "a.xml"
    geojson.write_bytes(drawn.ask("GET", f"{drawn.path}.geojson").content)
    xml.write_bytes(drawn.ask("GET", f"{drawn.path}.xml").content)
    for drawing in (read_geojson(geojson), read_asap(xml)):
        [shape] = drawing.shapes
        assert set(map(tuple, shape.rings[0].tolist())) == set(map(tuple, ring.tolist()))
        assert union_of(drawing.shapes).equals(shapely.Polygon(ring))


def test_brush_eraser_undo_class_and_comment_are_kept(page: Page, drawn: Drawn) -> None:
    x, y = OTHER.centre
    page.keyboard.press("b")
    page.locator("#brush-size").fill("60")
    drag(page, (x, y), (x + 300, y))
    expect(page.locator(".drawing-item")).to_have_count(1)
    saved(page)
    [stroke] = drawn.stored
    radius = 60 / 2 / 0.5  # level-0 px, of a brush in screen px
    exact = shapely.LineString([(x, y), (x + 300, y)]).buffer(radius, quad_segs=64)
    painted = shapely.Polygon(stroke["rings"][0])
    assert (stroke["tool"], stroke["effect"], stroke["class_name"]) == ("brush", "add", "tumour")
    assert painted.hausdorff_distance(exact) < 1.5 / 0.5
    whole = size_of(drawn)
    assert whole == pytest.approx(exact.area, rel=0.02)

    page.keyboard.press("e")
    drag(page, (x + 150, y - 100), (x + 150, y + 100))
    expect(page.locator(".drawing-item")).to_have_count(2)
    saved(page)
    left = size_of(drawn)
    assert left == pytest.approx(whole - 120 * 120, rel=0.06)
    page.keyboard.press("Control+z")
    expect(page.locator(".drawing-item")).to_have_count(1)
    saved(page)
    assert size_of(drawn) == pytest.approx(whole)
    page.keyboard.press("Control+Shift+Z")
    expect(page.locator(".drawing-item")).to_have_count(2)
    saved(page)
    assert size_of(drawn) == pytest.approx(left)

    # Deleted before the erasure and back again, it is still erased from.
    page.keyboard.press("v")
    click(page, x - 20, y)
    page.keyboard.press("Delete")
    expect(page.locator(".drawing-item")).to_have_count(1)
    page.keyboard.press("Control+y")
    page.keyboard.press("Control+z")
    expect(page.locator(".drawing-item")).to_have_count(2)
    saved(page)
    assert [one["effect"] for one in drawn.stored] == ["add", "erase"]
    assert size_of(drawn) == pytest.approx(left)

    click(page, x - 20, y)
    editor = page.get_by_role("region", name="Selected drawing")
    editor.get_by_label("Class", exact=True).select_option("Other class…")
    editor.get_by_label("Name of the class").fill("Nekrose, fraglich")
    page.keyboard.press("Enter")
    editor.get_by_label("Comment on this drawing").fill("look <b>here</b> again")
    page.get_by_role("tab", name="Layers").click()
    page.get_by_role("tab", name="Drawings").click()
    saved(page)
    [stroke, _] = drawn.stored
    assert (stroke["class_name"], stroke["comment"]) == (
        "Nekrose, fraglich",
        "look <b>here</b> again",
    )
    assert size_of(drawn, "Nekrose, fraglich") == pytest.approx(left)

    before = photograph(page)
    page.reload()
    expect(page.locator(".drawing-item")).to_have_count(2)
    settle(page)
    page.mouse.move(5, 400)
    assert np.abs(photograph(page) - before).max() <= 2
    expect(page.locator(".drawing-item").last).to_contain_text("Nekrose, fraglich")


def test_a_region_of_the_model_is_taken_over_and_corrected(page: Page, drawn: Drawn) -> None:
    page.keyboard.press("n")
    take = page.get_by_role("button", name="Correct region 1 of the model")
    expect(take).to_be_visible()
    page.keyboard.press("i")
    expect(page.locator(".drawing-item")).to_have_count(1)
    saved(page)
    region = drawn.ask("GET", f"/v1/jobs/{drawn.job_id}/regions.geojson").json()["features"][0]
    outline = shapely.geometry.shape(region["geometry"])
    [taken] = drawn.stored
    assert (taken["tool"], taken["class_name"]) == ("model", "tumour")
    assert shapely.Polygon(taken["rings"][0]).symmetric_difference(outline).area < 0.01
    page.keyboard.press("e")
    page.keyboard.press("u")
    look = outline.bounds
    settle(page)
    middle = (look[0] + look[2]) / 2
    drag(page, (look[0] - 40, look[1] - 40), (middle, look[3] + 40))
    expect(page.locator(".drawing-item")).to_have_count(2)
    saved(page)
    assert size_of(drawn) == pytest.approx(outline.area / 2, rel=0.02)


def test_moving_the_slide_while_drawing_and_a_bad_line(
    visiting: tuple[Page, Watch], page: Page, drawn: Drawn
) -> None:
    page.keyboard.press("g")
    click(page, 300, 300)
    place = screen(page, 300, 300)
    for move in ("middle", "space"):
        if move == "space":
            page.keyboard.down(" ")
        page.mouse.move(500, 300)
        page.mouse.down(button="middle" if move == "middle" else "left")
        page.mouse.move(560, 330, steps=4)
        page.mouse.up(button="middle" if move == "middle" else "left")
        page.keyboard.up(" ")
        settle(page)
        page.wait_for_timeout(300)  # the address follows
        now = screen(page, 300, 300)
        assert (now[0] - place[0], now[1] - place[1]) == pytest.approx((60, 30), abs=1)
        place = now
    page.mouse.wheel(0, -240)
    settle(page)
    page.wait_for_timeout(300)
    click(page, 500, 300)
    click(page, 500, 500)
    page.keyboard.press("Escape")
    click(page, 400, 450)

    def cut(route: Route) -> None:
        route.abort("connectionrefused")

    watch = visiting[1]
    watch.away = True
    page.route("**/drawings/*", cut)
    page.mouse.dblclick(*screen(page, 300, 400))
    expect(page.locator(".drawing-saved")).to_contain_text("1 drawing not saved")
    assert drawn.stored == []
    page.get_by_role("link", name="Worklist", exact=True).click()
    expect(page.locator(".viewer")).to_have_count(0)
    page.go_back()
    expect(page.locator(".drawing-item")).to_have_count(1)
    page.unroute("**/drawings/*", cut)
    page.get_by_role("button", name="Save now").click()
    saved(page)
    watch.away = False
    [ring] = drawn.stored[0]["rings"]
    assert np.abs(np.array(ring) - [(300, 300), (500, 300), (400, 450), (300, 400)]).max() < 1.5


def test_colleagues_drawings_are_shown_and_not_changed(
    browser: Browser, page: Page, drawn: Drawn
) -> None:
    body = {"class_name": "necrosis", "comment": "", "rings": [corners_of(OTHER)]}
    drawn.ask("PUT", f"{drawn.path}/{1:032x}", json=body)
    database = Database(ServiceSettings(data_dir=drawn.site.folder / "data").database_url)
    try:
        workspace = page.request.get(f"{drawn.site.url}/v1/session").json()["workspace"]
        _, key = ApiKeys(database).create(workspace, "Ben", Scope.SUBMIT)
    finally:
        database.close()
    with visitor(browser, drawn.site, token=key) as (other, _):
        look_at(other, drawn, x=SIZE[0] / 2, y=SIZE[1] / 2, z=0.5)
        lists = other.locator(".drawing-user")
        expect(lists).to_have_count(2)
        expect(lists.first).to_contain_text("Nothing is drawn yet")
        shown = photograph(other)
        click(other, *OTHER.centre)
        expect(other.get_by_role("region", name="Selected drawing")).to_be_hidden()
        lists.last.get_by_role("checkbox").uncheck()
        assert (photograph(other) != shown).any()
        other.keyboard.press("g")
        assert accessibility_problems(other) == []
