"""Single images over real sockets: uploaded, listed, looked at, labelled, exported."""

import csv
import io
import json
import re
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from client_verb_support import ClientVerb
from images_support import Rule, answer_all, answer_for, png
from service_support import TOKEN, Service, running, settings_in

from api import waiting
from api.images.intake import MAX_BYTES
from wsi_pipeline.client import Client
from wsi_pipeline.errors import ImageError, PackageError
from wsi_pipeline.images.collection import read_collection
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.problem import problem_of
from wsi_pipeline.service.questions import QuestionStore


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, stub_package: ModelPackage
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "models").mkdir()
    (folder / "models" / "stub").symlink_to(stub_package.folder)
    with running(settings_in(folder, requests_per_minute=0)) as started:
        yield started


@pytest.fixture
def ann(service: Service) -> Iterator[httpx.Client]:
    """A user of a workspace of its own."""
    with service.client(service.key(f"lab {time.monotonic_ns()}", Scope.SUBMIT)) as http:
        yield http


def colleague(service: Service, http: httpx.Client, name: str = "Ben") -> httpx.Client:
    """Another user of the same workspace."""
    token = http.headers["Authorization"].removeprefix("Bearer ")
    keys = ApiKeys(service.database)
    access = keys.find(token)
    assert access is not None
    (workspace,) = (one.workspace for one in keys.list() if one.id == access.key_id)
    return service.client(keys.create(workspace, name, Scope.SUBMIT)[1])


