"""What is around every request: ids, logs, headers, limits, sign-in, health and figures."""

import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from jobs_support import PROBLEM, Store
from service_support import TOKEN, Service, running, settings_in

from api.http.limits import Allowances
from wsi_pipeline.service import logs
from wsi_pipeline.service.database import now
from wsi_pipeline.service.tables import new_id, slides, workers


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(settings_in(tmp_path_factory.mktemp("service"))) as service:
        yield service


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


ID = re.compile(r"[0-9a-f]{32}")


def test_requests_have_ids(http: httpx.Client) -> None:
    given = http.get("/healthz", headers={"X-Request-ID": "scanner-7.42_a"})
    assert given.headers["x-request-id"] == "scanner-7.42_a"
    for bad in (b"a b", b"x" * 65, b"a;b", "é".encode("latin-1")):
        made = http.get("/healthz", headers={b"X-Request-ID": bad}).headers["x-request-id"]
        assert ID.fullmatch(made), bad
    assert len({http.get("/healthz").headers["x-request-id"] for _ in range(2)}) == 2


@pytest.mark.parametrize(
    ("path", "status"),
    [("/healthz", 200), ("/", 401), ("/v1/jobs", 200), ("/nowhere", 404), ("/v1/jobs/x", 422)],
)
def test_every_answer_has_security_headers(http: httpx.Client, path: str, status: int) -> None:
    answer = http.get(path)
    assert answer.status_code == status
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


def test_wrong_methods_and_paths_are_problems(http: httpx.Client) -> None:
    refused = http.put("/v1/jobs")
    assert (refused.status_code, refused.json()["type"]) == (405, "/problems/method-not-allowed")
    assert refused.headers["allow"] == "GET, POST"
    assert http.get("/v1/nowhere").json()["type"] == "/problems/not-found"


def test_names_that_are_not_this_machines_are_refused(service: Service, http: httpx.Client) -> None:
    port = service.url.rpartition(":")[2]
    for good in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", "LOCALHOST"):
        assert http.get("/healthz", headers={"Host": good}).status_code == 200, good
    for bad in ("example.org", f"127.0.0.1.example.org:{port}", "", "localhost.example.org"):
        refused = http.get("/healthz", headers={"Host": bad})
        assert refused.status_code == 400, bad
        assert refused.headers["content-type"] == "application/problem+json"


def test_names_of_a_proxy_can_be_allowed(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, public_hosts=("slides.example.org",))
    with running(settings) as service, service.client() as http:
        ours = {"Host": "slides.example.org"}
        assert http.get("/healthz", headers=ours).status_code == 200
        assert http.get("/healthz", headers={"Host": "example.org"}).status_code == 400


def test_signing_in_sets_a_cookie_and_takes_the_token_off_the_address(service: Service) -> None:
    with service.client(None) as browser:
        assert browser.get("/").status_code == 401
        signed = browser.get("/", params={"token": TOKEN})
        assert (signed.status_code, signed.headers["location"]) == (303, "/")
        cookie = signed.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        page = browser.get("/")
        assert page.status_code == 200
        assert "/v1/openapi.json" in page.text
        assert TOKEN not in page.text
        assert "<script" not in page.text
        assert "style" not in page.text
        assert browser.get("/v1/jobs").status_code == 200
        assert browser.delete("/v1/session").status_code == 204
        assert browser.get("/").status_code == 401
        for bad in ("wrong", "", "x" * 500):
            assert browser.get("/", params={"token": bad}).status_code in (401, 422)


def test_signing_in_with_a_key(service: Service) -> None:
    with service.client(None) as browser:
        assert browser.post("/v1/session", json={"key": "wrong"}).status_code == 401
        elsewhere = {"Origin": "https://elsewhere.example.org"}
        refused = browser.post("/v1/session", json={"key": TOKEN}, headers=elsewhere)
        assert refused.status_code == 403
        assert browser.post("/v1/session", json={"key": TOKEN}).status_code == 204
        assert browser.get("/v1/jobs").status_code == 200


