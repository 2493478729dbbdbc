"""The service keeps what its OpenAPI document promises, whatever it is asked (schemathesis)."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from images_support import explained, png
from service_support import TOKEN, Service, running, settings_in

from api import waiting
from api.app import create_app
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.export.findings import find
from wsi_pipeline.model import loaded
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.run.work import Work
from wsi_pipeline.service.database import now
from wsi_pipeline.service.jobs.job import JobState
from wsi_pipeline.service.jobs.queue import JobQueue
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.service.tables import new_id, workers
from wsi_pipeline.storage import open_storage
from wsi_pipeline.testing import FakePredictor, write_pyramid
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR

#: They do not end by themselves; they have tests of their own.
STREAMS = ["listen_to_job", "listen_to_workspace"]
DOCUMENT = create_app(ServiceSettings()).openapi()
schema = schemathesis.openapi.from_dict(DOCUMENT).exclude(operation_id=STREAMS)

#: Only to end a test that hangs, seconds.
TIMEOUT = 120
RESULTS = (
    "result",
    "mask.zarr/zarr.json",
    "mask.zarr/0/c/0/0",
    "heatmap",
    "heatmap.png",
    "regions.geojson",
    "tiles.csv",
    "mask.tiff",
    "mask.zarr.zip",
)
#: With other methods their last part is read as the id of a slide or an image, and is none.
BESIDE_IDS = {"get_descriptor", "get_labels_csv", "get_labels_zip"}
BESIDE_IDS |= {"list_image_jobs", "create_image_job"}
IMAGE_FILES = ("thumbnail", "picture", "file", "explanation?model=stub")
WELL_FORMED = re.compile(r"[0-9a-f]{32}")
#: Ids of what is there, by the names of path parameters.
there: dict[str, str] = {}


@schemathesis.serializer("application/offset+octet-stream")
def as_bytes(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """The body of tus: any bytes."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schema.hook
def map_path_parameters(
    context: schemathesis.HookContext, parameters: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Well-formed ids become those of things that are there: every other one would be a 404.

    But for deletions: what comes after them would find nothing there.
    """
    if not parameters or context.operation is None or context.operation.method == "delete":
        return parameters
    for name, value in parameters.items():
        if name in there and WELL_FORMED.fullmatch(str(value)):
            parameters[name] = there[name]
        elif name == "share" and len(str(value)) % 2:
            parameters[name] = there["share"]
        elif name == "path" and len(str(value)) % 2:
            parameters[name] = "zarr.json" if len(str(value)) % 4 == 1 else "0/c/0/0"
    return parameters


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, stub_package: ModelPackage
) -> Iterator[Service]:
    """A service with a slide, a finished job of it, a waiting one and an open upload."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "models").mkdir()
    (folder / "models" / "stub").symlink_to(stub_package.folder)
    limits = {"requests_per_minute": 0, "tile_requests_per_minute": 0}
    with pytest.MonkeyPatch.context() as patch, running(settings_in(folder, **limits)) as started:
        patch.setattr(waiting, "WAIT_SECONDS", 0.05)  # no worker answers here
        image = np.full((256, 384, 3), NORMAL_COLOUR, np.uint8)
        image[:, :128] = TUMOUR_COLOUR
        write_pyramid(folder / "a.tiff", image)
        with started.client() as http:
            slide = http.put("/v1/slides?name=a.tiff", content=(folder / "a.tiff").read_bytes())
            there["slide_id"] = slide.raise_for_status().json()["id"]
            order = {"slide_id": there["slide_id"], "model": "stub"}
            there["job_id"] = http.post("/v1/jobs", json=order).raise_for_status().json()["id"]
            tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000000"}
            upload = http.post("/v1/uploads", headers=tus).raise_for_status()
            there["upload_id"] = upload.headers["location"].rpartition("/")[2]
            analyse(started, folder, stub_package)
            with started.database.write() as connection:
                seen = {"host": "here", "pid": 1, "started_at": now(), "seen_at": now() + 3600}
                connection.execute(workers.insert().values(id=new_id(), **seen))
            for path in RESULTS:  # made now: the first picture takes its time
                answer = http.get(f"/v1/jobs/{there['job_id']}/{path}", timeout=TIMEOUT)
                assert answer.status_code == 200, path
            prepare_images(started, http)
            link = http.post(f"/v1/jobs/{there['job_id']}/link").raise_for_status().json()["mask"]
            there["share"] = link.split("/")[3]
        yield started


def prepare_images(service: Service, http: httpx.Client) -> None:
    """An image with its answer and its pictures, and a job over it."""
    image = http.put("/v1/images?name=a.png", content=png()).raise_for_status().json()
    there["image_id"] = image["id"]
    order = {"name": "a", "model": "stub", "image_ids": [image["id"]]}
    job = http.post("/v1/images/jobs", json=order).raise_for_status().json()
    there["image_job_id"] = job["id"]
    explained(service, http, image["id"], "stub").raise_for_status()
    for name in IMAGE_FILES:
        assert http.get(f"/v1/images/{image['id']}/{name}").status_code == 200, name


def analyse(service: Service, folder: Path, package: ModelPackage) -> None:
    """What a worker does with the job, with a predictor that computes nothing."""
    queue = JobQueue(service.database, lease_seconds=3600)
    deadline = time.monotonic() + 60
    while (claim := queue.claim("worker")) is None:
        assert time.monotonic() < deadline, "the slide was not accepted"
        time.sleep(0.1)
    config = AnalysisSettings(device="cpu", precision="fp32")
    predictor = FakePredictor(patch_px=64)
    with pytest.MonkeyPatch.context() as patch, connect(None, 2) as scheduler:
        patch.setattr(loaded, "load_predictor", lambda *_, **__: predictor)
        work = Work(package, config, RuntimeRequest("cpu", "fp32", folder / "cache"), scheduler)
        prepared = prepare(folder / "a.tiff", package, config)
        result = analyse_slide(prepared, folder / "a.zarr", work)
    location = f"results/{claim.job.id}/mask.zarr"
    open_storage(service.settings.storage_url).put_tree(location, result.path)
    assert queue.succeed(claim, location, find(result).to_json())[0]


# What is valid field by field may be wrong together, or with what is there: tus headers, mpp and
# level, ETags. And whose key is looked at has a test of its own, which knows workspaces and scopes.
LEFT_OUT = ("positive_data_acceptance", "ignored_auth")
ALIKE: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=12, derandomize=True, **ALIKE)
def test_no_request_breaks_the_promise(case: schemathesis.Case[Any], service: Service) -> None:
    send(case, service)


