"""The whole service with its pages, and a real browser that notices everything that goes wrong."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    BrowserType,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Request,
    expect,
    sync_playwright,
)
from service_process_support import TOKEN, Site

MODEL = "small"
# Of a busy machine; a hang is longer.
_PATIENT_MS = 30_000
expect.set_options(timeout=_PATIENT_MS)
ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "web" / "dist" / "index.html"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"

#: The browser is to talk to the tests' server and to nobody else.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
#: What Chromium says of every request while nobody listens at the server's port.
_NOBODY_THERE = re.compile(
    r"net::ERR_(CONNECTION_(REFUSED|RESET|CLOSED)|SOCKET_NOT_CONNECTED|EMPTY_RESPONSE"
    r"|INCOMPLETE_CHUNKED_ENCODING)"
)


@contextmanager
def site(folder: Path, package: Path, cache: Path) -> Iterator[Site]:
    """The service with one model package, called :data:`MODEL`."""
    if not PAGES.is_file():
        pytest.skip("the pages are not built: make setup builds them into web/dist")
    (folder / "models").mkdir()
    (folder / "models" / MODEL).symlink_to(package)
    service = Site(folder, cache)
    service.start()
    try:
        yield service
    finally:
        service.stop()


@contextmanager
def chromium() -> Iterator[Browser]:
    """The Chromium of this machine, or Playwright's own; skips where there is neither."""
    with sync_playwright() as playwright:
        browser = _launch(playwright)
        try:
            yield browser
        finally:
            browser.close()


def _launch(playwright: Playwright) -> Browser:
    kind: BrowserType = playwright.chromium
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is not None:
        return kind.launch(executable_path=found, args=_FLAGS)
    try:
        return kind.launch(args=_FLAGS)
    except Error:
        pytest.skip(
            "there is no Chromium: install Debian's package chromium, or let Playwright fetch its "
            "own with .venv/bin/playwright install chromium"
        )


@dataclass
class Watch:
    """What a browser complained of, and where it went.

    Attributes:
        complaints: Errors and warnings of the console, and errors nobody caught.
        elsewhere: Requests to other servers.
        away: Whether the server is gone on purpose, of which browsers complain.
    """

    url: str
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    away: bool = False

    def attach(self, context: BrowserContext) -> None:
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("request", self._on_request)

    def check(self) -> None:
        assert self.complaints == []
        assert self.elsewhere == []

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        if self.away and _NOBODY_THERE.search(message.text):
            return
        where = message.location.get("url", "")
        self.complaints.append(f"{message.type}: {message.text} ({where})")

    def _on_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and (
            f"{address.scheme}://{address.netloc}" != self.url
        ):
            self.elsewhere.append(request.url)


@contextmanager
def visitor(
    browser: Browser,
    site: Site,
    *,
    dark: bool = False,
    width: int = 1280,
    height: int = 720,
    token: str = TOKEN,
) -> Iterator[tuple[Page, Watch]]:
    """A page of a new visitor who signed in; complains at the end of what the browser did."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        accept_downloads=True,
    )
    context.set_default_timeout(_PATIENT_MS)
    watch = Watch(site.url)
    watch.attach(context)
    try:
        page = context.new_page()
        page.goto(f"{site.url}/?token={token}")
        assert token not in page.url
        yield page, watch
        watch.check()
    finally:
        context.close()


def accessibility_problems(page: Page) -> list[str]:
    """What axe-core finds serious or critical; its script is not the page's, so it goes around."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make setup does it")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {violation['help']}: {[node['target'] for node in violation['nodes']]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
