"""The pages over real sockets: where they are, what they may load, and how one signs in to them."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from service_support import TOKEN, Service, running, settings_in

from api.web.routes import Pages
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.keys import ApiKeys

SLIDE = f"/slides/{'ab' * 16}"
INDEX = '<!doctype html><script type="module" src="/assets/main-B2x.js"></script>'
POLICY = {
    "default-src 'self'",
    "img-src 'self' blob: data:",
    "style-src 'self'",
    "script-src 'self'",
    "connect-src 'self'",
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "form-action 'self'",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages as Vite leaves them, with things around them nobody must get."""
    folder = tmp_path_factory.mktemp("web") / "dist"
    (folder / "assets" / "deeper").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "assets" / "main-B2x.js").write_text("export {};")
    (folder / "assets" / "main-C_3.css").write_text("body { color: inherit }")
    (folder / "assets" / "icon-D4.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    for secret in (
        folder.parent / "secret.js",
        folder / "secret.js",
        folder / "assets" / ".secret.js",
        folder / "assets" / "secret.exe",
        folder / "assets" / "secret",
        folder / "assets" / "deeper" / "secret.js",
    ):
        secret.write_text("secret")
    (folder / "assets" / "link.js").symlink_to(folder.parent / "secret.js")
    return folder


@pytest.fixture(scope="module")
def service(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = settings_in(tmp_path_factory.mktemp("service"), requests_per_minute=0)
    with running(settings, Pages(built)) as started:
        yield started


@pytest.fixture
def browser(service: Service) -> Iterator[httpx.Client]:
    """Nobody is signed in."""
    with service.client(None) as client:
        yield client


def as_written(service: Service, path: str) -> bytes:
    """The answer to a path that no client tidied up."""
    url = urlsplit(service.url)
    with socket.create_connection((url.hostname, url.port or 0), timeout=30) as line:
        request = f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n"
        line.sendall(request.encode())
        return b"".join(iter(lambda: line.recv(65536), b""))


@pytest.mark.parametrize("path", ["/", SLIDE, f"{SLIDE}?x=1.5&layer=a"])
def test_the_page_is_the_same_everywhere_and_never_kept(browser: httpx.Client, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 200
    assert answer.text == INDEX
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.headers["content-security-policy"].split("; ")) == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "set-cookie" not in answer.headers
    head = browser.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(INDEX))


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("main-B2x.js", "text/javascript; charset=utf-8"),
        ("main-C_3.css", "text/css; charset=utf-8"),
        ("icon-D4.svg", "image/svg+xml"),
    ],
)
def test_what_the_page_loads_is_kept_for_ever(
    browser: httpx.Client, built: Path, name: str, media_type: str
) -> None:
    answer = browser.get(f"/assets/{name}")
    assert answer.content == (built / "assets" / name).read_bytes()
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    # It holds for workers, one of which compiles WebAssembly.
    workers = POLICY - {"script-src 'self'"} | {"script-src 'self' 'wasm-unsafe-eval'"}
    assert set(answer.headers["content-security-policy"].split("; ")) == workers


@pytest.mark.parametrize(
    "path",
    [
        "/assets/none.js",
        "/assets/",
        "/assets",
        "/assets/..",
        "/assets/.",
        "/assets/../index.html",
        "/assets/../secret.js",
        "/assets/../../secret.js",
        "/assets/..%2fsecret.js",
        "/assets/..%2f..%2fsecret.js",
        "/assets/%2e%2e/secret.js",
        "/assets/%2e%2e%2fsecret.js",
        "/assets/..%5csecret.js",
        "/assets/..\\secret.js",
        "/assets//secret.js",
        "/assets/deeper/secret.js",
        "/assets/deeper%2fsecret.js",
        "/assets/deeper",
        "/assets/.secret.js",
        "/assets/secret.exe",
        "/assets/secret",
        "/assets/link.js",
        "/assets/main-B2x.js%00.css",
        "/assets/main-B2x.js%0a",
        "/assets/main-B2x.js/",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets/%252e%252e%252fsecret.js",
        "/index.html",
        "/secret.js",
        "//secret.js",
        "/slides/../secret.js",
        "/dist/secret.js",
    ],
)
def test_nothing_else_is_a_file(service: Service, path: str) -> None:
    answer = as_written(service, path)
    assert answer.split(b"\r\n", 1)[0].split()[1] == b"404"
    assert b"secret\r\n" not in answer
    assert not answer.endswith(b"secret")


