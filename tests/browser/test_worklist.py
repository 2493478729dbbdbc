"""The worklist in a real browser, with a real server and a real worker behind it."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from browser_support import MODEL, Watch, accessibility_problems, visitor
from playwright.sync_api import Browser, Error, Locator, Page, Route, expect
from service_process_support import TOKEN, Site

from wsi_pipeline.client import Client
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.settings import ServiceSettings

# The first test waits for what the others use, too: a model package, and three analyses with it.
pytestmark = pytest.mark.timeout(900)

#: Of a busy machine; a hang is longer.
PATIENT = 240_000
MARKUP = '<img src=x onerror="alert(1)"> & <b>bold.tiff'


@pytest.fixture(scope="module")
def filled(service: Site, slides: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Three slides that were analysed, and one that was not and whose name is markup."""
    state = tmp_path_factory.mktemp("state")
    with Client(service.url, TOKEN, state_dir=state) as client:
        jobs = []
        for path in sorted(slides.iterdir()):
            slide = client.wait_slide(client.upload(path).id)
            jobs.append(client.submit(slide.id, MODEL, stride=48).id)
        client.wait_slide(client.upload(slides / "clear.tiff", name=MARKUP).id)
        for job in jobs:
            assert client.wait(job, timeout_seconds=PATIENT / 1000).state == "succeeded"
    return service


@pytest.fixture
def listed(filled: Site, page: Page) -> Page:
    expect(page.locator("tbody.group")).to_have_count(4)
    return page


def row(page: Page, name: str) -> Locator:
    return page.locator("tbody.group").filter(has=page.get_by_text(name, exact=True))


def names(page: Page) -> list[str]:
    return page.locator(".slide-name").all_inner_texts()


