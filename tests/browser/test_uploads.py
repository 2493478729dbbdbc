"""Slides on their way from the browser: chosen, dropped, from folders, and through trouble."""

import base64
import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from browser_support import MODEL, Watch
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from service_process_support import TOKEN, Site

from wsi_pipeline.testing.models import NORMAL_COLOUR
from wsi_pipeline.testing.slides import write_pyramid

# The first test waits for what the others use, too: a model package.
pytestmark = pytest.mark.timeout(900)

#: Of a busy machine; a hang is longer.
PATIENT = 240_000
_SIZE = 60_000_000
#: What the page sends in one request, bytes.
_REQUEST = 32 * 2**20
#: So slow that nothing is through before a test is, bytes per second.
SLOW = 200_000


def slide_names(service: Site) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.get(f"{service.url}/v1/slides?limit=200", headers=headers)
    return {slide["name"]: slide for slide in answer.json()["slides"]}


def choose(page: Page, *paths: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add slides").first.click()
    chooser.value.set_files(list(paths))


def row(page: Page, name: str) -> Locator:
    return page.locator("tbody.group").filter(has=page.get_by_text(name, exact=True))


def upload(page: Page, name: str) -> Locator:
    return page.locator("li.upload").filter(has_text=name)


def until(happened: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def share_of(bar: Locator) -> float:
    return float(bar.get_attribute("aria-valuenow") or 0)


@pytest.fixture
def large(tmp_path: Path) -> tuple[Path, str]:
    """A real slide that takes a while, and its SHA-256."""
    path = tmp_path / f"large {tmp_path.name}.tiff"
    image = np.random.default_rng(9).integers(0, 255, (256, 256, 3), np.uint8)
    write_pyramid(path, image, downsamples=(1, 2))
    with path.open("ab") as file:
        # Other bytes for each test: nothing is known already.
        seed = int.from_bytes(tmp_path.name.encode()[:8], "big")
        file.write(np.random.default_rng(seed).bytes(_SIZE))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


class Line:
    """How fast a page sends; slow while a test has something to do before all is there."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)

    def send_at(self, bytes_per_second: int) -> None:
        self._session.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": 0,
                "downloadThroughput": -1,
                "uploadThroughput": bytes_per_second,
            },
        )


def test_several_are_chosen(page: Page, service: Site, slides: Path) -> None:
    expect(page.get_by_text("No slides yet")).to_be_visible()
    paths = sorted(slides.iterdir())
    choose(page, *paths)
    for path in paths:
        expect(row(page, path.name).get_by_text("Not analysed")).to_be_visible(timeout=PATIENT)
    expect(page.get_by_text("3 slides uploaded")).to_be_visible()
    page.get_by_role("button", name="Clear finished").click()
    expect(page.locator("section.uploads")).to_be_hidden()
    found = slide_names(service)
    for path in paths:
        assert found[path.name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_picture_is_analysed_at_a_spacing_that_is_asked_for(page: Page, tmp_path: Path) -> None:
    image = np.full((300, 400, 3), NORMAL_COLOUR, np.uint8)
    Image.fromarray(image).save(tmp_path / "roi.png", dpi=(72, 72))
    choose(page, tmp_path / "roi.png")
    group = row(page, "roi.png")
    expect(group.get_by_text("Not analysed")).to_be_visible(timeout=PATIENT)
    group.get_by_role("button", name="Analyse").click()
    dialog = page.get_by_role("dialog", name="Analyse slide")
    dialog.get_by_role("button", name="Queue analysis").click()
    expect(dialog.get_by_text("A number from 0.05 to 250.")).to_be_visible()
    dialog.get_by_label("µm per px of the slide").fill("0.5")
    dialog.get_by_role("button", name="Queue analysis").click()
    expect(group.get_by_text("slide at 0.5 µm/px")).to_be_visible()
    expect(group.get_by_text("mm²")).to_be_visible(timeout=PATIENT)


def test_one_is_dropped_anywhere(page: Page, service: Site, slides: Path) -> None:
    content = base64.b64encode((slides / "some.tiff").read_bytes()).decode()
    dropped = page.evaluate_handle(
        """(content) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "dropped.tiff"));
          return transfer;
        }""",
        content,
    )
    page.dispatch_event("h1", "dragenter", {"dataTransfer": dropped})
    expect(page.get_by_text("Drop slides to upload them")).to_be_visible()
    page.dispatch_event("h1", "drop", {"dataTransfer": dropped})
    expect(page.get_by_text("Drop slides to upload them")).to_be_hidden()
    expect(row(page, "dropped.tiff").get_by_text("Not analysed")).to_be_visible(timeout=PATIENT)
    expected = hashlib.sha256((slides / "some.tiff").read_bytes()).hexdigest()
    assert slide_names(service)["dropped.tiff"]["sha256"] == expected


def test_a_folder_is_searched_for_slides(page: Page, slides: Path, tmp_path: Path) -> None:
    folder = tmp_path / "case"
    (folder / "deep").mkdir(parents=True)
    (folder / "notes.txt").write_text("no slide")
    (folder / "deep" / "in a folder.tiff").write_bytes((slides / "clear.tiff").read_bytes())
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add folder").first.click()
    chooser.value.set_files(folder)
    expect(page.get_by_text("1 file in the folder skipped")).to_be_visible()
    expect(row(page, "in a folder.tiff").get_by_text("Not analysed")).to_be_visible(timeout=PATIENT)


def test_uploads_are_analysed_if_that_was_chosen(page: Page, slides: Path, tmp_path: Path) -> None:
    path = tmp_path / "analysed.tiff"
    path.write_bytes((slides / "some.tiff").read_bytes())
    page.get_by_label("After upload").select_option(MODEL)
    choose(page, path)
    group = row(page, path.name)
    expect(group.locator(".model")).to_have_text(MODEL, timeout=PATIENT)
    expect(group.get_by_text("Finished")).to_be_visible(timeout=PATIENT)
    page.reload()
    expect(page.get_by_label("After upload")).to_have_value(MODEL)
    expect(group.locator("tr")).to_have_count(1)


def test_what_is_no_slide_is_told(page: Page, tmp_path: Path) -> None:
    (tmp_path / "broken.svs").write_bytes(b"no slide" * 100)
    choose(page, tmp_path / "broken.svs")
    expect(row(page, "broken.svs").get_by_text("Rejected")).to_be_visible(timeout=PATIENT)
    expect(row(page, "broken.svs").get_by_text("Is a text file, not a slide")).to_be_visible()


@pytest.mark.slow
def test_a_killed_server_loses_nothing(
    visit: tuple[Page, Watch], service: Site, large: tuple[Path, str]
) -> None:
    page, watch = visit
    path, sha256 = large
    line = Line(page)
    line.send_at(8_000_000)
    choose(page, path)
    bar = upload(page, path.name).get_by_role("progressbar")
    until(lambda: share_of(bar) > 25)
    line.send_at(SLOW)
    expect(upload(page, path.name)).to_contain_text(re.compile(r"/s · \d+ \w+ left"))
    watch.away = True
    service.kill()
    expect(upload(page, path.name)).to_contain_text("no connection")
    expect(page.get_by_text("The server does not answer")).to_be_visible(timeout=PATIENT)
    line.send_at(8_000_000)
    service.start()
    expect(row(page, path.name).get_by_text("Not analysed")).to_be_visible(timeout=PATIENT)
    expect(page.get_by_text("The server does not answer")).to_be_hidden()
    watch.away = False
    assert slide_names(service)[path.name]["sha256"] == sha256


def test_a_reload_goes_on_with_the_same_file(
    page: Page, service: Site, large: tuple[Path, str], slides: Path
) -> None:
    path, sha256 = large
    line = Line(page)
    line.send_at(8_000_000)
    choose(page, path)
    bar = upload(page, path.name).get_by_role("progressbar")
    # The first request is through: the page was told that its bytes are safe.
    until(lambda: share_of(bar) > 100 * _REQUEST / _SIZE + 2)
    line.send_at(SLOW)
    page.reload()
    told = upload(page, path.name)
    expect(told).to_contain_text("choose the same file again to continue")
    assert share_of(told.get_by_role("progressbar")) > 50

    with page.expect_file_chooser() as chooser:
        told.get_by_role("button", name="Choose file…").click()
    chooser.value.set_files(slides / "some.tiff")
    expect(page.get_by_text("This is another file")).to_be_visible()

    line.send_at(8_000_000)
    offsets: list[int] = []
    page.on(
        "request",
        lambda request: (
            offsets.append(int(request.headers["upload-offset"]))
            if request.method == "PATCH"
            else None
        ),
    )
    with page.expect_file_chooser() as chooser:
        told.get_by_role("button", name="Choose file…").click()
    chooser.value.set_files(path)
    expect(row(page, path.name).get_by_text("Not analysed")).to_be_visible(timeout=PATIENT)
    # Bytes may have arrived until the page was left, on a busy machine all of them.
    assert all(offset >= _REQUEST for offset in offsets), "what the server had was sent again"
    found = [slide for slide in slide_names(service).values() if slide["sha256"] == sha256]
    assert len(found) == 1
    page.reload()
    expect(row(page, path.name)).to_be_visible()
    expect(page.locator("li.upload")).to_have_count(0)


def test_a_dropped_file_goes_on_by_itself_after_a_reload(
    page: Page, service: Site, slides: Path
) -> None:
    """The browser gives a handle with the drop, by which the page reads the file again.

    Files of tests cannot be dropped with a handle, so the file lies in the browser's own storage,
    whose handles are real ones that need nobody's permission.
    """
    content = (slides / "much.tiff").read_bytes()
    Line(page).send_at(300_000)
    dropped = page.evaluate_handle(
        """async (content) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const root = await navigator.storage.getDirectory();
          const handle = await root.getFileHandle("with a handle.tiff", {create: true});
          const stream = await handle.createWritable();
          await stream.write(bytes);
          await stream.close();
          DataTransferItem.prototype.getAsFileSystemHandle = () => Promise.resolve(handle);
          const transfer = new DataTransfer();
          transfer.items.add(await handle.getFile());
          return transfer;
        }""",
        base64.b64encode(content).decode(),
    )
    page.dispatch_event("h1", "drop", {"dataTransfer": dropped})
    bar = upload(page, "with a handle.tiff").get_by_role("progressbar")
    until(lambda: share_of(bar) > 20)
    page.reload()
    expect(row(page, "with a handle.tiff").get_by_text("Not analysed")).to_be_visible(
        timeout=PATIENT
    )
    found = slide_names(service)["with a handle.tiff"]
    assert found["sha256"] == hashlib.sha256(content).hexdigest()


def test_one_is_paused_and_given_up(page: Page, service: Site, large: tuple[Path, str]) -> None:
    path, _ = large
    Line(page).send_at(4_000_000)
    choose(page, path)
    bar = upload(page, path.name).get_by_role("progressbar")
    until(lambda: share_of(bar) > 5)
    upload(page, path.name).get_by_role("button", name=f"Pause {path.name}").click()
    expect(upload(page, path.name)).to_contain_text("paused")
    upload(page, path.name).get_by_role("button", name="Continue").click()
    expect(upload(page, path.name)).to_contain_text("/s")
    upload(page, path.name).get_by_role("button", name=f"Cancel {path.name}").click()
    expect(page.locator("li.upload")).to_have_count(0)
    assert path.name not in slide_names(service)