@pytest.mark.long
@schema.parametrize()
@settings(max_examples=300, **ALIKE)
def test_nor_does_one_of_many(case: schemathesis.Case[Any], service: Service) -> None:
    """Others with every run."""
    send(case, service)


def send(case: schemathesis.Case[Any], service: Service) -> None:
    left_out = list(LEFT_OUT)
    if case.operation.definition.raw["operationId"] in BESIDE_IDS:
        left_out.append("unsupported_method")
    if case.operation.definition.raw["operationId"] == "list_slides":
        # Of a parameter that is there several times the last one counts.
        left_out.append("negative_data_rejection")
    excluded: list[Any] = [schemathesis.checks.CHECKS.get_one(name) for name in left_out]
    case.call_and_validate(
        base_url=service.url,
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=TIMEOUT,
        excluded_checks=excluded,
    )


def test_the_finished_job_is_still_there(service: Service) -> None:
    """Else the results above were only ever 404 and 409."""
    with service.client() as http:
        assert http.get(f"/v1/jobs/{there['job_id']}").json()["state"] == JobState.SUCCEEDED
        for path in RESULTS:
            assert http.get(f"/v1/jobs/{there['job_id']}/{path}").status_code == 200, path
        for name in IMAGE_FILES:
            assert http.get(f"/v1/images/{there['image_id']}/{name}").status_code == 200, name


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_document_is_good_enough_for_a_client_generator() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))
    assert all(name.isidentifier() and name.islower() for name in ids)
    assert {"Problem", "JobOut", "SlideOut", "ModelOut"} <= set(DOCUMENT["components"]["schemas"])
    assert "HTTPValidationError" not in str(DOCUMENT)
    assert set(DOCUMENT["components"]["securitySchemes"]) == {"HTTPBearer", "APIKeyCookie"}
    for method, path, operation in operations():
        what = f"{method} {path}"
        assert operation["tags"], what
        assert operation["summary"], what
        for status, answer in operation["responses"].items():
            assert answer["description"], (what, status)
            if int(status) >= 400 and path != "/readyz":
                assert list(answer["content"]) == ["application/problem+json"], (what, status)
        if "security" in operation:
            assert {"401", "403", "429"} <= set(operation["responses"]), what


def test_the_document_is_served(service: Service) -> None:
    with service.client(None) as http:
        assert http.get("/v1/openapi.json").json() == DOCUMENT