def test_signing_in(browser: Browser, service: Site) -> None:
    with visitor(browser, service) as (page, watch):
        # The token came in by the link, and is nowhere a script or a passer-by could see it.
        assert page.evaluate("() => location.href + document.cookie + history.length") == (
            f"{service.url}/{page.evaluate('() => history.length')}"
        )
        kept = page.evaluate("() => JSON.stringify({...localStorage, ...sessionStorage})")
        assert TOKEN not in kept
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert accessibility_problems(page) == []
        watch.check()
        page.get_by_label("Key").fill("wsi_wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("This key is unknown, expired or revoked")).to_be_visible()
        # The browser itself notes the refusal, and nothing else.
        assert [text for text in watch.complaints if "401" not in text] == []
        watch.complaints.clear()
        page.get_by_label("Key").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Slides", exact=True)).to_be_visible()
        assert page.url == f"{service.url}/"


def test_lists_that_are_on_their_way_end_with_the_session(browser: Browser, service: Site) -> None:
    with visitor(browser, service) as (page, watch):
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        def end(route: Route) -> None:
            answer = route.fetch()
            # Only now the lists may go on, while the page waits: a session that has ended.
            for waiting in held:
                with suppress(Error):
                    waiting.continue_()
            page.evaluate("() => fetch('/v1/session')")
            route.fulfill(response=answer)

        page.route(re.compile(r"/v1/jobs\?"), hold)
        page.route(
            "**/v1/session", lambda r: end(r) if r.request.method == "DELETE" else r.continue_()
        )
        page.reload()
        while not held:
            page.wait_for_timeout(20)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        watch.check()


def test_the_policy_is_strict(page: Page, service: Site) -> None:
    answer = page.request.get(service.url)
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'self'" in policy or "default-src 'none'" in policy
    assert "http" not in policy


def test_scores_of_a_model_of_drawings_do_not_count(listed: Page) -> None:
    """They are shown, and neither sort the list nor make a slide suspicious."""
    scores = {
        name: float(row(listed, name).locator(".score").inner_text())
        for name in ("much.tiff", "some.tiff", "clear.tiff")
    }
    assert scores["much.tiff"] > 0.5
    newest_first = ["some.tiff", "much.tiff", "clear.tiff"]
    assert names(listed) == [*newest_first, MARKUP], "what was not analysed comes last"
    assert sorted(scores, key=lambda name: -scores[name]) != newest_first
    expect(listed.locator("[data-filter=suspicious]")).to_have_text("Suspicious0")
    expect(listed.locator(".score.high")).to_have_count(0)
    expect(listed.get_by_text("drawings only")).to_have_count(3)
    much = row(listed, "much.tiff")
    expect(much.locator(".col-area")).to_contain_text("mm²")
    expect(much.locator(".col-state")).to_contain_text("Finished")
    expect(much.get_by_text("Trained on synthetic tissue")).to_be_visible()
    expect(listed.get_by_text("Research use, not a diagnosis")).to_be_visible()
    much.locator("button.alarm").click()
    expect(listed.get_by_role("group", name="Alarms").get_by_role("listitem").first).to_be_visible()


def test_the_thumbnail_has_its_heatmap(listed: Page) -> None:
    expect(listed.locator("canvas.thumb-heat")).to_have_count(3)

    def coloured(name: str) -> tuple[float, float]:
        left, right = (
            row(listed, name)
            .locator("canvas.thumb-heat")
            .evaluate(
                """(canvas) => {
              const {width, height} = canvas;
              const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
              const halves = [0, 0];
              for (let i = 0; i < width * height; i++) {
                if (data[4 * i + 3] > 200) halves[i % width < width / 2 ? 0 : 1] += 1;
              }
              return halves.map((number) => number / (width * height / 2));
            }"""
            )
        )
        return left, right

    much, some = coloured("much.tiff"), coloured("some.tiff")
    assert much[0] > 0.5, "tumour is in the left"
    assert much[0] > much[1]
    assert much[0] + much[1] > some[0] + some[1] > 0


def test_names_are_text(listed: Page) -> None:
    name = listed.locator(".slide-name").filter(has_text="bold")
    expect(name).to_have_text(MARKUP)
    assert listed.locator(".slide-name *").count() == 0
    listed.locator("tbody.group").last.get_by_role("button", name="More actions for").click()
    listed.get_by_role("button", name="Delete the slide…").click()
    expect(listed.get_by_role("dialog")).to_contain_text(MARKUP)
    assert listed.locator("dialog b, dialog img").count() == 0
    listed.get_by_role("button", name="Keep").click()


def test_a_double_click_opens_the_slide_and_selects_no_text(listed: Page) -> None:
    line = row(listed, "much.tiff")
    # The name, too: its first click opens the viewer, which the second one then meets.
    for link in (".col-analysis .model", ".slide-name"):
        line.locator(link).first.dblclick()
        expect(listed).to_have_url(re.compile(r"/slides/[0-9a-f]{32}\?layer="))
        assert listed.evaluate("() => getSelection().toString()") == ""
        listed.go_back()
        expect(listed.locator("tbody.group")).to_have_count(4)
    # On a button it is two clicks; text may still be selected by dragging.
    line.get_by_role("button", name="More actions for").dblclick()
    assert listed.url.endswith("/")
    box = line.locator(".col-area").bounding_box()
    assert box is not None
    listed.mouse.move(box["x"] + 2, box["y"] + 2)
    listed.mouse.down()
    listed.mouse.move(box["x"] + box["width"], box["y"] + box["height"], steps=4)
    listed.mouse.up()
    assert listed.evaluate("() => getSelection().toString()") != ""


def test_what_happens_after_an_upload_is_said(listed: Page) -> None:
    choice = listed.get_by_label("After upload")
    assert choice.locator("option").all_inner_texts() == [
        "store without analysing",
        f"analyse with {MODEL}",
    ]


def test_searching_and_filtering(listed: Page, filled: Site) -> None:
    listed.get_by_role("searchbox").fill("MUCH")
    expect(listed.locator("tbody.group")).to_have_count(1)
    assert listed.url == f"{filled.url}/?q=MUCH"
    listed.reload()
    expect(listed.locator("tbody.group")).to_have_count(1)
    listed.get_by_role("searchbox").fill("nothing is called this")
    listed.get_by_role("button", name="Show all slides").click()
    expect(listed.locator("tbody.group")).to_have_count(4)
    listed.get_by_role("button", name=re.compile("^Not analysed")).click()
    expect(listed.locator("tbody.group")).to_have_count(1)
    listed.get_by_role("button", name=re.compile("^All")).click()
    listed.get_by_role("columnheader", name="Slide").get_by_role("button").click()
    expect(listed.get_by_role("columnheader", name="Slide")).to_have_attribute(
        "aria-sort", "ascending"
    )
    found = [name for name in names(listed) if name != MARKUP]
    assert found == ["clear.tiff", "much.tiff", "some.tiff"]
    listed.get_by_role("columnheader", name="Slide").get_by_role("button").click()
    found = [name for name in names(listed) if name != MARKUP]
    assert found == ["some.tiff", "much.tiff", "clear.tiff"]


def test_the_keyboard_goes_everywhere(listed: Page, filled: Site) -> None:
    order = names(listed)

    def focused() -> str:
        text: str = listed.evaluate("() => document.activeElement.textContent")
        return text

    listed.keyboard.press("ArrowDown")
    assert focused() == order[0]
    listed.keyboard.press("j")
    assert focused() == order[1]
    listed.keyboard.press("End")
    assert focused() == order[-1]
    listed.keyboard.press("k")
    assert focused() == order[-2]
    listed.keyboard.press("Home")
    listed.keyboard.press("x")
    expect(listed.get_by_text("1 slide selected")).to_be_visible()
    listed.keyboard.press("a")
    expect(listed.get_by_role("dialog", name="Analyse slide")).to_be_visible()
    listed.keyboard.press("Escape")
    listed.keyboard.press("?")
    expect(listed.get_by_role("dialog", name="Keyboard")).to_be_visible()
    assert accessibility_problems(listed) == []
    listed.keyboard.press("Escape")
    listed.keyboard.press("/")
    expect(listed.get_by_role("searchbox")).to_be_focused()
    listed.keyboard.press("Escape")
    listed.locator(".slide-name").first.focus()
    listed.keyboard.press("Enter")
    expect(listed).to_have_url(re.compile(r"/slides/[0-9a-f]{32}"))
    listed.go_back()
    expect(listed.locator("tbody.group")).to_have_count(4)


def test_results_are_downloaded(listed: Page) -> None:
    button = row(listed, "much.tiff").get_by_role("button", name="Download results of much.tiff")
    button.click()
    with listed.expect_download() as begun:
        listed.get_by_role("link", name="Outlines for QuPath").click()
    content = json.loads(Path(begun.value.path()).read_text(encoding="utf-8"))
    assert content["type"] == "FeatureCollection"
    assert content["features"]
    button.click()
    listed.context.grant_permissions(["clipboard-read", "clipboard-write"])
    listed.get_by_role("button", name="Copy the address of the Zarr store").click()
    expect(listed.get_by_text("The address of the mask was copied.")).to_be_visible()
    address = listed.evaluate("() => navigator.clipboard.readText()")
    assert httpx.get(f"{address}/zarr.json").json()["zarr_format"] == 3, "needs no key"


def test_an_analysis_from_queue_to_result(listed: Page) -> None:
    """Queued in the dialog with settings of its own, followed live, cancelled, tried again."""
    group = row(listed, MARKUP)
    group.get_by_role("button", name="Analyse").click()
    dialog = listed.get_by_role("dialog", name="Analyse slide")
    expect(dialog.get_by_text("Trained on synthetic tissue")).to_be_visible()
    dialog.get_by_label("Threshold").fill("2")
    dialog.get_by_role("button", name="Queue analysis").click()
    expect(dialog.get_by_text("A number between 0 and 1.")).to_be_visible()
    assert accessibility_problems(listed) == []
    dialog.get_by_label("Threshold").fill("0.6")
    dialog.get_by_label("Stride, px").fill("8")
    dialog.get_by_label("Priority").select_option("10")
    dialog.get_by_role("button", name="Queue analysis").click()
    expect(dialog).to_be_hidden()
    expect(group).to_contain_text("stride 8 · threshold 0.6 · priority +10")
    expect(group.get_by_text(re.compile(r"^[\d,]+ of [\d,]+ tiles"))).to_be_visible(timeout=PATIENT)
    group.get_by_role("button", name="Cancel the analysis").click()
    expect(group.get_by_text("Cancelled")).to_be_visible(timeout=PATIENT)
    group.get_by_role("button", name="More actions for").click()
    listed.get_by_role("button", name="Delete the analysis…").click()
    listed.get_by_role("button", name="Delete", exact=True).click()
    expect(group.get_by_text("Not analysed")).to_be_visible()


def test_two_analyses_of_one_slide(listed: Page) -> None:
    group = row(listed, "some.tiff")
    group.get_by_role("button", name="More actions for").click()
    listed.get_by_role("button", name="Analyse with other settings…").click()
    dialog = listed.get_by_role("dialog", name="Analyse slide")
    dialog.get_by_label("Stride, px").fill("96")
    dialog.get_by_role("button", name="Queue analysis").click()
    expect(group.locator("tr")).to_have_count(2)
    # A menu that is being read stays while its line changes, and what it held back comes after it.
    group.get_by_role("button", name="More actions for").first.click()
    menu = listed.get_by_role("group", name="Actions for some.tiff")
    expect(group.get_by_text("mm²")).to_have_count(2, timeout=PATIENT)
    expect(group.get_by_text("Finished")).to_have_count(2)
    expect(menu).to_be_visible()
    listed.keyboard.press("Escape")
    expect(group.get_by_role("button", name="Download results of")).to_have_count(2)
    group.get_by_role("button", name="More actions for").last.click()
    listed.get_by_role("button", name="Delete the analysis…").click()
    listed.get_by_role("button", name="Delete", exact=True).click()
    expect(group.locator("tr")).to_have_count(1)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 720), (1024, 768)], ids=["desk", "tablet"])
