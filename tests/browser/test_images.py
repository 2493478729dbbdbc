"""The page of single images: a folder dropped, looked through, labelled by keys, exported."""

import csv
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from browser_support import MODEL, Watch, accessibility_problems, visitor
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from service_process_support import TOKEN, Site

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.synth import CLASSES
from wsi_pipeline.testing.copies import copy_package

# The first test waits for what the others use, too: 500 images that were classified.
pytestmark = pytest.mark.timeout(900)

#: Of a busy machine; a hang is longer.
PATIENT = 240_000
COUNT = 500
#: Scores such that at a coverage of 0.9 a class of 0.6 or more is in the set.
SCORES = np.linspace(0, 0.4, 9)
FOLDER = "smear 7"
#: Most tiles on the page of 1280 × 720 px: in sight are 5 rows or parts of them; 2 more are kept
#: above and 2 below, and the one that the keyboard is at.
MOST_TILES = 7 * (5 + 2 * 2 + 1)
#: Scrolls from top to bottom: how many tiles were on the page at most, and were drawn in all.
#: Rows that stay in sight keep their tiles, or a frame would have more to do than it can.
SCROLL = """async () => {
  const next = () => new Promise(requestAnimationFrame);
  const tiles = () => document.querySelectorAll(".image-tile").length;
  let [most, drawn] = [tiles(), tiles()];
  const count = (changes) => {
    for (const {addedNodes} of changes)
      for (const node of addedNodes) if (node.matches?.(".image-tile")) drawn++;
  };
  const observer = new MutationObserver(count);
  observer.observe(document.querySelector(".image-grid"), {childList: true, subtree: true});
  for (let frame = 1; frame < 120; frame++) {
    window.scrollTo(0, (document.body.scrollHeight - innerHeight) * frame / 119);
    await next();
    await next();
    most = Math.max(most, tiles());
  }
  observer.disconnect();
  return {most, drawn, scrolled: scrollY};
}"""


@pytest.fixture(scope="module")
def served_package(
    kinds_package: ModelPackage, tmp_path_factory: pytest.TempPathFactory
) -> ModelPackage:
    """A model of four classes with what prediction sets need."""
    folder = tmp_path_factory.mktemp("packages") / "kinds"
    return copy_package(kinds_package, folder, conformal=SCORES, images={"how": "pad"})


