"""Requests that nobody means well by, over real sockets, sent as they are."""

import base64
import io
import json
import re
import socket
import stat
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from service_support import TOKEN, Service, running, settings_in
from tiff_support import liars

from api.http import limits, protocol
from wsi_pipeline.testing import write_pyramid

TIMEOUT = 30.0
AUTHORISED = f"Authorization: Bearer {TOKEN}\r\n"
REFUSED = "this is no slide in a folder or bucket that the service may read"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "root").mkdir()
    changed = {"roots": (folder / "root",), "buckets": ("s3://lab/slides",)}
    with running(settings_in(folder, **changed, requests_per_minute=0)) as started:
        yield started


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


def connect(service: Service) -> socket.socket:
    host, _, port = service.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), TIMEOUT)


def exchange(service: Service, data: bytes) -> bytes:
    """Send bytes as they are; all that comes back until the connection ends."""
    with connect(service) as line:
        line.sendall(data)
        return rest(line)


def rest(line: socket.socket) -> bytes:
    answer = b""
    while block := line.recv(65536):
        answer += block
    return answer


def request(first: str, *headers: str, body: bytes = b"", host: str = "127.0.0.1") -> bytes:
    lines = [first, f"Host: {host}", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def is_there(service: Service) -> bool:
    with service.client() as client:
        return client.get("/healthz").status_code == 200


@contextmanager
def listening() -> Iterator[tuple[int, list[bytes]]]:
    """A server nobody should ask; its port, and what it was asked."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT)
        stop = threading.Event()

        def answer() -> None:
            while not stop.is_set():
                line, _ = server.accept()
                with line:
                    if stop.is_set():
                        return
                    heard.append(line.recv(1000))
                    line.sendall(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        port = server.getsockname()[1]
        try:
            yield port, heard
        finally:
            stop.set()
            socket.create_connection(("127.0.0.1", port), TIMEOUT).close()
            thread.join(TIMEOUT)


def test_no_address_is_ever_connected_to(service: Service, http: httpx.Client) -> None:
    """Neither directly nor by a redirect; and all are refused in the same words."""
    with listening() as (port, heard):
        for uri in (
            f"http://127.0.0.1:{port}/a.svs",
            f"https://127.0.0.1:{port}/a.svs",
            f"HTTP://localhost:{port}/a.svs",
            f"http://[::ffff:127.0.0.1]:{port}/a.svs",
            f"ftp://127.0.0.1:{port}/a.svs",
            f"gopher://127.0.0.1:{port}/_GET",
            f"s3://127.0.0.1:{port}/slides/a.svs",
            f"s3://lab@127.0.0.1:{port}/slides/a.svs",
            f"file://127.0.0.1:{port}/a.svs",
            f"//127.0.0.1:{port}/a.svs",
            f"\\\\127.0.0.1@{port}\\share\\a.svs",
            f"smb://127.0.0.1:{port}/a.svs",
            "http://169.254.169.254/latest/meta-data/",
            "http://metadata.google.internal/",
            "s3://other/slides/a.svs",
            "s3://lab/slides/../secret.svs",
            "s3://lab/slides/%2e%2e/secret.svs",
            "dict://127.0.0.1:1/",
            "jar:file:///etc/passwd!/",
            "/etc/passwd\x00.svs",
            "file:///proc/self/environ",
            f"file://{service.settings.roots[0]}/%2e%2e/data/service.db",
            f"{service.settings.data_dir}/service.db",
        ):
            answer = http.post("/v1/slides", json={"uri": uri})
            assert (answer.status_code, answer.json()["detail"]) == (422, REFUSED), uri
        assert not heard
    assert http.get("/v1/slides").json()["total"] == 0


def until_checked(http: httpx.Client, slide_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        slide: dict[str, Any] = http.get(f"/v1/slides/{slide_id}").json()
        if slide["state"] != "checking":
            return slide
        assert time.monotonic() < deadline, "the slide is still being checked"
        time.sleep(0.05)


def test_a_link_put_in_the_place_of_a_checked_file(
    service: Service, http: httpx.Client, tmp_path: Path
) -> None:
    """To a slide of the same size: there is nothing to see it by but where it leads."""
    inside, outside = service.settings.roots[0] / "a.tiff", tmp_path / "secret.tiff"
    write_pyramid(inside, np.full((300, 300, 3), 200, np.uint8), downsamples=(1,))
    write_pyramid(outside, np.full((300, 300, 3), 60, np.uint8), downsamples=(1,))
    slide_id = http.post("/v1/slides", json={"uri": str(inside)}).json()["id"]
    assert until_checked(http, slide_id)["state"] == "ready"
    inside.unlink()
    inside.symlink_to(outside)
    for path in ("_files/9/0_0.png", "/thumbnail"):
        answer = http.get(f"/v1/slides/{slide_id}{path}")
        assert answer.status_code == 410, path
        assert str(tmp_path) not in answer.text
        assert "secret" not in answer.text
    assert http.post("/v1/slides", json={"uri": str(inside)}).status_code == 422


def zipped(*entries: tuple[str, bytes | str]) -> bytes:
    """A ZIP; text is where a link leads."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.create_system, mode = 3, stat.S_IFLNK if isinstance(content, str) else stat.S_IFREG
            info.external_attr = (mode | 0o777) << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def bad_zips(slide: bytes, folder: Path) -> dict[str, bytes]:
    many = [(f"{number}", b"") for number in range(30_000)]
    return {
        "out": zipped(("../../escaped.tiff", slide)),
        "absolute": zipped((f"{folder}/escaped.tiff", slide)),
        "link": zipped(("a.tiff", "/etc/passwd")),
        "link to the database": zipped(("a.tiff", "../../../service.db")),
        "through a link": zipped(("d", str(folder)), ("d/escaped.tiff", slide)),
        "nested": zipped(("a.zip", zipped(("a.tiff", slide)))),
        "two by case": zipped(("a.tiff", slide), ("A.TIFF", slide)),
        "bomb": zipped(("a.tiff", bytes(100 * 2**20))),
        "many": zipped(*many),
        "two slides": zipped(("a.tiff", slide), ("b.tiff", slide)),
        "cut off": zipped(("a.tiff", slide))[:-30],
        "only its beginning": b"PK\x03\x04" + bytes(2000),
    }


def test_archives_that_mean_harm_are_rejected_and_leave_nothing(
    service: Service, http: httpx.Client, tmp_path: Path
) -> None:
    path = tmp_path / "a.tiff"
    write_pyramid(path, np.full((200, 200, 3), 180, np.uint8), downsamples=(1,))
    slide = path.read_bytes()
    around = {item for item in tmp_path.parent.rglob("*") if "uploads" not in item.parts}
    sent = {}
    for what, content in bad_zips(slide, tmp_path).items():
        answer = http.put("/v1/slides", params={"name": f"{what}.zip"}, content=content)
        assert answer.status_code == 201, what
        sent[answer.json()["id"]] = what
    sound = http.put("/v1/slides?name=a.zip", content=zipped(("a.tiff", slide))).json()["id"]
    assert until_checked(http, sound)["state"] == "ready"
    for slide_id, what in sent.items():
        told = until_checked(http, slide_id)
        assert told["state"] == "rejected", what
        assert told["problem"]["status"] == 422, what
        assert str(tmp_path) not in json.dumps(told), what
        assert "escaped" not in told["problem"]["detail"], what
        assert http.get(f"/v1/slides/{slide_id}/thumbnail").status_code == 409
    now = {item for item in tmp_path.parent.rglob("*") if "uploads" not in item.parts}
    assert not [item for item in now - around if item.name.startswith("escaped")]
    assert not [item for item in service.settings.spool_dir.iterdir() if item.is_dir()]
    stored = list(Path(service.settings.storage_url, "slides").rglob("*.tiff"))
    assert len(stored) == 1


def test_slides_that_lie_are_rejected_soon(
    service: Service, http: httpx.Client, tmp_path: Path
) -> None:
    """The check would otherwise follow their directories until its time is over."""
    path = tmp_path / "a.tiff"
    write_pyramid(path, np.full((200, 200, 3), 180, np.uint8), downsamples=(1, 2))
    made = liars(path.read_bytes())
    for name in ("next is itself", "below is itself", "many below", "as large as can be, level 0"):
        answer = http.put("/v1/slides", params={"name": "a.tiff"}, content=made[name])
        told = until_checked(http, answer.json()["id"])
        assert told["state"] == "rejected", name
        assert told["problem"]["type"] == "/problems/damaged-slide"
        assert "\n" not in told["problem"]["detail"]
        # Its time was not over: that would be another cause, after two minutes.
        assert re.search("circle|directories|claims", told["problem"]["detail"]), name


def named(http: httpx.Client, given: str) -> list[httpx.Response]:
    """A slide of this name, in each way there is to give one."""
    raw = given.encode("utf-8", "surrogatepass")
    metadata = f"filename {base64.b64encode(raw).decode()}"
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "8", "Upload-Metadata": metadata}
    whole = {**tus, "Content-Type": "application/offset+octet-stream"}
    link = json.dumps({"uri": "file:///nowhere.svs", "name": given})
    typed = {"Content-Type": "application/json"}
    return [
        http.put(f"/v1/slides?name={quote(raw, safe='')}", content=b"no slide"),
        http.post("/v1/uploads", headers=whole, content=b"no slide"),
        http.post("/v1/slides", content=link, headers=typed),
    ]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("<script>alert(1)</script>.svs", "path"),
        ("a\r\nSet-Cookie: x=1\r\n.svs", "line end (U+000D)"),
        ("a\u2028b.svs", "line end (U+2028)"),
        ("../../etc/passwd", "path"),
        ("C:\\slides\\a.svs", "path"),
        ("a\x00b.svs", "U+0000"),
        ("\x00", "U+0000"),
        ("ann\u202egvs.exe", "U+202E"),
        ("\ufeff\u200ba.svs", "U+FEFF"),
        ("a\ud800b.svs", ""),
        ("..", "folder"),
        (".", "folder"),
        ("   ", "empty"),
    ],
)
def test_names_that_no_slide_can_have_are_refused(
    http: httpx.Client, given: str, reason: str
) -> None:
    """Each way in says why, and keeps nothing."""
    before = http.get("/v1/slides").json()["total"]
    for answer in named(http, given):
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "/problems/invalid"
        assert reason in answer.json()["detail"]
        assert "set-cookie" not in answer.headers
    assert http.get("/v1/slides").json()["total"] == before


