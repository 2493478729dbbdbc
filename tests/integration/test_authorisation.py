"""Who may do what: every route, every scope, and objects of another workspace.

The routes come from the OpenAPI document, so that none is forgotten; what each needs is written
down here, so that none is opened by mistake.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
from images_support import explained, png
from service_support import Service, running, settings_in

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.tables import new_id
from wsi_pipeline.testing import write_pyramid

OPEN = None
#: Scope each operation needs.
NEEDS: dict[str, Scope | None] = {
    "tell_capabilities": Scope.VIEW,
    "create_upload": Scope.SUBMIT,
    "tell_offset": Scope.SUBMIT,
    "append_to_upload": Scope.SUBMIT,
    "terminate_upload": Scope.SUBMIT,
    "override_method": Scope.SUBMIT,
    "put_slide": Scope.SUBMIT,
    "link_slide": Scope.SUBMIT,
    "list_slides": Scope.VIEW,
    "get_descriptor": Scope.VIEW,
    "get_slide": Scope.VIEW,
    "delete_slide": Scope.ADMIN,
    "get_pyramid": Scope.VIEW,
    "get_thumbnail": Scope.VIEW,
    "get_tile": Scope.VIEW,
    "create_jobs": Scope.SUBMIT,
    "list_jobs": Scope.VIEW,
    "get_job": Scope.VIEW,
    "delete_job": Scope.ADMIN,
    "cancel_job": Scope.SUBMIT,
    "retry_job": Scope.SUBMIT,
    "listen_to_job": Scope.VIEW,
    "listen_to_workspace": Scope.VIEW,
    "get_result": Scope.VIEW,
    "get_mask_file": Scope.VIEW,
    "head_mask_file": Scope.VIEW,
    "get_heatmap_png": Scope.VIEW,
    "head_heatmap_png": Scope.VIEW,
    "get_regions_geojson": Scope.VIEW,
    "head_regions_geojson": Scope.VIEW,
    "get_tiles_csv": Scope.VIEW,
    "head_tiles_csv": Scope.VIEW,
    "get_mask_tiff": Scope.VIEW,
    "head_mask_tiff": Scope.VIEW,
    "get_mask_zarr_zip": Scope.VIEW,
    "head_mask_zarr_zip": Scope.VIEW,
    "get_cells": Scope.VIEW,
    "get_cell_tile": Scope.VIEW,
    "get_why": Scope.VIEW,
    "share_result": Scope.SUBMIT,
    "get_shared_file": OPEN,
    "head_shared_file": OPEN,
    "ask_shared_file": OPEN,
    "list_notes": Scope.VIEW,
    "write_note": Scope.SUBMIT,
    "delete_note": Scope.SUBMIT,
    "list_drawn_slides": Scope.VIEW,
    "list_drawings": Scope.VIEW,
    "write_drawing": Scope.SUBMIT,
    "delete_drawing": Scope.SUBMIT,
    "get_drawings_file": Scope.VIEW,
    "put_image": Scope.SUBMIT,
    "create_image_job": Scope.SUBMIT,
    "list_image_jobs": Scope.VIEW,
    "get_image_job": Scope.VIEW,
    "cancel_image_job": Scope.SUBMIT,
    "get_labels_csv": Scope.VIEW,
    "get_labels_zip": Scope.VIEW,
    "list_images": Scope.VIEW,
    "get_image": Scope.VIEW,
    "delete_image": Scope.SUBMIT,
    "get_image_thumbnail": Scope.VIEW,
    "get_image_picture": Scope.VIEW,
    "get_image_file": Scope.VIEW,
    "get_image_explanation": Scope.VIEW,
    "write_label": Scope.SUBMIT,
    "delete_label": Scope.SUBMIT,
    "list_models": Scope.VIEW,
    "get_browser_model": Scope.VIEW,
    "get_onnx": Scope.VIEW,
    "tell_session": OPEN,
    "sign_in": OPEN,
    "sign_out": OPEN,
    "list_sessions": Scope.VIEW,
    "end_session": Scope.VIEW,
    "get_health": OPEN,
    "get_readiness": OPEN,
    "get_metrics": Scope.VIEW,
}
#: What a request needs besides its path to be understood.
TUS = {"Tus-Resumable": "1.0.0"}
HEADERS: dict[str, dict[str, str]] = {
    "create_upload": {**TUS, "Upload-Length": "3"},
    "tell_offset": TUS,
    "terminate_upload": TUS,
    "append_to_upload": {
        **TUS,
        "Upload-Offset": "0",
        "Content-Type": "application/offset+octet-stream",
    },
    "override_method": {**TUS, "X-HTTP-Method-Override": "DELETE"},
}
DRAWING = {"class_name": "tumour", "rings": [[[0, 0], [9, 0], [9, 9]]]}
QUERIES = {
    "put_slide": {"name": "a.svs"},
    "put_image": {"name": "a.png"},
    "get_image_explanation": {"model": "stub"},
    "get_why": {"column": "0", "row": "0"},
}
#: Objects that are named in the body.
IN_BODY = {"create_jobs": {"slide_id"}, "create_image_job": {"image_id"}}
#: These never end by themselves.
STREAMS = {"listen_to_job", "listen_to_workspace"}


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str

    @property
    def objects(self) -> set[str]:
        """Ids in the path."""
        return set(re.findall(r"\{(\w+_id)\}", self.path))


@dataclass(frozen=True)
class Place:
    """A running service with objects of one workspace, and keys of it and of another."""

    service: Service
    ids: dict[str, str]
    ours: dict[Scope, str]
    theirs: dict[Scope, str]

    def ask(self, operation: Operation, key: str | None, **ids: str) -> httpx.Response:
        values = {
            "level": "0",
            "column": "0",
            "row": "0",
            "image_format": "jpeg",
            "path": "zarr.json",
            "region": "1",
            "ending": "geojson",
            "share": "what is no link",
            "name": "what is no model",
            **self.ids,
            **ids,
        }
        path = re.sub(r"\{(\w+)\}", lambda match: values[match[1]], operation.path)
        bodies: dict[str, Any] = {
            "create_jobs": {"json": {"slide_id": values["slide_id"], "model": "stub"}},
            "sign_in": {"json": {"key": "wrong"}},
            "write_note": {"json": {"verdict": "agree", "comment": "so it is"}},
            "write_drawing": {"json": DRAWING},
            "create_image_job": {
                "json": {"name": "a", "model": "stub", "image_ids": [values["image_id"]]}
            },
            "write_label": {"json": {"label": "a"}},
            "put_image": {"content": b"an image"},
            "link_slide": {"json": {"uri": "file:///etc/passwd"}},
            "append_to_upload": {"content": b"x"},
            "create_upload": {"content": b""},
            "put_slide": {"content": b"no slide"},
        }
        with self.service.client(key) as http:
            request = http.build_request(
                operation.method,
                path,
                headers=HEADERS.get(operation.id, {}),
                params=QUERIES.get(operation.id),
                **bodies.get(operation.id, {}),
            )
            answer = http.send(request, stream=True)
            if answer.status_code != 200 or operation.id not in STREAMS:
                answer.read()
            answer.close()
            return answer


def operations(service: Service) -> list[Operation]:
    return [
        Operation(operation["operationId"], method.upper(), path)
        for path, methods in service.app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, stub_package: ModelPackage) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "models").mkdir()
    (folder / "models" / "stub").symlink_to(stub_package.folder)
    with running(settings_in(folder, requests_per_minute=0)) as service:
        ours = {scope: service.key("ours", scope) for scope in Scope}
        theirs = {scope: service.key("theirs", scope) for scope in Scope}
        write_pyramid(folder / "a.tiff", np.full((256, 384, 3), 200, np.uint8))
        with service.client(ours[Scope.SUBMIT]) as http:
            made = http.put("/v1/slides?name=a.tiff", content=(folder / "a.tiff").read_bytes())
            slide_id = made.raise_for_status().json()["id"]
            upload = http.post("/v1/uploads", headers={**TUS, "Upload-Length": "3"})
            upload_id = upload.raise_for_status().headers["location"].rpartition("/")[2]
            job = http.post("/v1/jobs", json={"slide_id": slide_id, "model": "stub"})
            job_id = job.raise_for_status().json()["id"]
            deadline = time.monotonic() + 60
            while http.get(f"/v1/slides/{slide_id}").json()["state"] == "checking":
                assert time.monotonic() < deadline
                time.sleep(0.1)
            drawing_id = new_id()
            drawn = http.put(f"/v1/slides/{slide_id}/drawings/{drawing_id}", json=DRAWING)
            drawn.raise_for_status()
            image = http.put("/v1/images?name=a.png", content=png()).raise_for_status().json()
            order = {"name": "a", "model": "stub", "image_ids": [image["id"]]}
            image_job = http.post("/v1/images/jobs", json=order).raise_for_status().json()
            explained(service, http, image["id"], "stub").raise_for_status()
        with service.browser(ours[Scope.VIEW]) as browser:
            session_id = browser.get("/v1/sessions").json()["sessions"][0]["id"]
        ids = {"slide_id": slide_id, "job_id": job_id, "upload_id": upload_id}
        ids |= {"session_id": session_id, "drawing_id": drawing_id}
        ids |= {"image_id": image["id"], "image_job_id": image_job["id"]}
        yield Place(service, ids, ours, theirs)


def test_every_operation_is_in_the_table(place: Place) -> None:
    found = [operation.id for operation in operations(place.service)]
    assert len(found) == len(set(found)), "operation ids are not unique"
    assert set(found) == set(NEEDS)


def test_every_route_is_in_the_document(place: Place) -> None:
    """A route that is hidden from the document would not be walked here."""
    documented = {(operation.method, operation.path) for operation in operations(place.service)}
    hidden = set()
    routers: list[Any] = list(place.service.app.routes)
    for router in routers:
        contexts = getattr(router, "effective_route_contexts", None)
        for route in contexts() if contexts else [router]:
            path = re.sub(r":\w+\}", "}", route.path)
            hidden |= {(method, path) for method in route.methods or ()} - documented
    # Files of the pages, which hold no data.
    pages = {"/", "/slides/{slide_id}", "/images", "/on-this-computer", "/assets/{name}"}
    assert {path for method, path in hidden if method != "HEAD"} == {"/v1/openapi.json", *pages}


def test_without_a_key_nothing_is_answered(place: Place) -> None:
    for operation in operations(place.service):
        for key in (None, "wsi_wrong"):
            answer = place.ask(operation, key)
            if NEEDS[operation.id] is OPEN:
                assert answer.status_code != 403, operation
            else:
                assert answer.status_code == 401, operation
                if operation.method != "HEAD":
                    assert answer.json()["type"] == "/problems/unauthenticated"


@pytest.mark.parametrize("scope", list(Scope))
def test_a_scope_that_is_too_small_is_refused(place: Place, scope: Scope) -> None:
    """With ids nobody has, so that nothing is changed on the way."""
    nobodys = {name: new_id() for name in place.ids}
    for operation in operations(place.service):
        needed = NEEDS[operation.id]
        if needed is OPEN:
            continue
        status = place.ask(operation, place.ours[scope], **nobodys).status_code
        if scope.includes(needed):
            assert status not in (401, 403), (operation, status)
        else:
            assert status == 403, (operation, status)


@pytest.mark.parametrize("scope", list(Scope))
def test_objects_of_another_workspace_are_not_there(place: Place, scope: Scope) -> None:
    walked = 0
    for operation in operations(place.service):
        needed = NEEDS[operation.id]
        objects = operation.objects or IN_BODY.get(operation.id, set())
        if needed is OPEN or not scope.includes(needed) or not objects:
            continue
        theirs = place.ask(operation, place.theirs[scope])
        nobodys = place.ask(operation, place.theirs[scope], **{name: new_id() for name in objects})
        assert theirs.status_code == nobodys.status_code == 404, operation
        if operation.method != "HEAD":
            strip = [re.sub(r"[0-9a-f]{32}", "ID", one.text) for one in (theirs, nobodys)]
            assert strip[0] == strip[1], "the answers tell them apart"
        walked += 1
    assert walked >= (20 if scope is Scope.VIEW else 28)


def test_lists_show_the_own_workspace_only(place: Place) -> None:
    lists = {"/v1/slides": "slides", "/v1/jobs": "jobs"}
    lists |= {"/v1/images": "images", "/v1/images/jobs": "jobs"}
    for path, name in lists.items():
        with place.service.client(place.theirs[Scope.ADMIN]) as http:
            # They may have made some of their own above.
            theirs = {one["id"] for one in http.get(path).json()[name]}
        with place.service.client(place.ours[Scope.VIEW]) as http:
            ours = {one["id"] for one in http.get(path).json()[name]}
        assert ours & set(place.ids.values())
        assert not theirs & ours


def test_the_owner_gets_what_others_do_not(place: Place) -> None:
    """Else the test above would be green for a service that knows nothing at all."""
    for operation in operations(place.service):
        if operation.objects and NEEDS[operation.id] is Scope.VIEW:
            status = place.ask(operation, place.ours[Scope.VIEW]).status_code
            has_result = "/jobs/{job_id}/" not in operation.path or operation.id in STREAMS
            good = 204 if operation.method == "DELETE" else 200
            assert status == (good if has_result else 409), (operation, status)
    with place.service.client(place.ours[Scope.SUBMIT]) as http:
        offset = http.head(f"/v1/uploads/{place.ids['upload_id']}", headers=TUS)
        assert (offset.status_code, offset.headers["upload-offset"]) == (200, "0")
        assert http.post(f"/v1/jobs/{place.ids['job_id']}/cancel").status_code == 200
