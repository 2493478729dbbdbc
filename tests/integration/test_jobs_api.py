"""Jobs over HTTP: asked for, listed, given up, tried again; models; and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jobs_support import PROBLEM, Store, digest
from service_support import Service, running, settings_in

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.tables import new_id

MODEL = "stub"


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, stub_package: ModelPackage
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "models").mkdir()
    (folder / "models" / MODEL).symlink_to(stub_package.folder)
    settings = settings_in(folder, webhook_secret="s" * 32, webhook_hosts=("hooks.example.org",))
    with running(settings) as service:
        yield service


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture
def store(service: Service) -> Store:
    """The same job store, seen from inside."""
    return Store(service.database)


@pytest.fixture
def slide_id(service: Service, store: Store) -> str:
    return store.slide(service.access(), digest(new_id())).id


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert found["status"] == status
    assert found["request_id"] == response.headers["x-request-id"]
    return found


def order(slide_id: str, **more: Any) -> dict[str, Any]:
    return {"slide_id": slide_id, "model": MODEL, **more}


def test_a_job_is_queued_and_read(
    http: httpx.Client, slide_id: str, stub_package: ModelPackage
) -> None:
    made = http.post("/v1/jobs", json=order(slide_id, stride=32, threshold=0.7, priority=5))
    assert made.status_code == 201, made.text
    job = made.json()
    assert made.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["state"] == "queued"
    assert (job["slide_id"], job["model"], job["priority"]) == (slide_id, MODEL, 5)
    assert job["model_sha256"] == stub_package.sha256
    assert job["config"] == {"stride": 32, "threshold": 0.7}
    assert job["tiles"] == {"done": 0, "total": None}
    assert job["position"] >= 1
    assert job["created_at"].endswith("Z")
    read = http.get(made.headers["location"]).json()
    assert read == {**job, "position": read["position"]}


def test_what_is_left_out_counts_as_the_packages(http: httpx.Client, slide_id: str) -> None:
    """The fingerprint is that of the analysis: a threshold spelled out is no other work."""
    one = http.post("/v1/jobs", json=order(slide_id)).json()
    other = http.post("/v1/jobs", json=order(slide_id, threshold=0.5, mpp=0.5)).json()
    different = http.post("/v1/jobs", json=order(slide_id, threshold=0.6, screen="off")).json()
    assert one["config"] == {}
    assert other["config"] == {"threshold": 0.5, "mpp": 0.5}
    assert different["config"] == {"threshold": 0.6, "screen": "off"}


def test_identical_work_succeeds_at_once(http: httpx.Client, store: Store, slide_id: str) -> None:
    first = http.post("/v1/jobs", json=order(slide_id, priority=100)).json()
    claim = store.claim()
    while claim.job.id != first["id"]:
        store.queue.succeed(claim, f"results/{new_id()}/mask.zarr", {})
        claim = store.claim()
    store.queue.succeed(claim, f"results/{new_id()}/mask.zarr", {})
    done = http.get(f"/v1/jobs/{first['id']}").json()
    again = http.post("/v1/jobs", json=order(slide_id, threshold=0.5)).json()
    assert done["state"] == again["state"] == "succeeded"
    assert again["result_id"] == done["result_id"]
    assert again["id"] != first["id"]
    assert again["finished_at"] is not None


def test_a_batch_is_all_or_nothing(http: httpx.Client, slide_id: str) -> None:
    before = http.get("/v1/jobs").json()["total"]
    made = http.post(
        "/v1/jobs", json={"jobs": [order(slide_id, stride=20), order(slide_id, stride=21)]}
    )
    assert made.status_code == 201
    assert [job["config"]["stride"] for job in made.json()["jobs"]] == [20, 21]
    one_bad = {"jobs": [order(slide_id), order(new_id())]}
    problem(http.post("/v1/jobs", json=one_bad), 404)
    assert http.get("/v1/jobs").json()["total"] == before + 2


def test_the_same_idempotency_key_makes_a_job_once(http: httpx.Client, slide_id: str) -> None:
    key = {"Idempotency-Key": new_id()}
    one = http.post("/v1/jobs", json=order(slide_id), headers=key).json()
    two = http.post("/v1/jobs", json=order(slide_id), headers=key).json()
    assert one["id"] == two["id"]
    for other in (order(slide_id, stride=9), order(slide_id, allow_unreadable=0.5)):
        refused = problem(http.post("/v1/jobs", json=other, headers=key), 422)
        assert refused["type"] == "/problems/idempotency-key-reused"


def test_jobs_are_listed_newest_first_in_pages(http: httpx.Client, slide_id: str) -> None:
    ids = [http.post("/v1/jobs", json=order(slide_id, stride=n)).json()["id"] for n in (1, 2, 3)]
    listed = http.get("/v1/jobs", params={"slide_id": slide_id}).json()
    assert (listed["total"], [job["id"] for job in listed["jobs"]]) == (3, ids[::-1])
    page = http.get("/v1/jobs", params={"slide_id": slide_id, "offset": 1, "limit": 1}).json()
    assert (page["total"], page["jobs"][0]["id"]) == (3, ids[1])
    http.post(f"/v1/jobs/{ids[0]}/cancel")
    query = {"slide_id": slide_id, "state": "cancelled"}
    assert [job["id"] for job in http.get("/v1/jobs", params=query).json()["jobs"]] == [ids[0]]
    positions = [job["position"] for job in listed["jobs"]]
    assert positions == sorted(positions, reverse=True)


def test_cancel_retry_delete(http: httpx.Client, slide_id: str) -> None:
    path = http.post("/v1/jobs", json=order(slide_id)).headers["location"]
    problem(http.delete(path), 409)
    problem(http.post(f"{path}/retry"), 409)
    cancelled = http.post(f"{path}/cancel").json()
    assert cancelled["state"] == "cancelled"
    assert http.post(f"{path}/cancel").json()["state"] == "cancelled"
    retried = http.post(f"{path}/retry").json()
    assert (retried["state"], retried["attempts"]) == ("queued", 0)
    assert retried["cancel_requested"] is False
    http.post(f"{path}/cancel")
    assert http.delete(path).status_code == 204
    problem(http.get(path), 404)


def test_progress_and_failures_are_shown(
    service: Service, http: httpx.Client, store: Store, slide_id: str
) -> None:
    path = http.post("/v1/jobs", json=order(slide_id, priority=100)).headers["location"]
    claim = store.claim()
    assert path.endswith(claim.job.id)
    store.queue.renew(
        claim.job, stage="classifying", tiles_done=10, tiles_total=40, tiles_per_second=2.0
    )
    running = http.get(path).json()
    assert (running["state"], running["stage"]) == ("running", "classifying")
    assert running["tiles"] == {"done": 10, "total": 40}
    assert running["tiles_per_second"] == 2
    assert running["expected_at"] > running["started_at"]
    store.queue.fail(claim.job, PROBLEM, final=True)
    failed = http.get(path).json()
    assert (failed["state"], failed["problem"], failed["attempts"]) == ("failed", PROBLEM, 1)


def test_a_running_job_shows_that_it_was_asked_to_stop(
    http: httpx.Client, store: Store, slide_id: str
) -> None:
    path = http.post("/v1/jobs", json=order(slide_id, priority=100)).headers["location"]
    claim = store.claim()
    asked = http.post(f"{path}/cancel").json()
    assert (asked["state"], asked["cancel_requested"]) == ("running", True)
    store.queue.cancelled(claim.job)
    assert http.get(path).json()["state"] == "cancelled"


def test_models_are_listed_with_what_they_are_for(
    http: httpx.Client, stub_package: ModelPackage
) -> None:
    (model,) = http.get("/v1/models").json()["models"]
    assert (model["name"], model["sha256"]) == (MODEL, stub_package.sha256)
    assert (model["mpp"], model["threshold"], model["synthetic"]) == (0.5, 0.5, True)
    assert model["notice"] == "Trained on synthetic tissue"
    assert model["intended_use"] == "tests"
    assert model["task"] == "binary"
    assert model["class_colours"] == {"tumour": "#d50000"}
    description = stub_package.description
    assert model["architecture"] == description.architecture.name
    assert model["calibration"] == description.calibration.fitted
    assert model["training_data"] == description.training.data
    assert model["metrics"] == description.training.metrics


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"slide_id": "no-id"}, "slide_id"),
        ({"model": "absent"}, "no model of this name"),
        ({"model": "../stub"}, "model"),
        ({"stride": 65}, "leave tissue unclassified"),
        ({"stride": 0}, "stride"),
        ({"mpp": 0.5, "level": 1}, "mpp or level"),
        ({"threshold": 1}, "threshold"),
        ({"min_tissue": 2}, "min_tissue"),
        ({"slide_mpp": 352}, "slide_mpp"),
        ({"priority": 1000}, "priority"),
        ({"precision": "fp64"}, "precision"),
        ({"screen": "always"}, "screen"),
        ({"device": "cuda:0"}, "device"),
        ({"webhook": "https://elsewhere.example.org/"}, "may not go"),
        ({"webhook": "https://hooks.example.org@elsewhere.example.org/"}, "user and password"),
        ({"webhook": "file:///etc/passwd"}, "https"),
    ],
    ids=str,
)
def test_wrong_orders_are_refused(
    http: httpx.Client, slide_id: str, change: dict[str, Any], said: str
) -> None:
    refused = problem(http.post("/v1/jobs", json={**order(slide_id), **change}), 422)
    assert said in refused["detail"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b'{"jobs": []}', b'{"\\ud800": 1}']
)
def test_bodies_that_are_no_order_are_refused(http: httpx.Client, body: bytes) -> None:
    problem(http.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"}), 422)


def test_bodies_are_bounded(service: Service, http: httpx.Client) -> None:
    """Also one that does not say how long it is, and before anybody's key is looked at."""
    problem(http.post("/v1/jobs", content=b" " * (3 << 20)), 413)

    def endless() -> Iterator[bytes]:
        for _ in range(48):
            yield b" " * 65536

    problem(http.post("/v1/jobs", content=endless()), 413)
    with service.client(None) as stranger:
        problem(stranger.post("/v1/jobs", content=b" " * (3 << 20)), 413)