@pytest.mark.parametrize(
    "given",
    [
        "%2e%2e%2fa.svs",
        "=cmd|' C calc'!A0.svs",
        " two  blanks .svs",
        "<script>alert(1)<b>.svs",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645\u3000.svs",
    ],
)
def test_other_names_are_kept_as_they_are(http: httpx.Client, given: str) -> None:
    put, tus, _ = named(http, given)
    assert (put.status_code, put.json()["name"]) == (201, given)
    assert put.headers["content-type"] == "application/json"
    assert put.headers["x-content-type-options"] == "nosniff"
    assert http.get(f"/v1/slides/{tus.headers['wsi-slide-id']}").json()["name"] == given
    found = http.get("/v1/slides", params={"search": given[:100]}).json()["slides"]
    assert put.json()["id"] in [slide["id"] for slide in found]


@pytest.mark.parametrize("search", ["%00", "a%00", "%0a", "%ff", "%ed%a0%80", "%e2%80%ae"])
def test_a_search_for_what_no_name_has_finds_not_all(http: httpx.Client, search: str) -> None:
    refused = http.get(f"/v1/slides?search={search}")
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid")


@pytest.mark.parametrize(
    ("method", "path", "body", "detail"),
    [
        ("POST", "/v1/jobs", '{"slide_mpp": NaN}', "slide_mpp must be a finite number, not NaN"),
        ("POST", "/v1/jobs", '{"mpp": Infinity}', "mpp must be a finite number, not Infinity"),
        ("POST", "/v1/jobs", '{"mpp": -1e999}', "mpp must be a finite number, not -Infinity"),
        ("POST", "/v1/jobs", '{"priority": NaN}', "priority must be a finite number, not NaN"),
        ("POST", "/v1/jobs", '{"threshold": "NaN"}', "must be a finite number, not NaN"),
        ("GET", "/v1/slides?limit=NaN", None, "limit must be a finite number, not NaN"),
        ("GET", "/v1/slides?offset=-Infinity", None, "must be a finite number, not -Infinity"),
    ],
)
def test_what_is_no_finite_number_is_said_so(
    http: httpx.Client, method: str, path: str, body: str | None, detail: str
) -> None:
    if body is not None:
        body = '{"slide_id": "' + "0" * 32 + '", "model": "demo", ' + body[1:]
    headers = {"Content-Type": "application/json"}
    refused = http.request(method, path, content=body, headers=headers)
    assert refused.status_code == 422
    assert refused.json()["detail"].endswith(detail)


