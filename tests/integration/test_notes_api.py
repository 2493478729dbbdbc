"""Notes over real sockets: who writes and reads them, and how they come out for QuPath."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from geojson_support import check_qupath
from service_support import Service, running, settings_in

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.export.findings import find
from wsi_pipeline.model import loaded
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.run.work import Work
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.jobs.queue import JobQueue
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.storage import open_storage
from wsi_pipeline.testing import FakePredictor, write_pyramid
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def service(folder: Path, stub_package: ModelPackage) -> Iterator[Service]:
    (folder / "models").mkdir()
    (folder / "models" / "stub").symlink_to(stub_package.folder)
    with running(settings_in(folder, requests_per_minute=0)) as started:
        yield started


def named(service: Service, name: str, scope: Scope, workspace: str = "default") -> httpx.Client:
    """A client with a key of its own."""
    return service.client(ApiKeys(service.database).create(workspace, name, scope)[1])


@pytest.fixture(scope="module")
def ann(service: Service) -> Iterator[httpx.Client]:
    with named(service, "Ann", Scope.SUBMIT) as client:
        yield client


@pytest.fixture(scope="module")
def ben(service: Service) -> Iterator[httpx.Client]:
    with named(service, "Ben", Scope.ADMIN) as client:
        yield client


@pytest.fixture(scope="module")
def guest(service: Service) -> Iterator[httpx.Client]:
    with named(service, "Guest", Scope.VIEW) as client:
        yield client


def order(http: httpx.Client, folder: Path) -> str:
    """A job on a slide with three tumours; the same bytes each time."""
    path = folder / "a.tiff"
    if not path.exists():
        image = np.full((512, 768, 3), NORMAL_COLOUR, np.uint8)
        for left in (0, 256, 512):
            image[64:192, left : left + 128] = TUMOUR_COLOUR
        write_pyramid(path, image)
    slide = http.put("/v1/slides?name=a.tiff", content=path.read_bytes()).raise_for_status()
    body = {"slide_id": slide.json()["id"], "model": "stub"}
    deadline = time.monotonic() + 60
    while http.get(f"/v1/slides/{body['slide_id']}").json()["state"] == "checking":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return str(http.post("/v1/jobs", json=body).raise_for_status().json()["id"])


@pytest.fixture(scope="module")
def job(service: Service, ann: httpx.Client, folder: Path, stub_package: ModelPackage) -> str:
    """Finished as a worker does, with a predictor that looks at colours only; its address."""
    job_id, queue = order(ann, folder), JobQueue(service.database, lease_seconds=3600)
    claim = queue.claim("worker")
    assert claim is not None
    config = AnalysisSettings(device="cpu", precision="fp32")
    with pytest.MonkeyPatch.context() as patch, connect(None, 2) as scheduler:
        patch.setattr(loaded, "load_predictor", lambda *_, **__: FakePredictor(patch_px=64))
        work = Work(
            stub_package, config, RuntimeRequest("cpu", "fp32", folder / "cache"), scheduler
        )
        prepared = prepare(folder / "a.tiff", stub_package, config)
        result = analyse_slide(prepared, folder / "a.zarr", work)
    findings = find(result)
    assert findings.regions == 3
    location = f"results/{job_id}/mask.zarr"
    open_storage(service.settings.storage_url).put_tree(location, result.path)
    assert queue.succeed(claim, location, findings.to_json())[0]
    return f"/v1/jobs/{job_id}"


@pytest.fixture
def notes(job: str, ann: httpx.Client, ben: httpx.Client) -> Iterator[str]:
    """Where notes are; none are left of the test before."""
    yield f"{job}/notes"
    for http in (ann, ben):
        for region in (1, 2, 3):
            assert http.delete(f"{job}/notes/{region}").status_code == 204


def listed(http: httpx.Client, notes: str) -> list[dict[str, Any]]:
    answer = http.get(notes)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["notes"]
    return found


def test_what_one_writes_the_others_read(
    notes: str, ann: httpx.Client, ben: httpx.Client, guest: httpx.Client
) -> None:
    written = ann.put(f"{notes}/2", json={"verdict": "disagree", "comment": " a fold,\nno µ "})
    assert written.status_code == 200
    note = written.json()
    assert note["region"] == 2
    assert note["verdict"] == "disagree"
    assert note["comment"] == "a fold,\nno µ"
    assert note["author"]["name"] == "Ann"
    assert note["mine"] is True
    assert ben.put(f"{notes}/2", json={"verdict": "agree"}).json()["comment"] == ""
    for http, mine in ((ann, [True, False]), (ben, [False, True]), (guest, [False, False])):
        found = listed(http, notes)
        assert [one["author"]["name"] for one in found] == ["Ann", "Ben"]
        assert [one["mine"] for one in found] == mine
        assert {**found[0], "mine": True} == note
    again = ann.put(f"{notes}/2", json={"verdict": "disagree", "comment": "a fold,\nno µ"})
    assert again.json() == note
    for _ in range(2):
        assert ann.delete(f"{notes}/2").status_code == 204
    assert [one["author"]["name"] for one in listed(guest, notes)] == ["Ben"]


def test_an_empty_note_is_none(notes: str, ann: httpx.Client) -> None:
    ann.put(f"{notes}/1", json={"verdict": "agree"})
    for body in ({}, {"verdict": None, "comment": " \n"}):
        answer = ann.put(f"{notes}/1", json=body)
        assert (answer.status_code, answer.json()) == (200, None)
        assert listed(ann, notes) == []


def test_guests_only_read(notes: str, guest: httpx.Client) -> None:
    assert guest.put(f"{notes}/1", json={"verdict": "agree"}).status_code == 403
    assert guest.delete(f"{notes}/1").status_code == 403
    assert listed(guest, notes) == []


@pytest.mark.parametrize(
    "body",
    [
        {"verdict": "perhaps"},
        {"verdict": "agree", "comment": "x" * 2001},
        {"comment": None},
        {"comment": "a\x00b"},
        {"comment": "a\x1bb"},
        {"comment": 7},
        {"verdict": "agree", "author": "somebody else"},
        [],
    ],
)
def test_notes_that_are_refused(notes: str, ann: httpx.Client, body: Any) -> None:
    answer = ann.put(f"{notes}/1", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")
    assert listed(ann, notes) == []


def test_half_a_character_is_refused(notes: str, ann: httpx.Client) -> None:
    body = b'{"comment": "\\ud800"}'
    answer = ann.put(f"{notes}/1", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("region", "status"),
    [("4", 404), ("50000000", 404), ("0", 422), ("-1", 422), ("99999999999", 422), ("x", 422)],
)
def test_regions_that_are_not_there(
    notes: str, ann: httpx.Client, region: str, status: int
) -> None:
    assert ann.put(f"{notes}/{region}", json={"verdict": "agree"}).status_code == status
    assert ann.delete(f"{notes}/{region}").status_code == status


def test_a_page_of_another_site_cannot_write(
    service: Service, notes: str, ann: httpx.Client
) -> None:
    """The cookie alone is not enough."""
    secret = ann.headers["authorization"].partition(" ")[2]
    with service.browser(secret) as browser:
        for origin in (None, "https://elsewhere.example.org"):
            headers = {} if origin is None else {"Origin": origin}
            refused = browser.put(f"{notes}/1", json={"verdict": "agree"}, headers=headers)
            assert refused.status_code == 403
        ours = {"Origin": service.url}
        assert browser.put(f"{notes}/1", json={"verdict": "agree"}, headers=ours).status_code == 200


def test_identical_work_of_two_workspaces(
    service: Service, folder: Path, job: str, notes: str, ann: httpx.Client
) -> None:
    """They share a result, and nothing that was said of it."""
    ann.put(f"{notes}/1", json={"comment": "between us"})
    with named(service, "Eve", Scope.ADMIN, "elsewhere") as eve:
        theirs = f"/v1/jobs/{order(eve, folder)}"
        ids = [http.get(f"{url}/result").json()["id"] for http, url in ((ann, job), (eve, theirs))]
        assert ids[0] == ids[1]
        for answer in (
            eve.get(notes),
            eve.put(f"{notes}/1", json={"verdict": "agree"}),
            eve.delete(f"{notes}/1"),
            eve.get(f"{job}/regions.geojson", params={"notes": "true"}),
        ):
            assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
        assert listed(eve, f"{theirs}/notes") == []
        exported = eve.get(f"{theirs}/regions.geojson", params={"notes": "true"})
        assert "between us" not in exported.text
        assert exported.content == eve.get(f"{theirs}/regions.geojson").content
        assert eve.put(f"{theirs}/notes/1", json={"verdict": "agree"}).status_code == 200
        assert eve.delete(theirs).status_code == 204
    assert [one["comment"] for one in listed(ann, notes)] == ["between us"]


def test_identical_work_of_one_workspace(
    folder: Path, notes: str, ann: httpx.Client, ben: httpx.Client
) -> None:
    ann.put(f"{notes}/1", json={"verdict": "agree"})
    other = f"/v1/jobs/{order(ben, folder)}"
    assert listed(ben, f"{other}/notes") == listed(ben, notes)
    ben.put(f"{other}/notes/3", json={"verdict": "disagree"})
    assert [one["region"] for one in listed(ann, notes)] == [1, 3]
    assert ben.delete(other).status_code == 204
    assert [one["region"] for one in listed(ann, notes)] == [1, 3]


# -- with the outlines


def test_the_outlines_with_notes_are_a_file_for_qupath(
    job: str, notes: str, ann: httpx.Client, ben: httpx.Client
) -> None:
    url = f"{job}/regions.geojson"
    plain = ann.get(url).json()
    ann.put(f"{notes}/1", json={"verdict": "disagree", "comment": 'a "fold"\n, not tumour </b>'})
    ben.put(f"{notes}/1", json={"verdict": "agree"})
    ben.put(f"{notes}/3", json={"comment": "mitosis ≥ 2"})
    answer = ann.get(url, params={"notes": "true"})
    assert answer.headers["content-type"] == "application/geo+json"
    check_qupath(answer.json())
    texts = [feature["properties"].get("metadata") for feature in answer.json()["features"]]
    assert texts[1] is None
    assert texts[0]["Agree"] == texts[0]["Disagree"] == "1"
    assert texts[0]["Note 1"].startswith("Ann, 20")
    assert texts[0]["Note 1"].endswith('Disagree. a "fold"\n, not tumour </b>')
    assert texts[0]["Note 2"].endswith("+00:00: Agree")
    assert texts[0]["ANNOTATION_DESCRIPTION"] == f"{texts[0]['Note 1']}\n{texts[0]['Note 2']}"
    assert texts[2]["Note 1"].endswith(": mitosis ≥ 2")
    # Nothing else of the file differs.
    without = answer.json()
    for feature in without["features"]:
        feature["properties"].pop("metadata", None)
    assert without == plain
    assert ann.get(url).json() == plain


def test_outlines_with_notes_are_never_stale(job: str, notes: str, ann: httpx.Client) -> None:
    url = f"{job}/regions.geojson?notes=true"
    before = ann.get(url)
    assert before.headers["cache-control"] == "private, no-cache"
    assert "immutable" in ann.get(f"{job}/regions.geojson").headers["cache-control"]
    known = {"If-None-Match": before.headers["etag"]}
    assert ann.get(url, headers=known).status_code == 304
    ann.put(f"{notes}/2", json={"verdict": "agree"})
    after = ann.get(url, headers=known)
    assert after.status_code == 200
    assert after.headers["etag"] != before.headers["etag"]
    head = ann.head(url)
    assert head.headers["content-length"] == str(len(after.content))
    assert head.headers["etag"] == after.headers["etag"]
    part = ann.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, after.content[10:20])
    ann.delete(f"{notes}/2")
    assert ann.get(url).content == before.content == ann.get(f"{job}/regions.geojson").content


def test_notes_change_nothing_that_is_kept(job: str, notes: str, ann: httpx.Client) -> None:
    """The file without notes is the same bytes before and after, by the same ETag."""
    before = ann.get(f"{job}/regions.geojson")
    ann.put(f"{notes}/1", json={"comment": "x"})
    assert ann.get(f"{job}/regions.geojson?notes=true").json() != before.json()
    after = ann.get(f"{job}/regions.geojson?notes=false")
    assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])
    assert len(json.loads(after.content)["features"]) == 3
