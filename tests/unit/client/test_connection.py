"""Addresses, keys and errors of a connection; against a small real server."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from wsi_pipeline.client.connection import Connection
from wsi_pipeline.client.errors import RefusedError, UnreachableError
from wsi_pipeline.errors import UsageError


class Answers(http.server.BaseHTTPRequestHandler):
    """Gives the answers of a list, one after the other, and keeps what was asked."""

    script: list[tuple[int, dict[str, str], bytes]]
    asked: list[tuple[str, str, dict[str, str]]]

    def do_GET(self) -> None:
        self.asked.append((self.command, self.path, dict(self.headers)))
        status, headers, body = self.script.pop(0)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server(*script: tuple[int, dict[str, str], bytes]) -> Iterator[tuple[str, type[Answers]]]:
    handler = type("Handler", (Answers,), {"script": list(script), "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}", handler
        finally:
            listening.shutdown()
            thread.join()


PROBLEM = {"type": "/problems/conflict", "title": "No", "status": 409, "detail": "it is over"}


def test_problems_arrive_as_they_were_sent() -> None:
    body = json.dumps(PROBLEM).encode()
    with server((409, {"Content-Type": "application/problem+json"}, body)) as (url, _):
        connection = Connection(url, None)
        with pytest.raises(RefusedError, match="it is over") as caught:
            connection.request("GET", "/v1/jobs/1")
        connection.close()
    assert caught.value.problem == PROBLEM
    assert caught.value.status == 409


def test_another_answer_becomes_a_problem_too() -> None:
    with server((502, {"Content-Type": "text/html"}, b"<h1>Bad   Gateway</h1>")) as (url, _):
        connection = Connection(url, None)
        with pytest.raises(RefusedError) as caught:
            connection.send("GET", "/")
        connection.close()
    assert caught.value.problem["detail"] == "<h1>Bad Gateway</h1>"
    assert caught.value.passes


def test_what_passes_is_tried_again_and_nothing_else() -> None:
    with server(
        (503, {}, b""), (429, {"Retry-After": "1"}, b""), (200, {}, b"there"), (404, {}, b"")
    ) as (url, handler):
        connection = Connection(url, None)
        assert connection.request("GET", "/a").content == b"there"
        with pytest.raises(RefusedError):
            connection.request("GET", "/b")
        connection.close()
    assert [path for _, path, _ in handler.asked] == ["/a", "/a", "/a", "/b"]


def test_the_key_in_the_address_goes_into_the_header_only() -> None:
    with server((200, {}, b"")) as (url, handler):
        connection = Connection(f"{url}/?token=wsi_secret", None)
        assert "wsi_secret" not in connection.address
        connection.request("GET", "/v1/jobs")
        connection.close()
    ((_, path, headers),) = handler.asked
    assert path == "/v1/jobs"
    assert headers["Authorization"] == "Bearer wsi_secret"


def test_redirects_do_not_take_the_key_along() -> None:
    with server((200, {}, b"")) as (other, stolen):
        with server((307, {"Location": f"{other}/v1/jobs"}, b"")) as (url, _):
            connection = Connection(url, "wsi_secret")
            with pytest.raises(RefusedError):
                connection.request("GET", "/v1/jobs")
            connection.close()
        assert stolen.asked == []


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("/v1/uploads/1", "https://here/wsi/v1/uploads/1"),
        ("/wsi/v1/uploads/1", "https://here/wsi/v1/uploads/1"),
        ("http://inside:8000/wsi/v1/uploads/1", "https://here/wsi/v1/uploads/1"),
        ("http://evil.example/v1/uploads/1?a=b", "https://here/wsi/v1/uploads/1?a=b"),
    ],
)
def test_every_path_is_of_the_service(given: str, meant: str) -> None:
    connection = Connection("https://here/wsi/", None)
    assert str(connection.url(given)) == meant
    connection.close()


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://here", "http://", "http://[::1"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(UsageError):
        Connection(url, None)


def test_a_wrong_address_is_told_soon() -> None:
    connection = Connection("http://127.0.0.1:9", None, patience_seconds=1)  # nobody is there
    with pytest.raises(UnreachableError, match="does not answer"):
        connection.request("GET", "/")
    connection.close()