@pytest.mark.parametrize(
    ("comment", "reason"),
    [('"a\\u0000"', "control character U+0000"), ('"\\ud800"', "half of a surrogate pair")],
)
def test_comments_are_kept_whole_or_refused(http: httpx.Client, comment: str, reason: str) -> None:
    refused = http.put(
        f"/v1/jobs/{'0' * 32}/notes/1",
        content=f'{{"comment": {comment}}}',
        headers={"Content-Type": "application/json"},
    )
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid")
    assert refused.json()["detail"].startswith("body.comment: it holds")
    assert reason in refused.json()["detail"]


def test_long_names_are_refused(http: httpx.Client) -> None:
    assert http.put("/v1/slides", params={"name": "a" * 10_000}, content=b"x").status_code == 422
    encoded = base64.b64encode(b"a" * 10_000).decode()
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "1", "Upload-Metadata": f"name {encoded}"}
    assert http.post("/v1/uploads", headers=tus).status_code == 400


@pytest.mark.parametrize(
    ("first", "headers", "host", "expected"),
    [
        # The address in the request line is not where it is sent on to, nor whose name counts.
        ("GET http://169.254.169.254/healthz HTTP/1.1", [], "127.0.0.1", 200),
        ("GET http://127.0.0.1/healthz HTTP/1.1", [], "elsewhere.example.org", 400),
        ("GET /healthz HTTP/1.1", ["Host: 127.0.0.1"], "elsewhere.example.org", 400),
        ("GET /healthz HTTP/1.1", ["X-Forwarded-Host: 127.0.0.1"], "elsewhere.example.org", 400),
        ("GET /healthz HTTP/1.1", ["Forwarded: host=127.0.0.1"], "elsewhere.example.org", 400),
        ("GET /healthz HTTP/1.1", [], "127.0.0.1@elsewhere.example.org", 400),
        ("GET /healthz HTTP/1.1", [], "elsewhere.example.org:80:80", 400),
        ("CONNECT 169.254.169.254:80 HTTP/1.1", [], "127.0.0.1", 400),
        ("GET http://127.0.0.1 HTTP/1.1", [], "127.0.0.1", 400),
        ("OPTIONS * HTTP/1.1", [], "127.0.0.1", 404),
        ("GET /v1/jobs HTTP/1.1", ["X-Forwarded-For: 127.0.0.1"], "127.0.0.1", 401),
        ("GET /v1/jobs HTTP/1.1", ["Authorization: Bearer \xff\xfe"], "127.0.0.1", 401),
        ("GET /v1/jobs HTTP/1.1", ["Cookie: wsi_session=\xff\xfe;;="], "127.0.0.1", 401),
        ("GET /?token=%ff%00%0d%0a HTTP/1.1", [], "127.0.0.1", 401),
        ("GET /v1/%00%ff%zz HTTP/1.1", [], "127.0.0.1", 404),
        ("GET /v1/jobs\xff HTTP/1.1", [], "127.0.0.1", 400),
        ("GET /healthz HTTP/1.1", ["X-Request-Id: a\tb<script>"], "127.0.0.1", 200),
        ("GET /healthz HTTP/9.9", [], "127.0.0.1", 400),
        ("BREW /healthz HTTP/1.1", [], "127.0.0.1", 400),
    ],
)
def test_heads_that_try_something(
    service: Service, first: str, headers: list[str], host: str, expected: int
) -> None:
    answer = exchange(service, request(first, *headers, host=host))
    assert status(answer) == expected, answer
    if expected == 400:
        assert b"application/problem+json" in answer
    assert b"<script>" not in answer
    assert is_there(service)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (["Content-Length: 2", "Content-Length: 40"], b"{}"),
        (["Content-Length: 2", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: chunked, identity"], b"0\r\n\r\n"),
        (["Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
        (["Content-Length: -2"], b"{}"),
        (["Content-Length: +2"], b"{}"),
        (["Content-Length: 2, 2"], b"{}"),
        (["Content-Length: 99999999999999999999999"], b"{}"),
    ],
)
def test_no_length_means_two_things(service: Service, headers: list[str], body: bytes) -> None:
    """A proxy could read the rest as another request than we do (request smuggling)."""
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    plain = f"Authorization: Bearer {TOKEN}"
    data = request("POST /v1/jobs HTTP/1.1", plain, *headers, body=body + smuggled)
    answer = exchange(service, data)
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1, "what followed was taken for a request"


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/session", b'{"key":"\\ud800"}', 401),
        ("/v1/session", b'{"key":{"$ne":""}}', 422),
        ("/v1/jobs", b"[" * 200_000, 400),
        ("/v1/jobs", b'{"priority":' + b"9" * 20_000 + b"}", 400),
        ("/v1/jobs", b'{"slide_id":"' + b"0" * 32 + b'","model":"\\ud800"}', 422),
        ("/v1/jobs", b'{"slide_id":"' + b"0" * 32 + b'","model":"../../etc"}', 422),
        ("/v1/jobs", b'{"\\ud800":1}', 422),
        ("/v1/jobs", b'{"threshold":NaN}', 422),
        ("/v1/jobs", b"\xff\xfe", 422),
        ("/v1/slides", b'{"uri":"/a","name":"\\ud800a"}', 422),
        ("/v1/slides", b'{"uri":"/a' + b"a" * 10_000 + b'"}', 422),
        ("/v1/slides", b'{"uri":["file:///etc/passwd"]}', 422),
    ],
)
def test_bodies_that_try_something(
    http: httpx.Client, path: str, body: bytes, expected: int
) -> None:
    answer = http.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == expected, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "a header": (request("GET / HTTP/1.1")[:-2] + b"X: ", b"a" * 60_000),
    "headers": (request("GET / HTTP/1.1")[:-2], b"X: a\r\n" * 10_000),
    "an address": (b"GET /", b"a" * 60_000),
    "trailers": (
        request("POST /v1/jobs HTTP/1.1", "Transfer-Encoding: chunked") + b"1\r\n{\r\n0\r\nX: ",
        b"a" * 60_000,
    ),
    "the size of a chunk": (
        request("POST /v1/jobs HTTP/1.1", "Transfer-Encoding: chunked") + b"1;x=",
        b"a" * 60_000,
    ),
    "nothing before a request": (b"", b"\r\n" * 30_000),
}