def test_everybody_can_use_it(
    browser: Browser, filled: Site, dark: bool, size: tuple[int, int]
) -> None:
    with visitor(browser, filled, dark=dark, width=size[0], height=size[1]) as (page, _):
        expect(page.locator("tbody.group")).to_have_count(4)
        expect(page.locator("canvas.thumb-heat")).to_have_count(3)
        assert accessibility_problems(page) == []
        wider = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        assert wider <= 0, "nothing has to be scrolled sideways"
        page.get_by_role("button", name="More actions for").first.click()
        assert accessibility_problems(page) == []


def test_who_may_only_look_is_offered_nothing_else(
    browser: Browser, filled: Site, listed: Page
) -> None:
    database = Database(ServiceSettings(data_dir=filled.folder / "data").database_url)
    try:
        workspace = listed.request.get(f"{filled.url}/v1/session").json()["workspace"]
        _, key = ApiKeys(database).create(workspace, "a guest", Scope.VIEW)
    finally:
        database.close()
    with visitor(browser, filled, token=key) as (page, _):
        expect(page.locator("tbody.group")).to_have_count(4)
        expect(page.get_by_text("reading only")).to_be_visible()
        for name in ("Add slides", "Add folder", f"Analyse {MARKUP}"):
            expect(page.get_by_role("button", name=name)).to_have_count(0)
        row(page, "much.tiff").get_by_role("button", name="More actions for").click()
        expect(page.get_by_role("link", name="Outlines for QuPath")).to_be_visible()
        expect(page.get_by_role("button", name="Delete")).to_have_count(0)