def test_allowed_webhooks_are_kept(http: httpx.Client, slide_id: str) -> None:
    hook = "https://hooks.example.org/done?id=1"
    assert http.post("/v1/jobs", json=order(slide_id, webhook=hook)).json()["webhook"] == hook


def test_without_a_secret_no_webhook_is_taken(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, webhook_hosts=("hooks.example.org",))
    with running(settings) as service, service.client() as http:
        asked = order(new_id(), webhook="https://hooks.example.org/")
        assert "webhook_secret" in problem(http.post("/v1/jobs", json=asked), 422)["detail"]


def test_scopes_are_needed(service: Service, slide_id: str) -> None:
    with service.client(service.key(scope=Scope.VIEW)) as viewer:
        assert viewer.get("/v1/jobs").status_code == 200
        problem(viewer.post("/v1/jobs", json=order(slide_id)), 403)
    with service.client(service.key(scope=Scope.SUBMIT)) as submitter:
        assert submitter.post("/v1/jobs", json=order(slide_id)).status_code == 201
    with service.client(None) as stranger:
        answer = stranger.post("/v1/jobs", json=order(slide_id))
        problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_the_cookie_counts_for_pages_of_ours_only(service: Service, slide_id: str) -> None:
    with service.browser() as browser:
        assert browser.get("/v1/jobs").status_code == 200
        problem(browser.post("/v1/jobs", json=order(slide_id)), 403)
        elsewhere = {"Origin": "https://elsewhere.example.org"}
        problem(browser.post("/v1/jobs", json=order(slide_id), headers=elsewhere), 403)
        ours = browser.post("/v1/jobs", json=order(slide_id), headers={"Origin": service.url})
        assert ours.status_code == 201