def flood(line: socket.socket, more: bytes) -> None:
    for _ in range(500):
        line.sendall(more)


@pytest.mark.parametrize("what", ENDLESS)
def test_what_never_ends_is_cut_off(service: Service, what: str) -> None:
    """Of a stranger, before anything could be refused; a head of usual size is answered."""
    start, more = ENDLESS[what]
    with connect(service) as line:
        line.sendall(start)
        with pytest.raises(ConnectionError):
            flood(line, more)
    usual = request("GET /healthz HTTP/1.1", f"Cookie: {'a' * 16_000}")
    assert status(exchange(service, usual)) == 200


def test_a_head_that_is_too_long_is_told_so(service: Service) -> None:
    data = request("GET /healthz HTTP/1.1")[:-2] + b"X: " + b"a" * protocol.MOST_HEAD_BYTES
    assert status(exchange(service, data)) == 431


def test_requests_that_trickle_are_cut_off(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Head and body have a time each; nobody else notices, and slow answers are not cut off."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.5)
    with connect(service) as silent, connect(service) as slow, connect(service) as body:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: ")
        head = request("POST /v1/session HTTP/1.1", "Content-Length: 20")
        body.sendall(head + b'{"key":')
        assert is_there(service)
        assert rest(silent) == b""
        assert rest(slow) == b""
        answer = rest(body)
        assert status(answer) == 400
        assert b"problem+json" in answer
    stream = request("GET /v1/events HTTP/1.1", AUTHORISED.strip())
    with connect(service) as line:
        line.sendall(stream)
        line.settimeout(1.5)
        # It goes on, longer than heads and bodies may take.
        with pytest.raises(TimeoutError):
            rest(line)


def test_an_upload_that_trickles_holds_nobody_up(service: Service, http: httpx.Client) -> None:
    """More of them than there are threads; each is kept as far as it came."""
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000"}
    places = [http.post("/v1/uploads", headers=tus).headers["location"] for _ in range(60)]
    lines: list[socket.socket] = []
    try:
        for place in places:
            line = connect(service)
            lines.append(line)
            path = place.removeprefix(service.url)
            line.sendall(
                request(
                    f"PATCH {path} HTTP/1.1",
                    AUTHORISED.strip(),
                    "Tus-Resumable: 1.0.0",
                    "Upload-Offset: 0",
                    "Content-Type: application/offset+octet-stream",
                    "Content-Length: 1000",
                    body=b"x",
                )
            )
        for path in ("/healthz", "/v1/slides", "/v1/jobs"):
            assert http.get(path).status_code == 200
        whole = http.put("/v1/slides?name=a", content=b"no slide")
        assert whole.status_code == 201
    finally:
        for line in lines:
            line.close()

    def offset(place: str) -> int:
        return int(http.head(place, headers=tus).headers["upload-offset"])

    until(lambda: all(offset(place) == 1 for place in places))


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