@contextmanager
def answering(service: Service, rule: Rule = lambda _: 0.9) -> Iterator[None]:
    """Answer questions as they come, as a worker would."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.02):
            answer_all(service, rule)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)


def put(
    http: httpx.Client, name: str, content: bytes | None = None, **query: Any
) -> httpx.Response:
    body = png() if content is None else content
    return http.put("/v1/images", params={"name": name, **query}, content=body)


def made(http: httpx.Client, *names: str) -> list[str]:
    answers = [put(http, name, png((i, i, i))) for i, name in enumerate(names)]
    return [str(answer.raise_for_status().json()["id"]) for answer in answers]


def submit(http: httpx.Client, ids: list[str], **more: Any) -> dict[str, Any]:
    order = {"name": "today", "model": "stub", "image_ids": ids}
    answer = http.post("/v1/images/jobs", json=order, **more)
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job


def spool(service: Service) -> list[Path]:
    return list(service.settings.image_spool_dir.iterdir())


def stored(service: Service, image: dict[str, Any]) -> list[Path]:
    folder = Path(service.settings.storage_url, "images", image["sha256"])
    return sorted(folder.glob(f"{image['id']}*"))


def test_an_upload_is_answered_at_once_and_made_once(service: Service, ann: httpx.Client) -> None:
    with answering(service, lambda _: 0.6):
        first = put(ann, "bccd/eosinophil/a.png", model="stub")
    assert first.status_code == 201, first.text
    image = first.json()
    assert image["answer"] == answer_for(0.6)
    assert (image["state"], image["label"], image["labels"]) == ("answered", None, [])
    assert first.headers["location"] == f"/v1/images/{image['id']}"
    again = put(ann, "bccd/eosinophil/a.png", model="stub")
    assert (again.status_code, again.json()) == (200, image)
    assert ann.get(first.headers["location"], params={"model": "stub"}).json() == image
    plain = ann.get(first.headers["location"]).json()
    assert plain == {**image, "answer": None, "state": None}
    kept = [path.name for path in stored(service, image)]
    assert kept == [image["id"], f"{image['id']}.display.jpg", f"{image['id']}.thumbnail.jpg"]
    assert spool(service) == []


def test_an_answer_that_takes_longer_comes_later(service: Service, ann: httpx.Client) -> None:
    late = put(ann, "a.png", model="stub", wait=0.1)
    assert (late.status_code, late.json()["state"]) == (202, "queued")
    assert int(late.headers["retry-after"]) >= 1
    answer_all(service)
    image = ann.get(f"/v1/images/{late.json()['id']}", params={"model": "stub"}).json()
    assert image["state"] == "answered"


def test_what_is_no_image_is_refused_and_not_kept(service: Service, ann: httpx.Client) -> None:
    store = QuestionStore(service.database)
    cause = "is no PNG, JPEG, BMP, TIFF or WebP image, whatever its name ends in"
    errors = {"a.bmp": ImageError("a.bmp", cause), "b.png": PackageError("stub", "is not sound")}
    over = threading.Event()

    def fail() -> None:
        while not over.wait(0.02):
            for question in store.claim("w", 10):
                store.fail(question, problem_of(errors[question.facts["name"]]))

    thread = threading.Thread(target=fail)
    thread.start()
    try:
        text = put(ann, "a.bmp", b"no image at all", model="stub")
        assert (text.status_code, text.json()["type"]) == (422, "/problems/image")
        assert cause in text.json()["detail"]
        assert ann.get("/v1/images").json()["total"] == 0
        # Where the image is not at fault, it stays.
        broken = put(ann, "b.png", model="stub")
        assert (broken.status_code, broken.json()["type"]) == (422, "/problems/model-package")
        (kept,) = ann.get("/v1/images").json()["images"]
        # Kept before, it is a failed item of a job.
        (text_id,) = (put(ann, "a.bmp", b"no image at all").json()["id"],)
        job = submit(ann, [text_id])
        deadline = time.monotonic() + 30
        while (job := ann.get(f"/v1/images/jobs/{job['id']}").json())["state"] == "running":
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        over.set()
        thread.join(30)
    assert (job["failed"], job["answered"], job["total"]) == (1, 0, 1)
    (bad,) = ann.get("/v1/images", params={"job": job["id"], "only": "failed"}).json()["images"]
    assert cause in bad["problem"]["detail"]
    assert kept["name"] == "b.png"
    assert spool(service) == []


@pytest.mark.parametrize(
    ("name", "content", "query", "status", "told"),
    [
        ("a.png", b"", {}, 422, "empty"),
        ("../a.png", b"x", {}, 422, "empty, . or .."),
        ("/etc/a.png", b"x", {}, 422, "empty, . or .."),
        ("a\\b.png", b"x", {}, 422, "divide its folders by /"),
        ("a\nb.png", b"x", {}, 422, "a line end"),
        ("a" * 501, b"x", {}, 422, "500"),
        ("a.png", b"x", {"model": "none"}, 422, "no model of this name"),
        ("a.png", b"x", {"wait": 61}, 422, "wait"),
    ],
)
def test_an_upload_that_is_wrong_leaves_nothing(
    service: Service,
    ann: httpx.Client,
    name: str,
    content: bytes,
    query: Any,
    status: int,
    told: str,
) -> None:
    answer = put(ann, name, content, **query)
    assert answer.status_code == status
    assert told in answer.json()["detail"]
    assert ann.get("/v1/images").json()["total"] == 0
    assert spool(service) == []


def test_too_many_bytes_are_refused_however_they_come(service: Service, ann: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(MAX_BYTES // 2**20 + 1):
            yield bytes(2**20)

    host, _, port = service.url.removeprefix("http://").partition(":")
    head = ["PUT /v1/images?name=a HTTP/1.1", f"Host: {host}", "Connection: close"]
    head += [f"Authorization: {ann.headers['Authorization']}", f"Content-Length: {MAX_BYTES + 1}"]
    with socket.create_connection((host, int(port)), 30) as line:
        line.sendall("\r\n".join([*head, "", ""]).encode())
        assert line.recv(65536).startswith(b"HTTP/1.1 413"), "before any byte came"
    grown = ann.put("/v1/images?name=a", content=pieces())
    assert (grown.status_code, grown.json()["type"]) == (413, "/problems/too-large")
    assert "upload a scan as a slide" in grown.json()["detail"]
    assert ann.get("/v1/images").json()["total"] == 0
    assert spool(service) == []
    unsized = ann.put("/v1/images?name=a", content=iter([png()]))
    assert unsized.status_code == 201


def test_a_client_that_leaves_leaves_nothing(service: Service, ann: httpx.Client) -> None:
    def some() -> Iterator[bytes]:
        yield bytes(2**20)
        raise OSError("the line is cut")

    with pytest.raises((OSError, httpx.TransportError)):
        ann.put("/v1/images?name=a", content=some())
    deadline = time.monotonic() + 30
    while spool(service):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert ann.get("/v1/images").json()["total"] == 0


def test_a_job_is_made_once_followed_and_cancelled(service: Service, ann: httpx.Client) -> None:
    ids = made(ann, "d/a.png", "d/b.png", "d/c.png", "d/d.png")
    key = {"Idempotency-Key": "once"}
    job = submit(ann, ids[:3], headers=key)
    assert submit(ann, ids[:3], headers=key) == job
    assert (job["state"], job["total"]) == ("running", 3)
    reused = {"name": "today", "model": "stub", "image_ids": ids}
    other = ann.post("/v1/images/jobs", json=reused, headers=key)
    assert other.json()["type"] == "/problems/idempotency-key-reused"
    said = {"d/a.png": 0.9, "d/b.png": 0.45, "d/c.png": 0.05}
    answer_all(service, lambda question: said[question.facts["name"]])
    done = ann.get(f"/v1/images/jobs/{job['id']}").json()
    assert done == {**job, "state": "finished", "answered": 3, "review": 1}
    listed = ann.get("/v1/images", params={"job": job["id"], "sort": "doubt"}).json()
    assert [one["name"] for one in listed["images"]] == ["d/b.png", "d/a.png", "d/c.png"]
    assert listed["total"] == 3
    assert ann.delete(f"/v1/images/jobs/{job['id']}").status_code == 409
    more = submit(ann, ids)
    assert (more["answered"], more["state"]) == (3, "running"), "nothing is computed again"
    cancelled = ann.delete(f"/v1/images/jobs/{more['id']}").json()
    assert (cancelled["state"], cancelled["answered"]) == ("cancelled", 3)
    assert answer_all(service) == 0
    jobs = ann.get("/v1/images/jobs").json()
    assert [one["id"] for one in jobs["jobs"]] == [more["id"], job["id"]]
    wrongs: list[dict[str, Any]] = [{"image_ids": [ids[0], ids[0]]}, {"image_ids": []}]
    for wrong in (*wrongs, {"model": "none"}):
        order = {"name": "x", "model": "stub", "image_ids": ids, **wrong}
        assert ann.post("/v1/images/jobs", json=order).status_code == 422, wrong


def test_pictures_and_the_file(
    service: Service, ann: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 0.2)
    image = put(ann, "smear/a.PNG").json()
    base = f"/v1/images/{image['id']}"
    assert ann.get(f"{base}/thumbnail").status_code == 404
    submit(ann, [image["id"]])
    answer_all(service)
    for name in ("thumbnail", "picture"):
        shown = ann.get(f"{base}/{name}")
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
        assert "immutable" in shown.headers["cache-control"]
        known = {"If-None-Match": shown.headers["etag"]}
        assert ann.get(f"{base}/{name}", headers=known).status_code == 304
    file = ann.get(f"{base}/file")
    assert file.content == png()
    assert file.headers["content-disposition"] == f'attachment; filename="{image["id"]}.png"'
    assert file.headers["content-type"] == "application/octet-stream"
    later = ann.get(f"{base}/explanation", params={"model": "stub"})
    assert (later.status_code, later.headers["retry-after"]) == (202, "1")
    answer_all(service)
    drawn = ann.get(f"{base}/explanation", params={"model": "stub"})
    assert (drawn.status_code, drawn.headers["content-type"]) == (200, "image/jpeg")
    assert drawn.content.startswith(b"\xff\xd8")
    assert ann.get(f"{base}/explanation").status_code == 422
    assert ann.delete(base).status_code == 204
    for name in ("", "/thumbnail", "/picture", "/file", "/explanation?model=stub"):
        assert ann.get(base + name).status_code == 404, name
    assert stored(service, image) == []
    assert not list((Path(service.settings.storage_url) / "answers").rglob("*.jpg"))


def label(http: httpx.Client, image_id: str, text: str) -> httpx.Response:
    return http.put(f"/v1/images/{image_id}/label", json={"label": text})


def test_corrected_labels_come_out_as_a_training_takes_them(
    service: Service, ann: httpx.Client, tmp_path: Path
) -> None:
    names = ["d/a.png", "d/b.png", "D/A.png", "d/c: 1.png", "d/none.png"]
    ids = made(ann, *names)
    with colleague(service, ann) as ben:
        said = [" µ, «x» ", "y", "=x", "y"]
        for image_id, text in zip(ids, said, strict=False):
            assert label(ann, image_id, text).json()["label"] == text.strip()
        assert label(ben, ids[0], "z").status_code == 200
        seen = ben.get(f"/v1/images/{ids[0]}").json()
        assert seen["label"] == "z"
        assert [one["label"] for one in seen["labels"]] == ["µ, «x»", "z"]
        table = ann.get("/v1/images/labels.csv")
        assert table.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(table.text)))
        assert {row["path"]: row["label"] for row in rows} == dict(
            zip(names, map(str.strip, said), strict=False)
        )
        assert list(rows[0]) == ["path", "label", "group", "source", "sha256"]
        assert ben.get("/v1/images/labels.csv?by=me").text.count("\n") == 2

        everyone = ben.get("/v1/images/labels.zip", params={"by": "everyone"})
        with zipfile.ZipFile(io.BytesIO(everyone.content)) as archive:
            assert archive.testzip() is None
            archive.extractall(tmp_path / "labels")
        collection = read_collection(tmp_path / "labels" / "labels.csv")
        assert sorted((one.path.name, one.label) for one in collection.images) == [
            ("A.png", "=x"),
            ("b.png", "y"),
            ("c_ 1.png", "y"),
        ]
        # Each under its name has its own bytes.
        bytes_of = {one.path.name: one.path.read_bytes() for one in collection.images}
        assert bytes_of == {
            "b.png": png((1, 1, 1)),
            "A.png": png((2, 2, 2)),
            "c_ 1.png": png((3, 3, 3)),
        }
        apart = (tmp_path / "labels" / "disagreements.csv").read_text(encoding="utf-8")
        assert [row["label"] for row in csv.DictReader(io.StringIO(apart))] == ["µ, «x»", "z"]

        job = submit(ann, ids[1:2])
        only = ann.get("/v1/images/labels.csv", params={"job": job["id"]}).text
        assert [row["path"] for row in csv.DictReader(io.StringIO(only))] == ["d/b.png"]
        assert ben.delete(f"/v1/images/{ids[0]}/label").status_code == 204
        labelled = ann.get("/v1/images", params={"only": "labelled"}).json()
        assert labelled["total"] == 4
    for wrong in ("", "  ", "x" * 201, "a\nb", "a\u0000b", "\ud800"):
        body = json.dumps({"label": wrong})
        answer = ann.put(
            f"/v1/images/{ids[4]}/label",
            content=body,
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 422, repr(wrong)


def test_an_archive_whose_image_is_gone_is_cut_off(service: Service, ann: httpx.Client) -> None:
    """Deleted in time it is left out; lost bytes are never taken for a complete archive."""
    first, second = made(ann, "a.png", "b.png")
    label(ann, first, "x")
    label(ann, second, "x")
    image = ann.get(f"/v1/images/{second}").json()
    (path,) = stored(service, image)
    path.unlink()
    with pytest.raises(httpx.RemoteProtocolError):
        ann.get("/v1/images/labels.zip")
    assert ann.get(f"/v1/images/{second}/file").status_code == 410


@pytest.fixture
def verb(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], service: Service
) -> ClientVerb:
    return ClientVerb(monkeypatch, capsys, service)


def test_the_command_line_uploads_a_folder_and_fetches_labels(
    service: Service, verb: ClientVerb, tmp_path: Path
) -> None:
    folder = tmp_path / "smear 7"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.png").write_bytes(png((1, 2, 3)))
    (folder / "inner" / "b.png").write_bytes(png((4, 5, 6)))
    (folder / "empty.png").touch()
    with answering(service, lambda question: 0.4 if "b.png" in question.facts["name"] else 0.9):
        code, out, err = verb("images", "upload", folder, "--model", "stub")
    assert code == 3
    assert out.splitlines() == [
        "smear 7/a.png\ta\t0.9000\t",
        "smear 7/inner/b.png\tb\t0.6000\treview",
    ]
    assert "empty.png is empty" in err
    assert re.search(r"2 answered, 1 failed, 1 to look at again", err)
    (folder / "empty.png").unlink()
    # Again: nothing is new, and nothing is computed.
    code, out, _ = verb("images", "upload", folder, "--model", "stub", "--json")
    assert code == 0
    assert [one["state"] for one in json.loads(out)] == ["answered", "answered"]
    with Client(service.url, TOKEN) as client:
        found = list(client.images.list(search="smear 7/"))
        assert len(found) == 2
        assert client.images.label(found[0].id, "c").label == "c"
    code, out, _ = verb("images", "labels", "-o", tmp_path / "labels")
    assert (code, out) == (0, f"{tmp_path / 'labels' / 'labels.csv'}\n")
    (read,) = read_collection(tmp_path / "labels" / "labels.csv").images
    assert (read.label, read.path.read_bytes()) == ("c", png((1, 2, 3)))
    assert verb("images", "labels", "-o", tmp_path / "labels")[0] == 2
    assert verb("images", "upload", tmp_path / "absent", "--model", "stub")[0] == 2
    assert verb("images", "upload", folder, "--model", "none")[0] == 2
    code, out, _ = verb("images", "upload", folder / "a.png")
    assert (code, len(out.split()), len(out.split()[0])) == (0, 1, 32)