def test_the_list_is_on_its_way_or_cannot_be_had(listed: Page, visit: tuple[Page, Watch]) -> None:
    held: list[Route] = []
    failing = False

    def refuse(route: Route) -> None:
        route.fulfill(status=503, json={"title": "Not ready", "detail": "the database is away"})

    def hold(route: Route) -> None:
        if failing:
            refuse(route)
        else:
            held.append(route)

    listed.route(re.compile(r"/v1/slides\?"), hold)
    listed.reload(wait_until="domcontentloaded")
    expect(listed.locator("tbody.skeleton")).to_be_visible()
    assert accessibility_problems(listed) == []
    failing = True
    for route in held:
        refuse(route)
    expect(listed.get_by_role("alert")).to_contain_text("The database is away.")
    assert accessibility_problems(listed) == []
    listed.unroute(re.compile(r"/v1/slides\?"))
    listed.get_by_role("button", name="Try again").click()
    expect(listed.locator("tbody.group")).to_have_count(4)
    # The browser itself notes the answer, and nothing else.
    complaints = visit[1].complaints
    assert [text for text in complaints if "503" not in text] == []
    complaints.clear()


@pytest.fixture
def fresh(filled: Site) -> Iterator[Site]:
    yield filled
    if filled.process is not None and filled.process.poll() is not None:
        filled.start()


def test_the_server_goes_and_comes_back(fresh: Site, visit: tuple[Page, Watch]) -> None:
    page, watch = visit
    expect(page.locator("tbody.group")).to_have_count(4)
    watch.away = True
    fresh.kill()
    expect(page.get_by_text("The server does not answer")).to_be_visible(timeout=PATIENT)
    expect(page.locator("tbody.group")).to_have_count(4)
    assert accessibility_problems(page) == []
    fresh.start()
    expect(page.get_by_text("The server does not answer")).to_be_hidden(timeout=PATIENT)
    watch.away = False