def test_health_and_readiness(service: Service, http: httpx.Client) -> None:
    with service.client(None) as stranger:
        assert stranger.get("/healthz").json() == {"alive": True}
        unready = stranger.get("/readyz")
        parts = {"database": True, "storage": True, "worker": False}
        assert (unready.status_code, unready.json()) == (503, {"ready": False, **parts})
        with service.database.write() as connection:
            seen = {"host": "here", "pid": 1, "started_at": now(), "seen_at": now()}
            connection.execute(workers.insert().values(id=new_id(), **seen))
        ready = stranger.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (200, True)
        with service.database.write() as connection:
            connection.execute(workers.update().values(seen_at=now() - 3600))
        assert stranger.get("/readyz").json()["worker"] is False


def test_readiness_without_storage(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where a folder should be")
    settings = settings_in(tmp_path, storage=str(tmp_path / "store"))
    with running(settings) as service, service.client() as http:
        unready = http.get("/readyz")
        assert (unready.status_code, unready.json()["storage"]) == (503, False)
        assert unready.json()["database"] is True


def figures(http: httpx.Client) -> dict[str, float]:
    text = http.get("/metrics").raise_for_status().text
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_figures_for_prometheus(tmp_path: Path) -> None:
    with running(settings_in(tmp_path)) as service, service.client() as http:
        with service.client(None) as stranger:
            assert stranger.get("/metrics").status_code == 401
        store, access = Store(service.database), service.access()
        waiting, other = (store.job(access) for _ in range(2))
        store.let_time_pass(100, waiting)
        running_job = store.claim().job
        store.queue.renew(running_job, stage="classifying", tiles_per_second=12.5)
        store.let_time_pass(50, other)
        failed = store.job(access, priority=10)
        assert store.queue.fail(store.claim().job, PROBLEM, final=True)
        http.patch("/v1/uploads/x", content=b"12345")
        http.get(f"/v1/jobs/{failed.id}")
        found = figures(http)
    assert found['wsi_jobs{state="queued"}'] == 1
    assert found['wsi_jobs{state="running"}'] == 1
    assert found['wsi_jobs{state="succeeded"}'] == 0
    assert found['wsi_jobs_running{stage="classifying"}'] == 1
    assert found["wsi_queue_depth"] == 1
    assert 49 < found["wsi_queue_oldest_seconds"] < 80
    assert found["wsi_tiles_per_second"] == 12.5
    assert found['wsi_jobs_failed_last_day{problem="/problems/internal"}'] == 1
    assert found['wsi_slides{state="ready"}'] == 3
    assert found["wsi_workers"] == 0
    route = 'handler="/v1/jobs/{job_id}",method="GET",status="200"'
    assert found[f"http_requests_total{{{route}}}"] == 1
    assert not any(failed.id in name for name in found)


def test_uploaded_bytes_are_counted(http: httpx.Client) -> None:
    before = figures(http)["wsi_upload_bytes_total"]
    http.put("/v1/slides", params={"name": "a.svs"}, content=b"x" * 100_000)
    assert figures(http)["wsi_upload_bytes_total"] == before + 100_000


def test_a_key_that_asks_too_often_waits(tmp_path: Path) -> None:
    with running(settings_in(tmp_path, requests_per_minute=5)) as service:
        other = service.key("elsewhere")
        with service.client() as http, service.client(other) as neighbour:
            answers = [http.get("/v1/jobs") for _ in range(7)]
            assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
            refused = answers[-1]
            assert refused.json()["type"] == "/problems/too-many-requests"
            assert 1 <= int(refused.headers["retry-after"]) <= 12
            assert neighbour.get("/v1/jobs").status_code == 200


def test_an_address_that_tries_keys_waits_and_known_keys_do_not(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, requests_per_minute=100)
    with running(settings) as service, service.client() as known:
        assert known.get("/v1/jobs").status_code == 200
        began, statuses = time.monotonic(), []
        for number in range(60):
            wrong = {"Authorization": f"Bearer wrong {number}"}
            statuses.append(known.get("/v1/jobs", headers=wrong).status_code)
        assert set(statuses) == {401, 429}
        assert 30 <= statuses.count(401) <= 31 + (time.monotonic() - began) / 2
        assert known.get("/v1/jobs").status_code == 200


def test_allowances_grow_again() -> None:
    time = [0.0]
    allowances = Allowances(60, lambda: time[0])
    assert [allowances.take("a") for _ in range(60)] == [0.0] * 60
    assert allowances.take("a") == pytest.approx(1.0)
    assert allowances.take("b") == 0
    time[0] = 0.5
    assert allowances.take("a") == pytest.approx(0.5)
    time[0] = 1.0
    assert allowances.take("a") == 0
    time[0] = 3600.0
    assert [allowances.take("a") for _ in range(61)][:60] == [0.0] * 60


def test_callers_that_are_remembered_are_bounded() -> None:
    allowances = Allowances(60, lambda: 0.0)
    for number in range(10_050):
        allowances.take(str(number))
    assert not allowances.knows("0")
    assert allowances.knows("10049")


def test_an_unexpected_failure_is_a_problem_and_its_words_stay_inside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caplog.handler.setFormatter(logs.JsonLines())
    with running(settings_in(tmp_path)) as service, service.client() as http:

        @service.app.get("/v1/broken/{slide_id}")
        def broken(slide_id: str) -> None:
            raise RuntimeError("DOE^JANE.svs is broken")

        slide_id = new_id()
        answer = http.get(f"/v1/broken/{slide_id}?patient=DOE", headers={"X-Request-ID": "r1"})
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal"
    assert "x-content-type-options" in answer.headers
    assert "DOE" not in answer.text
    records = [json.loads(line) for line in caplog.text.splitlines()]
    failure = next(record for record in records if record["message"] == "unexpected failure")
    assert failure["request_id"] == "r1"
    assert failure["error"]["type"] == "RuntimeError"
    assert any("broken" in frame for frame in failure["error"]["where"])
    line = next(record for record in records if record["message"] == "request")
    assert (line["route"], line["status"]) == ("/v1/broken/{slide_id}", 500)
    assert line["slide_id"] == slide_id
    assert "DOE" not in caplog.text


def test_logs_hold_ids_and_no_names(
    service: Service, http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="api")
    caplog.handler.setFormatter(logs.JsonLines())
    store, access = Store(service.database), service.access()
    job = store.job(access)
    with service.database.write() as connection:
        connection.execute(slides.update().values(name="DOE^JANE.svs"))
    http.get(f"/v1/jobs/{job.id}", params={"name": "DOE"})
    http.get("/v1/jobs/DOE^JANE")
    http.get("/DOE^JANE.svs")
    http.get("/", params={"token": "DOE"})
    http.put("/v1/slides", params={"name": "DOE^JANE.svs"}, content=b"DOE")
    assert "DOE" not in caplog.text
    assert TOKEN not in caplog.text
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    line = next(line for line in lines if line.get("job_id") == job.id)
    assert line["workspace"] == access.workspace_id
    assert line["key"] == access.key_id
    assert line["route"] == "/v1/jobs/{job_id}"


def test_a_database_that_does_not_answer_is_said_so(tmp_path: Path) -> None:
    with running(settings_in(tmp_path)) as service, service.client() as http:

        @service.app.get("/v1/stuck")
        def stuck() -> None:
            raise sa.exc.OperationalError("SELECT", {}, Exception("database is locked"))

        answer = http.get("/v1/stuck")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
        assert "retry-after" in answer.headers
        assert "locked" not in answer.text


def test_a_stop_waits_for_requests_that_run(tmp_path: Path) -> None:
    with running(settings_in(tmp_path)) as service, service.client() as http:
        entered, leave = threading.Event(), threading.Event()

        @service.app.get("/v1/slow")
        def slow() -> str:
            entered.set()
            assert leave.wait(20)
            return "done"

        answers: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: answers.append(http.get("/v1/slow")))
        asking.start()
        assert entered.wait(20)
        service.server.should_exit = True
        assert service.app.state.services.stopping.wait(20)
        leave.set()
        asking.join(20)
        assert answers[0].json() == "done"
