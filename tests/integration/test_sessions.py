"""Signing in and out over HTTP: what the browser gets, and what ends it."""

import json
import logging
import time
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from service_support import TOKEN, Service, running, settings_in

from wsi_pipeline.service import logs
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.tables import audit, sessions

COOKIE = "wsi_session"
SIGNED_OUT = {"signed_in": False, "key_id": None, "key_name": None} | dict.fromkeys(
    ("workspace", "scope")
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = settings_in(tmp_path_factory.mktemp("service"), requests_per_minute=0)
    with running(settings) as started:
        yield started


@pytest.fixture
def anybody(service: Service) -> Iterator[httpx.Client]:
    """A browser that is not signed in."""
    with service.client(None) as client:
        yield client


def cookie_of(answer: httpx.Response) -> dict[str, object]:
    (morsel,) = SimpleCookie(answer.headers["set-cookie"]).values()
    assert morsel.key == COOKIE
    return {"value": morsel.value, **{name: value for name, value in morsel.items() if value}}


@pytest.mark.parametrize("how", ["link", "form"])
def test_the_cookie_is_no_key(service: Service, anybody: httpx.Client, how: str) -> None:
    if how == "link":
        signed = anybody.get("/", params={"token": TOKEN})
        assert (signed.status_code, signed.headers["location"]) == (303, "/")
    else:
        signed = anybody.post("/v1/session", json={"key": TOKEN})
        assert signed.status_code == 204
    cookie = cookie_of(signed)
    secret = str(cookie.pop("value"))
    assert cookie == {"path": "/", "httponly": True, "samesite": "strict"}
    assert TOKEN not in secret
    assert len(secret) == 43
    assert anybody.get("/v1/slides").status_code == 200
    with service.client(secret) as program:
        assert program.get("/v1/slides").status_code == 401, "a session is no key"
    with service.client(None, cookies={COOKIE: TOKEN}) as old:
        assert old.get("/v1/slides").status_code == 401, "a key is no session"
        assert old.get("/v1/session").json() == SIGNED_OUT


def test_only_who_opens_a_link_is_signed_in(service: Service, anybody: httpx.Client) -> None:
    """What previews links asks for the head."""
    with service.client() as admin:
        before = admin.get("/v1/sessions").json()
        head = anybody.head("/", params={"token": TOKEN})
        assert head.status_code == 303
        assert "set-cookie" not in head.headers
        assert anybody.head("/", params={"token": "wsi_wrong"}).status_code == 401
        assert admin.get("/v1/sessions").json() == before


def test_signing_out_ends_it_on_the_server(service: Service) -> None:
    with service.browser() as browser, service.browser() as other:
        stolen = browser.cookies[COOKIE]
        elsewhere = {"Origin": "https://elsewhere.example.org"}
        assert browser.delete("/v1/session", headers=elsewhere).status_code == 403
        assert browser.get("/v1/slides").status_code == 200
        ours = {"Origin": service.url}
        assert browser.delete("/v1/session", headers=ours).status_code == 204
        assert COOKIE not in browser.cookies
        with service.client(None, cookies={COOKIE: stolen}) as thief:
            assert thief.get("/v1/slides").status_code == 401
            assert thief.get("/v1/session").json() == SIGNED_OUT
        assert other.get("/v1/slides").status_code == 200
        assert browser.delete("/v1/session").status_code == 204, "once more does no harm"


def test_signing_in_again_ends_what_was(service: Service) -> None:
    with service.browser() as browser:
        before = browser.cookies[COOKIE]
        assert browser.post("/v1/session", json={"key": TOKEN}).status_code == 204
        assert browser.cookies[COOKIE] != before
        with service.client(None, cookies={COOKIE: before}) as old:
            assert old.get("/v1/slides").status_code == 401


def test_revoking_the_key_ends_it(service: Service) -> None:
    keys = ApiKeys(service.database)
    key, secret = keys.create("lung", "guest", Scope.VIEW)
    with service.browser(secret) as browser:
        assert browser.get("/v1/slides").status_code == 200
        keys.revoke(key.id)
        assert browser.get("/v1/slides").status_code == 401
        assert browser.get("/v1/session").json() == SIGNED_OUT


def test_sessions_are_listed_and_ended(service: Service) -> None:
    keys = ApiKeys(service.database)
    ann, bob, head = (keys.create("liver", name, Scope.VIEW)[1] for name in ("Ann", "Bob", "Eve"))
    head = keys.create("liver", "head", Scope.ADMIN)[1]
    with (
        service.browser(ann) as here,
        service.browser(ann) as there,
        service.browser(bob) as bobs,
        service.client(head) as admin,
        service.client() as stranger,
    ):
        listed = here.get("/v1/sessions").json()["sessions"]
        assert [(one["key_name"], one["current"]) for one in listed] == [
            ("Ann", True),
            ("Ann", False),
        ]
        assert listed[0]["created_at"] <= listed[0]["used_at"] < listed[0]["idle_until"]
        assert listed[0]["idle_until"] < listed[0]["expires_at"]
        text = json.dumps(listed)
        assert not [one for one in (here, there) if one.cookies[COOKIE] in text]
        everybodys = admin.get("/v1/sessions").json()["sessions"]
        assert [one["key_name"] for one in everybodys] == ["Ann", "Ann", "Bob"]
        of_bob = f"/v1/sessions/{everybodys[2]['id']}"
        other = f"/v1/sessions/{listed[1]['id']}"
        ours = {"Origin": service.url}
        assert here.delete(other).status_code == 403, "a page of another site"
        assert here.delete(of_bob, headers=ours).status_code == 404
        assert stranger.delete(of_bob).status_code == 404
        assert here.delete(other, headers=ours).status_code == 204
        assert there.get("/v1/slides").status_code == 401
        assert here.get("/v1/slides").status_code == 200
        assert admin.delete(of_bob).status_code == 204
        assert bobs.get("/v1/slides").status_code == 401
        assert admin.delete(of_bob).status_code == 404


def test_what_happens_is_noted_and_logged_by_id(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="api")
    caplog.handler.setFormatter(logs.JsonLines())
    with service.browser() as browser:
        secret = browser.cookies[COOKIE]
        (current,) = (
            one for one in browser.get("/v1/sessions").json()["sessions"] if one["current"]
        )
        browser.delete("/v1/session")
    wanted = sa.select(audit.c.action).where(audit.c.object_id == current["id"])
    with service.database.read() as connection:
        actions = list(connection.execute(wanted.order_by(audit.c.id)).scalars())
    assert actions == ["session.start", "session.end"]
    deadline = time.monotonic() + 30
    while "/v1/sessions" not in caplog.text:  # written after the answer went out
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert secret not in caplog.text
    assert TOKEN not in caplog.text
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    (line,) = [line for line in lines if line.get("route") == "/v1/sessions"]
    assert (line["session"], line["client"]) == (current["id"], "127.0.0.1")


def test_an_idle_browser_is_signed_out_and_a_busy_one_is_not(tmp_path: Path) -> None:
    """Renewed beside the requests: they write nothing."""
    with running(settings_in(tmp_path, session_idle_seconds=3)) as service:
        with service.browser() as busy, service.browser() as idle:
            began = time.monotonic()
            while time.monotonic() - began < 5:
                assert busy.get("/v1/session").json()["signed_in"]
                time.sleep(0.2)
            assert not idle.get("/v1/session").json()["signed_in"]
        row = sa.select(sa.func.max(sessions.c.used_at - sessions.c.created_at))
        with service.database.read() as connection:
            assert connection.execute(row).scalar_one() > 3


def test_no_browser_stays_signed_in_for_ever(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, session_seconds=2)
    with running(settings) as service, service.browser() as browser:
        deadline = time.monotonic() + 30
        while browser.get("/v1/session").json()["signed_in"]:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_many_sessions_of_a_key_share_what_it_may_ask(tmp_path: Path) -> None:
    with running(settings_in(tmp_path, requests_per_minute=10)) as service:
        secret = service.key()
        with service.browser(secret) as one, service.browser(secret) as other:
            statuses = [
                browser.get("/v1/slides").status_code for _ in range(8) for browser in (one, other)
            ]
        # Each session's first request is taken before its key is known.
        assert 10 <= statuses.count(200) <= 13
        assert set(statuses) == {200, 429}
