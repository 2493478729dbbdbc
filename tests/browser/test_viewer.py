"""The viewer in a real browser: heatmap, threshold, regions, notes, exports, links, keyboard."""

import csv
import io
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from browser_support import Watch, accessibility_problems, visitor
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect
from results_support import CELL_PX, Api, Square, api, plant, settle
from service_process_support import TOKEN, Site

SIZE = 20 * CELL_PX, 16 * CELL_PX
SQUARES = (Square(2, 2, 4), Square(12, 3, 3), Square(7, 10, 2))


@dataclass(frozen=True)
class Shown:
    """A slide with two results: at the model's own stride and at half of it."""

    slide_id: str
    job_id: str
    finer_id: str

    @property
    def path(self) -> str:
        return f"/slides/{self.slide_id}"


@pytest.fixture(scope="module")
def asked(service: Site) -> Iterator[Api]:
    with api(service.url, TOKEN) as opened:
        yield opened


@pytest.fixture(scope="module")
def shown(asked: Api, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    path: Path = tmp_path_factory.mktemp("viewer") / "<b>planted<i> & <img src=x>.tiff"
    plant(path, SIZE, SQUARES)
    slide_id = asked.upload(path)
    return Shown(slide_id, asked.analyse(slide_id), asked.analyse(slide_id, stride=CELL_PX // 2))


@pytest.fixture
def viewer(page: Page, service: Site, shown: Shown) -> Page:
    """The viewer with one layer, settled."""
    page.goto(f"{service.url}{shown.path}?layer={shown.job_id}")
    expect(page.locator(".layer")).to_have_count(1)
    expect(page.get_by_role("tab", name="Regions")).to_contain_text(str(len(SQUARES)))
    settle(page)
    return page


def look(page: Page) -> NDArray[np.uint8]:
    settle(page)
    taken = page.locator(".viewer-slide").first.screenshot()
    return np.asarray(Image.open(io.BytesIO(taken)).convert("RGB"))


def slide_to(page: Page, name: str, value: float) -> None:
    """Set a slider as dragging does."""
    page.locator(f'[data-slider="{name}"]').first.evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }",
        value,
    )


def query(page: Page, part: str) -> None:
    """Wait until the address holds something."""
    expect(page).to_have_url(re.compile(part))


def test_the_heatmap_is_on_the_slide_and_follows_the_threshold(viewer: Page) -> None:
    before = look(viewer)
    slide_to(viewer, "threshold", 1)
    expect(viewer.locator(".layer output").first).to_have_text("1.000")
    without = look(viewer)
    slide_to(viewer, "threshold", 0)
    everywhere = look(viewer)
    changed = (before != without).any(axis=2).mean()
    assert 0.02 < changed < 0.5, "the squares, and nothing else, lose their colour"
    assert (everywhere != without).any(axis=2).mean() > changed * 2
    query(viewer, r"_0_voc")


def test_opacity_palette_outline_and_visibility_change_the_picture(viewer: Page) -> None:
    seen = [look(viewer)]
    slide_to(viewer, "opacity", 20)
    seen.append(look(viewer))
    viewer.get_by_label("Palette").select_option("ember")
    seen.append(look(viewer))
    viewer.get_by_label("Outline").uncheck()
    seen.append(look(viewer))
    viewer.get_by_role("button", name="Hide layer").click()
    seen.append(look(viewer))
    for one, other in itertools.pairwise(seen):
        assert (one != other).any()
    query(viewer, r"_ember_20__c")


def test_the_picture_is_shown_in_another_look_and_the_address_keeps_it(viewer: Page) -> None:
    """Every px of the slide, by the formula of the tone; the margin around it stays."""

    def middle() -> NDArray[np.float64]:
        return look(viewer)[160:440, 320:620].astype(float)

    viewer.locator('[data-check="outline"], [data-check="coverage"]').evaluate_all(
        "boxes => boxes.forEach(box => box.click())"
    )
    slide_to(viewer, "opacity", 0)
    plain = middle()
    slide_to(viewer, "contrast", 150)
    slide_to(viewer, "brightness", 10)
    query(viewer, "look=10_150_1_all")
    expected = (((plain / 255 - 0.5) * 1.5 + 0.5 + 0.1) * 255).clip(0, 255)
    assert np.abs(middle() - expected).max() <= 3
    viewer.get_by_label("Stain").select_option("eosin")
    query(viewer, "look=10_150_1_eosin")
    changed = middle()
    assert np.abs(changed - expected).max() > 20
    viewer.reload()
    expect(viewer.get_by_label("Stain")).to_have_value("eosin")
    assert np.abs(middle() - changed).max() <= 3
    with viewer.expect_download() as saving:
        viewer.get_by_role("button", name="PNG").click()
    saved = np.asarray(Image.open(saving.value.path()).convert("RGB"))[160:440, 320:620]
    difference = np.abs(saved - changed)  # a step of the filter's densities, and the contrast
    assert (difference.max() <= 12, difference.mean() <= 2) == (True, True)
    viewer.get_by_role("button", name="As scanned").click()
    assert np.abs(middle() - plain).max() <= 3
    expect(viewer).not_to_have_url(re.compile("look="))


def test_the_readout_tells_probability_tissue_and_place(viewer: Page) -> None:
    stage = viewer.locator(".viewer-slide")
    box = stage.bounding_box()
    assert box is not None
    viewer.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    readout = viewer.locator(".readout")
    expect(readout).to_contain_text(re.compile(r"0\.\d{3}"))
    expect(readout).to_contain_text("tissue 100 %")
    # The middle of the slide at 0.5 µm/px.
    expect(readout).to_contain_text(re.compile(r"4[78]\d, 3[78]\d µm"))


def test_a_click_opens_the_patch_at_full_resolution(viewer: Page) -> None:
    box = viewer.locator(".viewer-slide").bounding_box()
    assert box is not None
    viewer.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    dialog = viewer.get_by_role("dialog", name="Patch at full resolution")
    expect(dialog).to_contain_text(f"{CELL_PX} px of level 0")
    patch = dialog.get_by_role("img")
    expect(dialog.locator(".patch-frame").get_by_role("status")).to_have_count(0)
    width = patch.evaluate("(canvas) => canvas.width")
    assert width == CELL_PX + 2 * 48
    colours = patch.evaluate(
        "(c) => [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data]"
    )
    assert colours[2] > colours[0] > 60, "tissue, not a blank"
    viewer.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_why_draws_what_the_answer_on_a_patch_rests_on(viewer: Page) -> None:
    box = viewer.locator(".viewer-slide").bounding_box()
    assert box is not None
    viewer.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    dialog = viewer.get_by_role("dialog", name="Patch at full resolution")
    dialog.get_by_role("button", name="Why?").click()
    drawn = dialog.get_by_role("img", name="map of what the answer tumour rests on")
    expect(drawn).to_be_visible(timeout=240_000)
    expect(dialog.get_by_role("figure")).to_contain_text("no proof that the answer is right")
    width, height = drawn.evaluate(
        "async (i) => (await i.decode(), [i.naturalWidth, i.naturalHeight])"
    )
    assert width > 2 * height * 0.95, "the patch, and beside it the patch under the map"
    assert accessibility_problems(viewer) == []


def test_regions_come_by_suspicion_and_keys_fly_along_them(
    viewer: Page, asked: Api, shown: Shown
) -> None:
    features = asked.get(f"/v1/jobs/{shown.job_id}/regions.geojson")["features"]
    for index in (1, 2, 3, 1):
        viewer.keyboard.press("n")
        query(viewer, f"region={index}")
        row = viewer.locator(".region-row[aria-current]")
        expect(row).to_have_attribute("data-region", str(index))
        corners = np.array(features[index - 1]["geometry"]["coordinates"][0], float)
        centre = (corners.min(axis=0) + corners.max(axis=0)) / 2
        settle(viewer)
        expect(viewer).to_have_url(re.compile(rf"x={centre[0]:g}&y={centre[1]:g}&"))
    viewer.keyboard.press("p")
    query(viewer, "region=3")
    scores = viewer.locator(".region-score").all_inner_texts()
    assert scores == sorted(scores, reverse=True)


def test_a_key_pressed_before_the_regions_are_here_waits_for_them(
    page: Page, service: Site, shown: Shown
) -> None:
    waiting: list[Route] = []
    page.route("**/regions.geojson*", lambda route: waiting.append(route))  # noqa: PLW0108 - playwright marks what it is given
    with page.expect_request("**/regions.geojson*"):
        page.goto(f"{service.url}{shown.path}?layer={shown.job_id}")
    page.keyboard.press("n")
    page.wait_for_timeout(300)
    assert "region=" not in page.url
    for route in waiting:
        route.continue_()
    query(page, "region=1")
    expect(page.get_by_text("This result has no regions.")).to_have_count(0)


def test_leaving_while_tiles_are_on_their_way_is_no_trouble(
    page: Page, service: Site, shown: Shown
) -> None:
    waiting: list[Route] = []
    expect(page.locator("tbody.group")).to_have_count(1)
    page.route("**/*_files/**", lambda route: waiting.append(route))  # noqa: PLW0108 - playwright marks what it is given
    with page.expect_request("**/*_files/**"):
        page.locator("a.slide-name").click()
    page.wait_for_timeout(300)
    page.go_back()
    expect(page.locator("tbody.group")).to_have_count(1)
    for route in waiting:
        route.continue_()
    # What the browser complains of, it does on their arrival.
    page.wait_for_timeout(500)


def test_notes_are_kept_and_exported(viewer: Page, asked: Api, shown: Shown) -> None:
    viewer.get_by_role("tab", name="Regions").click()
    viewer.locator('[data-region="2"]').click()
    viewer.get_by_role("button", name="Disagree").click()
    expect(viewer.locator('[data-region="2"]')).to_contain_text("Disagreed")
    viewer.get_by_label("Comment on this region").fill("an artefact <script>alert(1)</script>")
    viewer.get_by_role("button", name="Save comment").click()
    expect(viewer.get_by_role("button", name="Save comment")).to_be_hidden()
    (note,) = asked.get(f"/v1/jobs/{shown.job_id}/notes")["notes"]
    assert (note["region"], note["verdict"]) == (2, "disagree")
    assert "region=2" in viewer.url, "however soon somebody loads it again"
    viewer.reload()
    expect(viewer.locator('[data-region="2"]')).to_contain_text("Disagreed")
    expect(viewer.get_by_label("Comment on this region")).to_have_value(
        "an artefact <script>alert(1)</script>"
    )
    with viewer.expect_download() as download:
        viewer.get_by_role("link", name="GeoJSON").click()
    features = json.loads(download.value.path().read_text())["features"]
    assert "an artefact" in json.dumps(features[1])
    viewer.keyboard.press("d")
    expect(viewer.locator('[data-region="2"]')).to_contain_text("Note")


def test_a_link_shows_a_colleague_the_same(
    viewer: Page, browser: Browser, service: Site, shown: Shown
) -> None:
    slide_to(viewer, "threshold", 0.25)
    slide_to(viewer, "opacity", 85)
    viewer.get_by_label("Palette").select_option("harbour")
    viewer.keyboard.press("4")
    viewer.keyboard.press("r")
    viewer.keyboard.press("R")
    query(viewer, r"r=75.*_harbour_85_0\.25_voc")
    settle(viewer)
    viewer.wait_for_timeout(600)  # the address follows
    mine, address = look(viewer), viewer.url
    with visitor(browser, service) as (page, _):
        page.goto(address)
        expect(page.locator(".layer")).to_have_count(1)
        expect(page.locator(".region-row, .layer output").first).to_be_attached()
        settle(page)
        theirs = look(page)
        page.wait_for_timeout(600)
        assert page.url == address
    hidden = np.abs(mine.astype(int) - theirs).max(axis=2) > 8
    assert hidden.mean() < 0.001


def test_two_results_side_by_side_show_the_same_place(viewer: Page, shown: Shown) -> None:
    viewer.locator(".layer-add").click()
    expect(viewer.locator(".layer")).to_have_count(2)
    viewer.get_by_role("button", name="Side by side", exact=True).click()
    expect(viewer.locator(".viewer-slide")).to_have_count(2)
    settle(viewer)
    eyes = viewer.locator(".layer header button[aria-label$=' layer']")
    for eye in eyes.all():
        eye.click()
    expect(viewer.locator(".viewer-slide")).to_have_count(1)
    for eye in eyes.all():
        eye.click()
    expect(viewer.locator(".viewer-slide")).to_have_count(2)
    # Without heatmaps both panes show the same px.
    for index in range(2):
        slider = viewer.locator('[data-slider="opacity"]').nth(index)
        slider.evaluate("(s) => { s.value = 0; s.dispatchEvent(new Event('input')); }")
        viewer.get_by_label("Outline").nth(index).uncheck()
    box = viewer.locator(".viewer-slide").first.bounding_box()
    assert box is not None
    viewer.mouse.move(box["x"] + 200, box["y"] + 300)
    viewer.mouse.wheel(0, -300)
    settle(viewer)
    viewer.evaluate(
        "document.querySelectorAll('.viewer-overview, .viewer-tools, .scale-bar, "
        ".viewer-pane-title').forEach((e) => e.style.display = 'none')"
    )
    left, right = (
        np.asarray(Image.open(io.BytesIO(pane.screenshot())).convert("RGB"), int)
        for pane in viewer.locator(".viewer-slide").all()
    )
    width = min(left.shape[1], right.shape[1])
    assert (np.abs(left[:, :width] - right[:, :width]).max(axis=2) > 60).mean() < 0.02
    query(viewer, f"mode=side.*{shown.job_id}.*{shown.finer_id}")


def test_exports(viewer: Page, browser: Browser, service: Site) -> None:
    viewer.context.grant_permissions(["clipboard-read", "clipboard-write"])
    with viewer.expect_download() as download:
        viewer.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert len(rows) > 100
    with viewer.expect_download() as download:
        viewer.get_by_role("button", name="PNG").click()
    assert "planted" not in download.value.suggested_filename, "file names may hold a patient's"
    picture = Image.open(download.value.path())
    box = viewer.locator(".viewer-slide").bounding_box()
    assert box is not None
    assert picture.width == round(box["width"])
    assert len(picture.convert("RGB").resize((64, 64)).getcolors(4096) or []) > 50
    viewer.get_by_role("button", name="Zarr URL").click()
    expect(viewer.get_by_text("The address of the mask was copied.")).to_be_visible()
    copied = viewer.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"{service.url}/v1/shared/")
    # What vizarr does: a page of another site, without a key, reads a range.
    context = browser.new_context()
    elsewhere = context.new_page()
    read = elsewhere.evaluate(
        """async (url) => {
          const answer = await fetch(`${url}/zarr.json`, {headers: {Range: "bytes=0-0"}});
          const missing = await fetch(`${url}/labels/tumour/0/c/9/9`);
          return [answer.status, answer.headers.get("Content-Range"), await answer.text(),
                  missing.status];
        }""",
        copied,
    )
    context.close()
    assert read[0] == 206
    assert read[1].startswith("bytes 0-0/")
    assert (read[2], read[3]) == ("{", 404)