@pytest.fixture(scope="module")
def folder(kinds_package: ModelPackage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 500 drawn images, most of them half of one kind and half of another, and two
    files that are none."""
    patches, probabilities = kinds_package.reference()
    root = tmp_path_factory.mktemp("images") / FOLDER
    for number in range(COUNT):
        place = number % len(patches)
        path = root / CLASSES[probabilities[place].argmax()] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(patches[place], number, axis=0)).save(path)
    (root / "torn.png").write_text("no image, whatever its name ends in")
    (root / "notes.txt").write_text("no image")
    return root


@pytest.fixture(scope="module")
def address(browser: Browser, service: Site, folder: Path) -> str:
    """Of the page, with the folder that was dropped on it and classified."""
    with visitor(browser, service) as (page, _):
        page.get_by_role("link", name="Images", exact=True).click()
        expect(page.get_by_text("No images yet")).to_be_visible()
        assert accessibility_problems(page) == []
        assert MODEL in page.get_by_label("Model for new images").inner_text()
        drop(page, folder)
        expect(page.get_by_text("1 file was left out")).to_be_visible()
        expect(page.get_by_text(f"{COUNT + 1} of {COUNT + 1} images classified")).to_be_visible(
            timeout=PATIENT
        )
        return page.url


@pytest.fixture
def images(address: str, page: Page) -> Page:
    page.goto(address)
    expect(page.locator("[data-filter=all]")).to_have_text(f"All{COUNT + 1}")
    return page


def drop(page: Page, path: Path) -> None:
    """As a user drops a folder from outside the browser."""
    devtools = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        event = {"type": kind, "x": 400, "y": 400, "data": data}
        devtools.send("Input.dispatchDragEvent", event)
    devtools.detach()


def client(service: Site, token: str = TOKEN) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=service.url, headers=headers, timeout=60)


def another_key(service: Site, name: str, scope: Scope) -> str:
    """A key of somebody else in the same workspace."""
    with client(service) as http:
        http.post("/v1/session", json={"key": TOKEN}).raise_for_status()
        workspace = http.get("/v1/session").json()["workspace"]
    database = Database(ServiceSettings(data_dir=service.folder / "data").database_url)
    try:
        return ApiKeys(database).create(workspace, name, scope)[1]
    finally:
        database.close()


def tile(page: Page, name: str) -> Locator:
    """The tile of an image, which is searched for so that it is in sight."""
    page.get_by_label("Search images").fill(name)
    found = page.locator(".image-tile").filter(has=page.get_by_title(f"{FOLDER}/{name}"))
    expect(found).to_be_visible()
    return found


def rows_of(page: Page, item: str) -> list[dict[str, str]]:
    """The table that an item of the menu downloads."""
    page.get_by_role("button", name="Export labels").click()
    with page.expect_download() as download:
        page.get_by_role("link", name=item).click()
    with Path(download.value.path()).open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def test_a_folder_is_classified_and_sent_only_once(
    images: Page, service: Site, folder: Path
) -> None:
    with client(service) as http:
        (told,) = http.get("/v1/images/jobs").json()["jobs"]
    assert (told["name"], told["model"], told["total"]) == (FOLDER, MODEL, COUNT + 1)
    assert (told["answered"], told["failed"]) == (COUNT, 1)
    assert 0 < told["review"] < COUNT
    expect(images.locator("[data-filter=review]")).to_have_text(f"Look again{told['review']}")
    first = images.locator(".image-tile").first
    expect(first.locator(".badge.warning")).to_be_visible()
    # The thumbnail was drawn by a worker, and is shown.
    images.wait_for_function("() => document.querySelector('.image-thumb img').naturalWidth > 0")
    images.locator("[data-filter=failed]").click()
    expect(images.locator(".image-tile")).to_have_count(1)
    expect(images.locator(".image-cause")).to_contain_text("Is no PNG, JPEG, BMP, TIFF or WebP")
    sent: list[str] = []
    images.on("request", lambda request: sent.append(request.method))
    drop(images, folder)
    expect(images.locator("[data-filter=all]")).to_have_attribute("aria-pressed", "true")
    assert (sent.count("PUT"), sent.count("POST")) == (0, 1)
    assert images.get_by_label("Folder").locator("option").count() == 1


def test_five_hundred_images_scroll(images: Page) -> None:
    """`benchmarks.image_grid` measures how smoothly."""
    found = images.evaluate(SCROLL)
    assert found["scrolled"] > 10_000
    assert found["most"] <= MOST_TILES
    assert found["drawn"] == COUNT + 1, "each image is drawn once on the way"
    assert images.locator(".image-grid").get_attribute("aria-rowcount") == str(-(-(COUNT + 1) // 7))


def test_labels_by_keys_come_out_as_a_table(images: Page, service: Site, folder: Path) -> None:
    names = [f"{path.parent.name}/{path.name}" for path in sorted(folder.glob("*/*.png"))]
    first, second, third = names[0], names[200], names[400]
    tile(images, first).focus()
    images.keyboard.press("2")
    expect(tile(images, first).locator(".badge.accent")).to_have_text(f"Your label: {CLASSES[1]}")
    tile(images, second).click()
    dialog = images.get_by_role("dialog")
    images.keyboard.press("Enter")
    accepted = dialog.locator("[data-class][aria-pressed=true]")
    called = accepted.get_attribute("data-class")
    dialog.get_by_label("Another label").fill("debris, or dust")
    images.keyboard.press("Enter")
    expect(dialog.locator(".image-label b")).to_have_text("debris, or dust")
    images.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    # The keyboard goes on where it was.
    images.keyboard.press(str(1 + CLASSES.index(str(called))))
    tile(images, third).focus()
    images.keyboard.press("1")
    # Labels are shown at once; the server has them a little later.
    with images.expect_response(lambda answer: answer.request.method == "DELETE"):
        images.keyboard.press("Backspace")
    expect(tile(images, third).locator(".badge.accent")).to_have_count(0)
    expect(images.locator("[data-filter=labelled]")).to_have_text("Labelled0")
    images.get_by_label("Search images").fill("")
    expect(images.locator("[data-filter=labelled]")).to_have_text("Labelled2")
    table = rows_of(images, "My labels CSV")
    assert {row["path"]: row["label"] for row in table} == {
        f"{FOLDER}/{first}": CLASSES[1],
        f"{FOLDER}/{second}": called,
    }
    # Another user sees them, and disagrees with one.
    with client(service, another_key(service, "Ben", Scope.SUBMIT)) as http:
        found = http.get("/v1/images", params={"search": first}).json()["images"]
        label = {"label": CLASSES[3]}
        http.put(f"/v1/images/{found[0]['id']}/label", json=label).raise_for_status()
    images.reload()
    tile(images, first).click()
    expect(dialog.get_by_text(f"{CLASSES[3]}: Ben")).to_be_visible()
    images.keyboard.press("Escape")
    assert [row["path"] for row in rows_of(images, "Everyone's labels CSV")] == [
        f"{FOLDER}/{second}"
    ]


def test_one_opens_with_what_its_answer_rests_on(images: Page) -> None:
    images.locator(".image-tile").first.focus()
    images.keyboard.press("ArrowRight")
    images.keyboard.press("Enter")
    dialog = images.get_by_role("dialog")
    expect(dialog.get_by_text(f"2 of {COUNT + 1} images")).to_be_visible()
    expect(dialog.get_by_text("look again").first).to_be_visible()
    expect(dialog.locator(".image-class")).to_have_count(len(CLASSES))
    explanation = dialog.get_by_alt_text("under its map")
    expect(explanation).to_be_visible(timeout=PATIENT)
    assert explanation.evaluate("image => image.naturalWidth") > 0
    assert accessibility_problems(images) == []
    images.keyboard.press("ArrowRight")
    expect(dialog.get_by_text(f"3 of {COUNT + 1} images")).to_be_visible()
    name = dialog.get_by_role("heading").inner_text()
    # Reloaded or shared, the address shows the same image.
    images.reload()
    expect(dialog.get_by_role("heading")).to_have_text(name)
    expect(explanation).to_be_visible(timeout=PATIENT)
    images.keyboard.press("Escape")
    expect(images.locator(".image-tile:focus")).to_contain_text(name)
    assert accessibility_problems(images) == []


@pytest.fixture
def reader(browser: Browser, service: Site, address: str) -> Iterator[tuple[Page, Watch]]:
    token = another_key(service, "a guest", Scope.VIEW)
    with visitor(browser, service, token=token, dark=True) as (page, watch):
        page.goto(address)
        expect(page.locator("[data-filter=all]")).to_have_text(f"All{COUNT + 1}")
        yield page, watch


def test_who_may_only_read_changes_nothing(reader: tuple[Page, Watch]) -> None:
    page, _ = reader
    page.locator(".image-tile").first.focus()
    page.keyboard.press("1")
    expect(page.get_by_text("Your key allows reading only")).to_be_visible()
    expect(page.get_by_role("button", name="Add folder")).to_be_hidden()
    assert accessibility_problems(page) == []