def test_an_address_no_slide_can_have_is_told_by_the_page(browser: httpx.Client) -> None:
    answer = browser.get("/slides/nonsense")
    assert (answer.status_code, answer.text) == (404, INDEX)
    assert answer.headers["cache-control"] == "no-store"
    assert browser.get("/slides/").status_code == 404
    assert browser.get(f"{SLIDE}/more").status_code == 404
    assert browser.get("/nowhere").headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "back"),
    [
        (f"/?token={TOKEN}", "/"),
        (f"{SLIDE}?token={TOKEN}", SLIDE),
        (f"{SLIDE}?x=1&token={TOKEN}&name=a%26b%20c&x=2", f"{SLIDE}?x=1&name=a%26b+c&x=2"),
        (f"/?token=old&token={TOKEN}", "/"),
        (f"/?token={TOKEN}&next=https://elsewhere.example.org", None),
        (f"/?token={TOKEN}&a=%0d%0aSet-Cookie:%20x=y", None),
    ],
)
def test_signing_in_takes_the_token_off_the_address(
    service: Service, browser: httpx.Client, path: str, back: str | None
) -> None:
    signed = browser.get(path)
    assert signed.status_code == 303
    location = signed.headers["location"]
    assert TOKEN not in location
    assert "token" not in parse_qs(urlsplit(location).query)
    # It stays on this server, whatever the address held.
    assert urlsplit(location)[:2] == ("", "")
    assert urlsplit(location).path == urlsplit(path).path
    assert back in (None, location)
    assert signed.headers.get_list("set-cookie") == [signed.headers["set-cookie"]]
    cookie = signed.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert browser.get(location).text == INDEX
    assert browser.get("/v1/slides").status_code == 200


@pytest.mark.parametrize("path", ["/", SLIDE])
@pytest.mark.parametrize("token", ["wrong", "", "wsi_%00"])
def test_a_link_that_is_no_longer_good(browser: httpx.Client, path: str, token: str) -> None:
    answer = browser.get(f"{path}?token={token}")
    assert answer.status_code == 401
    assert "no longer valid" in answer.text
    assert "set-cookie" not in answer.headers
    assert browser.get("/v1/slides").status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "//elsewhere.example.org",
        "//elsewhere.example.org/..",
        "/\\elsewhere.example.org",
        "/slides//elsewhere.example.org",
        "/.//elsewhere.example.org",
    ],
)
def test_nobody_is_sent_elsewhere(service: Service, path: str) -> None:
    answer = as_written(service, f"{path}?token={TOKEN}")
    assert answer.split(b"\r\n", 1)[0].split()[1] == b"404"
    assert b"location:" not in answer.lower()


def test_pages_say_who_is_signed_in_without_an_error(
    service: Service, browser: httpx.Client
) -> None:
    nobody = {
        "signed_in": False,
        "key_id": None,
        "key_name": None,
        "workspace": None,
        "scope": None,
    }
    assert browser.get("/v1/session").json() == nobody
    keys = ApiKeys(service.database)
    key, secret = keys.create("pathology", "Ann's laptop", Scope.VIEW)
    assert browser.post("/v1/session", json={"key": secret}).status_code == 204
    told = browser.get("/v1/session")
    assert told.json() == {
        "signed_in": True,
        "key_id": key.id,
        "key_name": "Ann's laptop",
        "workspace": "pathology",
        "scope": "view",
    }
    assert secret not in told.text
    keys.revoke(key.id)
    assert browser.get("/v1/session").json() == nobody
    browser.cookies.set("wsi_session", "wsi_nonsense")
    assert browser.get("/v1/session").json() == nobody


def test_without_built_pages_there_are_plain_ones(tmp_path: Path) -> None:
    (tmp_path / "dist" / "assets").mkdir(parents=True)
    pages = Pages(tmp_path / "dist")
    with running(settings_in(tmp_path), pages) as service, service.client(None) as browser:
        for path in ("/", SLIDE):
            assert browser.get(path).status_code == 401
            assert browser.get(f"{path}?token={TOKEN}").headers["location"] == path
            page = browser.get(path)
            assert (page.status_code, "/v1/openapi.json" in page.text) == (200, True)
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert browser.delete("/v1/session").status_code == 204
        assert browser.get("/slides/nonsense").status_code == 404
        assert browser.get("/assets/main.js").status_code == 404
        # Pages that are built while it runs are there at once.
        (tmp_path / "dist" / "index.html").write_text(INDEX)
        assert browser.get("/").text == INDEX


def test_the_pages_of_a_checkout_are_found() -> None:
    dist = Path(__file__).parents[2] / "web" / "dist"
    if not (dist / "index.html").is_file():
        pytest.skip("the pages are not built here; `make setup` builds them")
    found = Pages.find()
    assert found.index() == dist / "index.html"
    text = (dist / "index.html").read_text()
    names = [part.split('"')[0] for part in text.split("/assets/")[1:]]
    assert names
    assert all(found.asset(name) for name in names)