def test_measuring_with_mouse_and_keyboard(viewer: Page) -> None:
    viewer.keyboard.press("m")
    box = viewer.locator(".viewer-slide").bounding_box()
    assert box is not None
    x, y = box["x"] + 250, box["y"] + 200
    scale = viewer.evaluate("new URLSearchParams(location.search).get('z')")
    viewer.mouse.click(x, y)
    viewer.mouse.click(x + 120, y)
    length = 120 / float(scale) * 0.5
    said = viewer.locator(".viewer-tools [role=status]")
    expect(said).to_have_text(f"Distance {length:.0f} µm")
    viewer.locator(".viewer-stage").focus()
    viewer.keyboard.press("Enter")
    viewer.keyboard.press("ArrowRight")
    settle(viewer)
    viewer.keyboard.press("Enter")
    expect(said).not_to_have_text(f"Distance {length:.0f} µm")
    viewer.keyboard.press("Escape")
    viewer.keyboard.press("Escape")
    expect(viewer.get_by_role("button", name="Measure (m)")).to_have_attribute(
        "aria-pressed", "false"
    )


def test_magnifications_are_of_micrometres_per_px(viewer: Page) -> None:
    viewer.get_by_role("button", name="20×", exact=True).click()
    # 20× is 0.5 µm per screen px, the slide's own px.
    query(viewer, r"z=1&")
    expect(viewer.locator(".magnification-now")).to_have_text("20×")
    expect(viewer.locator(".scale-bar")).to_contain_text("50 µm")


