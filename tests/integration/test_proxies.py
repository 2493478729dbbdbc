"""Behind the composition's nginx, and another one that speaks TLS before it."""

import contextlib
import json
import logging
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from nginx_support import NGINX, proxy_command, tls_command
from servers_support import free_port
from service_support import TOKEN, Service, running, settings_in

from wsi_pipeline.service import logs

OPENSSL = shutil.which("openssl")
pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(OPENSSL is None, reason="openssl, which makes the certificate, is missing"),
]
#: Other than the proxies': all of 127.0.0.0/8 is this machine.
CLIENT, NEIGHBOUR = "127.0.0.9", "127.0.0.10"


class Way:
    """The service, nginx before it, and one with TLS before that."""

    def __init__(self, service: Service, http_port: int, https_port: int, ca: Path) -> None:
        self.service = service
        self.plain = f"http://127.0.0.1:{http_port}"
        self.tls = f"https://127.0.0.1:{https_port}"
        self._context = ssl.create_default_context(cafile=str(ca))

    def client(self, url: str, address: str = CLIENT) -> httpx.Client:
        transport = httpx.HTTPTransport(verify=self._context, local_address=address)
        return httpx.Client(base_url=url, transport=transport, timeout=60)


@contextlib.contextmanager
def started(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=10)
                break
            except httpx.TransportError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def way_to(folder: Path, **changed: object) -> Iterator[Way]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    assert OPENSSL is not None
    wanted = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=here"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        [OPENSSL, "req", *wanted.split(), "-addext", "subjectAltName=IP:127.0.0.1", *files],
        check=True,
        capture_output=True,
    )
    for name in ("inner", "outer"):
        (folder / name).mkdir()
    http_port, https_port = free_port(), free_port()
    with running(settings_in(folder, **changed)) as service:
        behind = urlsplit(service.url).port or 0
        inner = proxy_command(folder / "inner", behind, http_port)
        outer = tls_command(folder / "outer", http_port, https_port, certificate, key)
        with started(inner, http_port), started(outer, https_port):
            yield Way(service, http_port, https_port, certificate)


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    with way_to(tmp_path_factory.mktemp("way"), requests_per_minute=1000) as made:
        yield made


def cookie(answer: httpx.Response) -> set[str]:
    return {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}


def test_the_cookie_is_secure_where_the_browser_came_by_https(way: Way) -> None:
    with way.client(way.tls) as browser:
        signed = browser.get("/", params={"token": TOKEN})
        assert (signed.status_code, signed.headers["location"]) == (303, "/")
        assert cookie(signed) == {"httponly", "path=/", "samesite=strict", "secure"}
        ours = {"Origin": way.tls}
        # The same host without TLS may be anybody between.
        for elsewhere in ({}, {"Origin": way.tls.replace("https", "http")}):
            assert browser.post("/v1/jobs", headers=elsewhere, json={}).status_code == 403
        assert browser.post("/v1/jobs", headers=ours, json={}).status_code == 422
        out = browser.delete("/v1/session", headers=ours)
        assert {"secure", "max-age=0"} <= cookie(out)
    with way.client(way.plain) as browser:
        signed = browser.post("/v1/session", json={"key": TOKEN})
        assert "secure" not in cookie(signed)
        assert browser.get("/v1/slides").status_code == 200


@pytest.mark.parametrize("claimed", [None, "198.51.100.7", "127.0.0.1", "nonsense, ,"])
def test_the_log_has_the_clients_address(
    way: Way, claimed: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="api")
    caplog.handler.setFormatter(logs.JsonLines())
    headers = {} if claimed is None else {"X-Forwarded-For": claimed}
    with way.client(way.tls) as browser:
        browser.get("/v1/slides", headers={**headers, "X-Request-Id": "mine"})
    deadline = time.monotonic() + 30
    while '"request_id": "mine"' not in caplog.text:  # written after the answer went out
        assert time.monotonic() < deadline
        time.sleep(0.02)
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == "mine"]
    assert line["client"] == CLIENT


def test_who_tries_keys_is_told_apart_by_address(way: Way) -> None:
    with way.client(way.tls) as guesser, way.client(way.tls, NEIGHBOUR) as neighbour:
        statuses = [
            guesser.get("/v1/slides", headers={"Authorization": f"Bearer {n}"}).status_code
            for n in range(150)
        ]
        assert set(statuses) == {401, 429}
        assert neighbour.get("/v1/slides").status_code == 401
        assert neighbour.get("/v1/slides", headers={"Host": "elsewhere"}).status_code == 400


def test_nobody_else_is_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="api")
    caplog.handler.setFormatter(logs.JsonLines())
    claims = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
    with (
        running(settings_in(tmp_path, trusted_proxies=("192.0.2.0/24",))) as service,
        service.client(None) as browser,
    ):
        signed = browser.post("/v1/session", json={"key": TOKEN}, headers=claims)
        assert "secure" not in cookie(signed)
    assert '"client": "127.0.0.1"' in caplog.text
    assert "198.51.100.7" not in caplog.text