def test_figures_say_what_the_result_says(viewer: Page, asked: Api, shown: Shown) -> None:
    findings = asked.get(f"/v1/jobs/{shown.job_id}/result")["findings"]
    viewer.get_by_role("tab", name="Figures").click()
    panel = viewer.get_by_role("tabpanel", name="Figures")
    expect(panel).to_contain_text(f"{findings['slide_score']:.3f}")
    expect(panel).to_contain_text(f"{findings['tumour_area_mm2']:.2f} mm²")
    for alarm in findings["alarms"]:
        expect(panel.locator(f'[data-alarm="{alarm["code"]}"]')).to_be_visible()
    expect(panel.get_by_role("img")).to_have_attribute("aria-label", re.compile("threshold is 0.5"))
    expect(panel).to_contain_text(findings["provenance"]["model"]["intended_use"])
    expect(viewer.locator(".shell-slot .badge")).to_have_text("Trained on synthetic tissue")
    expect(viewer.locator(".shell-head")).to_contain_text("Research use, not a diagnosis")


def test_markup_in_file_names_is_text(viewer: Page) -> None:
    expect(viewer.locator(".viewer-name")).to_have_text("<b>planted<i> & <img src=x>.tiff")
    assert viewer.locator(".viewer-name b, .viewer-name img").count() == 0


def test_help_lists_the_keys(viewer: Page) -> None:
    viewer.keyboard.press("?")
    dialog = viewer.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_contain_text("Next region")
    viewer.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_inaccessible(
    browser: Browser, service: Site, shown: Shown, *, dark: bool
) -> None:
    with visitor(browser, service, dark=dark) as (page, _):
        page.goto(f"{service.url}{shown.path}?layer={shown.job_id}&layer={shown.finer_id}")
        expect(page.locator(".layer")).to_have_count(2)
        settle(page)
        for panel in ("Layers", "Regions", "Figures"):
            page.get_by_role("tab", name=panel).click()
            page.wait_for_timeout(300)
            assert accessibility_problems(page) == []


def test_leaving_lets_go_of_everything(
    visit: tuple[Page, Watch], service: Site, shown: Shown
) -> None:
    page, _ = visit
    for _ in range(3):
        page.goto(f"{service.url}{shown.path}?layer={shown.job_id}")
        settle(page)
        page.get_by_role("link", name="WSI Pipeline").click()
        expect(page.locator(".viewer")).to_have_count(0)
        assert page.locator("canvas.viewer-overlay").count() == 0
        # Its keys do nothing any more.
        page.keyboard.press("m")
