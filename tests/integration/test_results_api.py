"""Results over real sockets: numbers, the store by its URL, files, cells, and who may see them."""

import gzip
import io
import json
import logging
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
import zarr
from geojson_support import check_qupath
from numpy.typing import NDArray
from obstore.store import HTTPStore
from PIL import Image
from service_support import TOKEN, Service, running, settings_in
from zarr.storage import ObjectStore

from api.jobs.export_cache import ExportCache
from wsi_pipeline import cli
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.client import Client
from wsi_pipeline.errors import UsageError
from wsi_pipeline.export.archive import write_zip
from wsi_pipeline.export.findings import find
from wsi_pipeline.export.geojson import write_geojson
from wsi_pipeline.export.heatmap import write_heatmap
from wsi_pipeline.export.mask_tiff import write_tiff
from wsi_pipeline.export.table import write_csv
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.run.work import Work
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.jobs.job import Job
from wsi_pipeline.service.jobs.queue import JobQueue
from wsi_pipeline.service.jobs.requests import JobRequests
from wsi_pipeline.service.jobs.submission import make_request
from wsi_pipeline.service.slides import SlideStore
from wsi_pipeline.slide.files import slide_files, slide_sha256
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.storage import open_storage
from wsi_pipeline.synth import CLASSES
from wsi_pipeline.testing import write_pyramid
from wsi_pipeline.testing.kinds import KINDS_COLOURS, KINDS_MPP, draw_kinds
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR

PATIENT = "Doe-Jane-1961"
FILES = ("heatmap.png", "regions.geojson", "tiles.csv", "mask.tiff", "mask.zarr.zip")
PATHS = ("result", "heatmap", "heatmap/0/0_0", "mask.zarr/zarr.json", *FILES)


@dataclass(frozen=True)
class Finished:
    """A job that is through.

    Attributes:
        job_id: The job.
        slide: The slide's file.
        result: The result, as it lies in storage.
    """

    job_id: str
    slide: Path
    result: Result

    @property
    def url(self) -> str:
        return f"/v1/jobs/{self.job_id}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(settings_in(tmp_path_factory.mktemp("service"))) as started:
        yield started


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def finish(
    service: Service,
    package: ModelPackage,
    model_cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Finished]:
    """Analyses a slide with a real model and publishes the result, as a worker does."""
    storage = open_storage(service.settings.storage_url)
    slides, jobs = SlideStore(service.database), JobRequests(service.database)
    queue = JobQueue(service.database, lease_seconds=3600)

    usual = package

    def make(
        image: NDArray[np.uint8],
        *,
        linked: bool = False,
        name: str = PATIENT,
        package: ModelPackage = usual,
        mpp: float = 0.5,
    ) -> Finished:
        folder = tmp_path_factory.mktemp("slides")
        path = folder / f"{name}.tiff"
        write_pyramid(path, image, mpp=mpp, downsamples=(1, 2, 4, 8))
        access, sha256 = service.access(), slide_sha256(slide_files(path))
        slide = slides.add(access, path.name, str(path), path.stat().st_size)
        location = f"file:{path}" if linked else f"slides/{sha256}/{slide.id}/slide.tiff"
        if not linked:
            storage.put_file(location, path)
        size = {"width": image.shape[1], "height": image.shape[0]}
        info = {"levels": [{"size": size, "downsample": 1.0}]}
        slides.accept(slide.id, location=location, sha256=sha256, info=info)
        config = AnalysisSettings(device="cpu", precision="fp32")
        request = make_request(slide.id, "model", package, config)
        (job,) = jobs.create(access, [request])
        claim = queue.claim("a worker")
        assert claim is not None
        assert claim.job.id == job.id
        runtime = RuntimeRequest("cpu", "fp32", model_cache)
        with connect(None, 2) as scheduler:
            work = Work(package, config, runtime, scheduler)
            prepared = prepare(path, package, config, name=sha256[:16])
            result = analyse_slide(prepared, folder / "a.zarr", work)
        destination = f"results/{job.id}/mask.zarr"
        storage.put_tree(destination, result.path)
        assert queue.succeed(claim, destination, find(result).to_json())[0]
        return Finished(job.id, path, Result(storage.local_path(destination, folder)))

    return make


def tissue(width: int = 1300, height: int = 900, seed: int = 0) -> NDArray[np.uint8]:
    """Glass around tissue with a tumour in it."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), (226, 240, 250), np.float64)
    image[100 : height - 100, 100 : width - 300] = NORMAL_COLOUR
    image[200:500, 200:600] = TUMOUR_COLOUR
    image += rng.normal(0, 6, image.shape)
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def done(finish: Callable[..., Finished]) -> Finished:
    return finish(tissue())


@pytest.fixture(scope="module")
def waiting(service: Service, done: Finished, package: ModelPackage) -> Job:
    """A job that has no result."""
    access = service.access()
    slide_id = JobRequests(service.database).get(access, done.job_id).slide_id
    # Less urgent than those the other tests finish.
    request = make_request(slide_id, "model", package, AnalysisSettings(stride=50), priority=-100)
    return JobRequests(service.database).create(access, [request])[0]


def test_lists_of_jobs_say_what_was_found(http: httpx.Client, done: Finished, waiting: Job) -> None:
    jobs = {job["id"]: job for job in http.get("/v1/jobs", params={"limit": 200}).json()["jobs"]}
    told = jobs[done.job_id]["findings"]
    whole = http.get(f"{done.url}/result").json()["findings"]
    assert told == {name: whole[name] for name in told}
    assert {"slide_score", "tumour_area_mm2", "regions", "alarms"} <= told.keys()
    assert "synthetic-model" in [alarm["code"] for alarm in told["alarms"]]
    assert jobs[waiting.id]["findings"] is None
    assert http.get(done.url).json()["findings"] == told


def test_the_result_is_what_was_found(http: httpx.Client, done: Finished) -> None:
    answer = http.get(f"{done.url}/result")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["job_id"] == done.job_id
    assert told["findings"] == json.loads(json.dumps(find(done.result).to_json()))
    found = told["findings"]
    assert found["slide_score"] > 0.5
    assert 0.02 < found["tumour_area_mm2"] < found["tissue_area_mm2"]
    assert found["regions"] >= 1
    assert found["largest_regions"][0]["box_px"]["x"] < 600
    assert found["controls"]["cells"]
    # The model knows two colours only; glass is neither, and it takes it for tumour.
    expected = {"synthetic-model", "too-few-tiles", "tumour-on-glass"}
    assert {alarm["code"] for alarm in found["alarms"]} == expected
    for name, link in told["links"].items():
        if name in ("mask", "slide"):
            continue
        assert http.get(link).status_code == 200, name
    assert http.get(f"{told['links']['mask']}/zarr.json").status_code == 200


def test_lists_tell_what_was_found(http: httpx.Client, done: Finished, waiting: Job) -> None:
    found = http.get(f"{done.url}/result").json()["findings"]
    listed = {job["id"]: job for job in http.get("/v1/jobs?limit=200").json()["jobs"]}
    short = listed[done.job_id]["findings"]
    assert short == {name: found[name] for name in short}
    assert {"slide_score", "threshold", "tumour_area_mm2", "alarms"} <= short.keys()
    assert http.get(done.url).json()["findings"] == short
    assert listed[waiting.id]["findings"] is None


def test_zarr_opens_the_store_by_its_url(
    service: Service, http: httpx.Client, done: Finished
) -> None:
    store = HTTPStore.from_url(
        f"{service.url}{done.url}/mask.zarr",
        client_options={
            "allow_http": True,
            "default_headers": {"Authorization": f"Bearer {TOKEN}"},
        },
    )
    root: Any = zarr.open_group(ObjectStore(store, read_only=True), mode="r", zarr_format=3)
    assert root.attrs["wsi_pipeline"] == done.result.attributes
    for name in done.result.attributes["arrays"]:
        ours, theirs = np.asarray(done.result.array(name)[...]), np.asarray(root[name][...])
        assert theirs.dtype == ours.dtype
        assert theirs.tobytes() == ours.tobytes(), name
    # Part of a shard, for which its index is read from the end.
    part = np.asarray(root["labels/tumour/0"][300:310, 250:700])
    assert np.array_equal(part, done.result.mask(0)[300:310, 250:700])


def test_a_shared_mask_opens_by_its_url_without_a_key(
    service: Service, http: httpx.Client, done: Finished
) -> None:
    made = http.post(f"{done.url}/link")
    assert made.status_code == 200, made.text
    link = made.json()["mask"]
    store = HTTPStore.from_url(f"{service.url}{link}", client_options={"allow_http": True})
    root: Any = zarr.open_group(ObjectStore(store, read_only=True), mode="r", zarr_format=3)
    part = np.asarray(root["labels/tumour/0"][300:310, 250:700])
    assert np.array_equal(part, done.result.mask(0)[300:310, 250:700])
    with service.client(None) as stranger:
        whole = stranger.get(f"{link}/zarr.json")
        assert whole.json() == http.get(f"{done.url}/mask.zarr/zarr.json").json()
        # Pages of other sites may read it, refusals too, by which they tell a missing chunk.
        missing = stranger.get(f"{link}/labels/tumour/0/c/9999/9999")
        ended = stranger.get(f"{link.replace('/mask.zarr', 'x/mask.zarr')}/zarr.json")
        assert (missing.status_code, ended.status_code) == (404, 404)
        for answer in (whole, missing, ended):
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        asked = stranger.options(
            f"{link}/zarr.json",
            headers={"Origin": "http://viewer.test", "Access-Control-Request-Method": "GET"},
        )
        assert asked.status_code == 204
        assert "Range" in asked.headers["access-control-allow-headers"]
        # Nothing else of the job, and nothing else at all.
        for other in ("result", "tiles.csv", "mask.tiff"):
            assert stranger.get(link.replace("mask.zarr", other)).status_code == 404
        secret = link.split("/")[3]
        assert stranger.get("/v1/jobs", headers={"Authorization": secret}).status_code == 401
        assert stranger.get(f"{link}/../../../../wsi.db").status_code == 404
    own = http.get(f"{done.url}/mask.zarr/zarr.json")
    assert "access-control-allow-origin" not in own.headers
    assert own.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("hours", [0, 721, "x"])
def test_how_long_a_link_may_last(http: httpx.Client, done: Finished, hours: object) -> None:
    assert http.post(f"{done.url}/link", json={"hours": hours}).status_code == 422


def test_what_has_no_result_is_not_shared(http: httpx.Client, waiting: Job) -> None:
    assert http.post(f"/v1/jobs/{waiting.id}/link").status_code == 409


def test_fsspec_opens_the_store_by_its_url(
    service: Service, http: httpx.Client, done: Finished
) -> None:
    pytest.importorskip("aiohttp", reason="fsspec reads over HTTP with aiohttp")
    root: Any = zarr.open_group(
        f"{service.url}{done.url}/mask.zarr",
        mode="r",
        zarr_format=3,
        storage_options={"client_kwargs": {"headers": {"Authorization": f"Bearer {TOKEN}"}}},
    )
    assert np.array_equal(root["0"][...], done.result.probability, equal_nan=True)
    assert np.array_equal(
        root["labels/tumour/0"][200:300, 200:800], done.result.mask(0)[200:300, 200:800]
    )


SHARD = "labels/tumour/0/c/0/0"


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=0-99", slice(0, 100)),
        ("bytes=10-", slice(10, None)),
        ("bytes=-68", slice(-68, None)),
        ("bytes=-99999999", slice(0, None)),
        ("bytes=5-99999999", slice(5, None)),
        ("BYTES=3-4", slice(3, 5)),
    ],
)
def test_ranges(http: httpx.Client, done: Finished, asked: str, part: slice) -> None:
    whole = (done.result.path / SHARD).read_bytes()
    answer = http.get(f"{done.url}/mask.zarr/{SHARD}", headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == whole[part]
    start = range(len(whole))[part].start
    stated = f"bytes {start}-{start + len(answer.content) - 1}/{len(whole)}"
    assert answer.headers["content-range"] == stated
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0", "bytes=99999999-99999999999"])
def test_ranges_that_are_not_there(http: httpx.Client, done: Finished, asked: str) -> None:
    answer = http.get(f"{done.url}/mask.zarr/{SHARD}", headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{(done.result.path / SHARD).stat().st_size}"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,4-5", "bytes=5-2", "bytes=-", "bytes=x-y", "items=0-1", "bytes", "0-1"]
)
def test_what_is_no_single_range_gets_the_whole(
    http: httpx.Client, done: Finished, asked: str
) -> None:
    answer = http.get(f"{done.url}/mask.zarr/{SHARD}", headers={"Range": asked})
    assert answer.status_code == 200
    assert answer.content == (done.result.path / SHARD).read_bytes()


def test_files_of_the_store_may_be_kept_for_ever(http: httpx.Client, done: Finished) -> None:
    for name, kind in (("zarr.json", "application/json"), (SHARD, "application/octet-stream")):
        url = f"{done.url}/mask.zarr/{name}"
        answer = http.get(url)
        etag = answer.headers["etag"]
        assert answer.headers["content-type"] == kind
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert answer.headers["accept-ranges"] == "bytes"
        again = http.get(url, headers={"If-None-Match": f'"other", W/{etag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        other = http.get(url, headers={"If-None-Match": '"other"'})
        assert other.content == answer.content
        assert http.get(url, headers={"If-Match": '"other"'}).status_code == 412
        assert http.get(url, headers={"If-Match": etag}).status_code == 200
        range_of = {"Range": "bytes=0-1"}
        assert http.get(url, headers={**range_of, "If-Range": etag}).status_code == 206
        assert http.get(url, headers={**range_of, "If-Range": '"other"'}).status_code == 200
        head = http.head(url, headers=range_of)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(answer.content))
        assert head.headers["etag"] == etag


def test_a_missing_chunk_is_404(http: httpx.Client, done: Finished) -> None:
    for name in ("0/c/9/9", "nothing/zarr.json", "0", "", "labels", ".zattrs", "zarr.json/x"):
        answer = http.get(f"{done.url}/mask.zarr/{name}")
        assert answer.status_code == 404, name
        assert answer.headers["content-type"] == "application/problem+json"
        assert "immutable" not in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    [
        "../../../service.db",
        "..%2f..%2f..%2fservice.db",
        "%2e%2e/%2e%2e/%2e%2e/service.db",
        "labels/../zarr.json",
        "./zarr.json",
        "/etc/passwd",
        "//etc/passwd",
        "..\\..\\zarr.json",
        "zarr.json%00",
        "0/c/0/0/",
        "%c0%ae%c0%ae/zarr.json",
        "~root",
    ],
)
def test_nothing_outside_the_store_is_reached(service: Service, done: Finished, path: str) -> None:
    """Sent as it is: ordinary clients would tidy it up."""
    address = service.url.removeprefix("http://")
    connection = HTTPConnection(address, timeout=30)
    connection.putrequest("GET", f"{done.url}/mask.zarr/{path}", skip_accept_encoding=True)
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 404, body
    assert b"root:" not in body
    assert b"SQLite" not in body


def test_files_are_those_wsi_export_writes(
    http: httpx.Client, done: Finished, tmp_path: Path
) -> None:
    writers: dict[str, tuple[str, Callable[[Path], None]]] = {
        "heatmap.png": (
            "image/png",
            lambda path: write_heatmap(done.result, path, slide=done.slide),
        ),
        "regions.geojson": ("application/geo+json", lambda path: write_geojson(done.result, path)),
        "tiles.csv": ("text/csv; charset=utf-8", lambda path: write_csv(done.result, path)),
        "mask.tiff": ("image/tiff", lambda path: write_tiff(done.result, path)),
        "mask.zarr.zip": ("application/zip", lambda path: write_zip(done.result, path)),
    }
    assert set(writers) == set(FILES)
    for name, (kind, write) in writers.items():
        write(tmp_path / name)
        expected = (tmp_path / name).read_bytes()
        head = http.head(f"{done.url}/{name}")
        assert head.headers["content-length"] == str(len(expected)), name
        answer = http.get(f"{done.url}/{name}")
        assert answer.status_code == 200, answer.text
        assert answer.content == expected, name
        assert answer.headers["content-type"] == kind
        disposition = answer.headers["content-disposition"]
        assert re.fullmatch(
            rf'(inline|attachment); filename="{done.job_id}\.{re.escape(name)}"', disposition
        )
        part = http.get(f"{done.url}/{name}", headers={"Range": "bytes=-30"})
        assert (part.status_code, part.content) == (206, expected[-30:])
        etag = answer.headers["etag"]
        again = http.get(f"{done.url}/{name}", headers={"If-None-Match": etag})
        assert again.status_code == 304


def test_files_open_in_what_reads_them(http: httpx.Client, done: Finished) -> None:
    def get(name: str) -> bytes:
        return http.get(f"{done.url}/{name}").content

    check_qupath(json.loads(get("regions.geojson")))
    assert len(json.loads(get("regions.geojson"))["features"]) == find(done.result).regions
    assert Image.open(io.BytesIO(get("heatmap.png"))).size[0] > 1000
    with tifffile.TiffFile(io.BytesIO(get("mask.tiff"))) as tiff:
        assert np.array_equal(tiff.series[0].asarray() == 255, done.result.mask(0)[...] == 1)
    with zipfile.ZipFile(io.BytesIO(get("mask.zarr.zip"))) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[0] == "zarr.json"
    assert len(get("tiles.csv").splitlines()) == done.result.attributes["tiles"] + 1


def test_cells_are_read_as_their_description_says(http: httpx.Client, done: Finished) -> None:
    told = http.get(f"{done.url}/heatmap").json()
    assert told["coverage"] == {
        "empty": 0, "classified": 1, "glass": 2, "unreadable": 3, "rejected": 4, "screened": 5,
    }  # fmt: skip
    for index, level in enumerate(told["levels"]):
        assert (level["tile_columns"], level["tile_rows"]) == (1, 1)
        answer = http.get(f"{done.url}/heatmap/{index}/0_0")
        assert answer.status_code == 200
        count = level["rows"] * level["columns"]
        data = answer.content
        assert len(data) == 5 * count
        steps = np.frombuffer(data, "<u2", count).reshape(level["rows"], level["columns"])
        stored = np.asarray(done.result.array(str(index))[...])
        assert np.array_equal(steps == told["not_classified"], np.isnan(stored))
        known = ~np.isnan(stored)
        assert np.abs(steps[known] / told["steps"] - stored[known]).max() <= 1 / told["steps"]
        if index == 0:
            mask = steps[known] >= told["threshold_step"]
            assert np.array_equal(mask, stored[known] >= np.float32(told["threshold"]))
            coverage = np.frombuffer(data, np.uint8, count, 2 * count).reshape(steps.shape)
            assert np.array_equal(coverage, done.result.coverage)
            tissue = np.frombuffer(data, np.uint8, count, 3 * count).reshape(steps.shape)
            assert np.array_equal(tissue != told["tissue_unknown"], coverage == 1)
            share = tissue[coverage == 1] / told["tissue_steps"]
            assert share.min() >= 0.3 - 1 / told["tissue_steps"]


def test_cells_travel_packed_where_the_client_can(http: httpx.Client, done: Finished) -> None:
    url = f"{done.url}/heatmap/0/0_0"
    with http.stream("GET", url, headers={"Accept-Encoding": "br, gzip;q=0.5"}) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    for accepted in ("identity", "gzip;q=0, identity", ""):
        plain = http.get(url, headers={"Accept-Encoding": accepted})
        assert "content-encoding" not in plain.headers
        assert plain.content == gzip.decompress(packed)
        assert plain.headers["cache-control"] == "private, max-age=31536000, immutable"
    known = {"If-None-Match": answer.headers["etag"]}
    assert http.get(url, headers=known).status_code == 304


@pytest.mark.parametrize("tile", ["0/1_0", "0/0_1", "9/0_0", "99999/99999_99999"])
def test_cells_that_are_not_there(http: httpx.Client, done: Finished, tile: str) -> None:
    assert http.get(f"{done.url}/heatmap/{tile}").status_code == 404


@pytest.mark.parametrize("tile", ["0/-1_0", "x/0_0", "0/0_x", "0/99999999999999999999_0"])
def test_cells_that_make_no_sense(http: httpx.Client, done: Finished, tile: str) -> None:
    assert http.get(f"{done.url}/heatmap/{tile}").status_code == 422


@pytest.fixture(scope="module")
def kinds(finish: Callable[..., Finished], kinds_package: ModelPackage) -> Finished:
    """A result of four classes."""
    image, _ = draw_kinds(12, 8)
    return finish(image, package=kinds_package, mpp=KINDS_MPP)


def test_a_result_of_several_classes_says_which(
    http: httpx.Client, done: Finished, kinds: Finished
) -> None:
    told = http.get(f"{kinds.url}/heatmap").json()
    findings = http.get(f"{kinds.url}/result").json()["findings"]
    expected = [
        {"label": label, "name": name, "colour": KINDS_COLOURS[name]}
        for label, name in enumerate(CLASSES)
    ]
    for answer in (told, findings):
        assert answer["task"] == "multiclass"
        assert answer["classes"] == expected
        assert answer["positive"] == "tumour"
    areas = findings["class_areas_mm2"]
    assert list(areas) == list(CLASSES)
    assert min(areas.values()) > 0
    assert sum(areas.values()) == pytest.approx(findings["tissue_area_mm2"])
    binary = http.get(f"{done.url}/heatmap").json()
    assert [one["name"] for one in binary["classes"]] == ["normal", "tumour"]
    assert binary["classes"][0]["colour"] is None


def test_tiles_hold_a_class_or_the_labels(http: httpx.Client, kinds: Finished) -> None:
    told = http.get(f"{kinds.url}/heatmap").json()
    tags = set()

    def plane(level: int, **asked: str | bool) -> NDArray[np.uint16]:
        answer = http.get(f"{kinds.url}/heatmap/{level}/0_0", params=asked)
        assert answer.status_code == 200, answer.text
        tags.add(answer.headers["etag"])
        rows, columns = told["levels"][level]["rows"], told["levels"][level]["columns"]
        return np.frombuffer(answer.content, "<u2", rows * columns).reshape(rows, columns)

    for level in (0, 1):
        stored = np.asarray(kinds.result.array(str(level))[...])
        assert np.array_equal(plane(level), plane(level, **{"class": "tumour"}))
        for index, name in enumerate(CLASSES):
            steps = plane(level, **{"class": name})
            assert np.abs(steps / told["steps"] - stored[index]).max() <= 1 / told["steps"]
        assert np.array_equal(plane(level, labels=True), stored.argmax(axis=0))
    # Nobody is given what was kept of another plane.
    assert len(tags) == 2 * (1 + len(CLASSES) + 1)


def test_labels_of_a_binary_result_are_its_mask(http: httpx.Client, done: Finished) -> None:
    told = http.get(f"{done.url}/heatmap").json()
    level = told["levels"][0]
    data = http.get(f"{done.url}/heatmap/0/0_0?labels=true").content
    labels = np.frombuffer(data, "<u2", level["rows"] * level["columns"])
    probability = done.result.probability.ravel()
    known = ~np.isnan(probability)
    assert np.array_equal(labels != told["not_classified"], known)
    assert np.array_equal(labels[known], probability[known] >= np.float32(told["threshold"]))


def test_files_of_a_class(http: httpx.Client, kinds: Finished, tmp_path: Path) -> None:
    pictures = set()
    for name in ("mucin", "tumour"):
        answer = http.get(f"{kinds.url}/mask.tiff", params={"class": name})
        write_tiff(kinds.result, tmp_path / f"{name}.tiff", of=name)
        assert answer.content == (tmp_path / f"{name}.tiff").read_bytes()
        pictures.add(http.get(f"{kinds.url}/heatmap.png", params={"class": name}).content)
    assert http.get(f"{kinds.url}/mask.tiff").content == answer.content
    assert len(pictures) == 2
    outlines = http.get(f"{kinds.url}/regions.geojson").json()["features"]
    named = [feature["properties"]["classification"]["name"] for feature in outlines]
    # Regions of the positive class come first: notes are of these, by their place.
    regions = http.get(f"{kinds.url}/result").json()["findings"]["regions"]
    assert named.count("Tumor") == regions
    assert set(named[:regions]) == {"Tumor"}
    assert set(named) == {"Tumor", *CLASSES} - {"tumour"}


@pytest.mark.parametrize("path", ["heatmap/0/0_0", "heatmap.png", "mask.tiff"])
def test_a_class_that_is_not_there(http: httpx.Client, kinds: Finished, path: str) -> None:
    for name in ("stone", "", "a/../b"):
        answer = http.get(f"{kinds.url}/{path}", params={"class": name})
        assert answer.status_code == 422
        assert ", ".join(CLASSES) in answer.json()["detail"]


def test_labels_are_of_all_classes(http: httpx.Client, kinds: Finished) -> None:
    answer = http.get(f"{kinds.url}/heatmap/0/0_0?labels=true&class=mucin")
    assert answer.status_code == 422


def test_the_client_fetches_a_class(service: Service, kinds: Finished, tmp_path: Path) -> None:
    with Client(service.url, TOKEN) as client:
        told = client.result(kinds.job_id)["findings"]
        assert [one["name"] for one in told["classes"]] == list(CLASSES)
        client.fetch(kinds.job_id, "tiff", tmp_path / "got.tiff", of="mucin")
        with pytest.raises(UsageError, match="is of all classes"):
            client.fetch(kinds.job_id, "csv", tmp_path / "got.csv", of="mucin")
    write_tiff(kinds.result, tmp_path / "mucin.tiff", of="mucin")
    assert (tmp_path / "got.tiff").read_bytes() == (tmp_path / "mucin.tiff").read_bytes()


def test_the_command_fetches_a_class(
    service: Service, kinds: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSI_URL", service.url)
    monkeypatch.setenv("WSI_TOKEN", TOKEN)
    fetch = ["wsi", "client", "fetch", kinds.job_id, "--name", "got", "-o", str(tmp_path)]

    def code(*arguments: str) -> object:
        monkeypatch.setattr("sys.argv", [*fetch, *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0

    assert code("tiff", "csv", "--class", "mucin") == 0
    # The table is of all classes.
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "got.mucin.mask.tiff",
        "got.tiles.csv",
    ]
    write_tiff(kinds.result, tmp_path / "mucin.tiff", of="mucin")
    got = (tmp_path / "got.mucin.mask.tiff").read_bytes()
    assert got == (tmp_path / "mucin.tiff").read_bytes()
    assert code("csv", "--class", "mucin") == 2
    assert code("tiff", "--class", "fat") == 2


def test_a_file_is_made_once_for_all_who_ask(
    service: Service,
    finish: Callable[..., Finished],
    caplog: pytest.LogCaptureFixture,
) -> None:
    fresh = finish(tissue(seed=1))
    with caplog.at_level(logging.INFO, "api.jobs.export_cache"), ThreadPoolExecutor(12) as pool:

        def get(name: str) -> httpx.Response:
            with service.client() as client:
                return client.get(f"{fresh.url}/{name}")

        answers = list(pool.map(get, [FILES[i % 2] for i in range(12)]))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 2
    made = [record for record in caplog.records if record.message == "rendered"]
    assert len(made) == 2


def test_nobody_else_waits_while_a_file_is_made(
    service: Service, finish: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writing is held until others were answered, so those who waited for it never would be."""
    fresh, others = finish(tissue(seed=7)), finish(tissue(seed=8))
    begun, go_on = threading.Event(), threading.Event()
    with service.client() as client:
        ready = client.get(f"{others.url}/tiles.csv").content  # made before
    make = ExportCache._make

    def held(self: ExportCache, path: Path, write: Callable[[Path], None]) -> None:
        begun.set()
        assert go_on.wait(60)
        make(self, path, write)

    monkeypatch.setattr(ExportCache, "_make", held)
    with ThreadPoolExecutor(60) as pool:

        def get(name: str) -> httpx.Response:
            with service.client() as client:
                return client.get(f"{fresh.url}/{name}")

        # More than there are threads for ordinary requests, and for files at the same time.
        asked = [pool.submit(get, FILES[i % len(FILES)]) for i in range(60)]
        try:
            assert begun.wait(30)
            with service.client() as client:
                for path in ("/healthz", "/v1/jobs", f"{others.url}/result"):
                    assert client.get(path).status_code == 200, path
                assert client.get(f"{others.url}/tiles.csv").content == ready
                assert client.get(f"{others.url}/mask.zarr/zarr.json").status_code == 200
            assert not any(future.done() for future in asked)
        finally:
            go_on.set()
        answers = [future.result() for future in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == len(FILES)


@pytest.mark.parametrize("path", PATHS)
def test_a_job_without_a_result_says_where_it_is(
    http: httpx.Client, waiting: Job, path: str
) -> None:
    answer = http.get(f"/v1/jobs/{waiting.id}/{path}")
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/conflict"
    assert "queued" in answer.json()["detail"]


@pytest.mark.parametrize("path", PATHS)
def test_others_learn_nothing(service: Service, done: Finished, waiting: Job, path: str) -> None:
    with service.client(service.key("elsewhere", Scope.ADMIN)) as stranger:
        theirs = stranger.get(f"{done.url}/{path}")
        none = stranger.get(f"/v1/jobs/{'0' * 32}/{path}")
        assert theirs.status_code == none.status_code == 404
        told = [answer.json() for answer in (theirs, none)]
        for problem in told:
            problem.pop("request_id")
            problem["detail"] = problem["detail"].replace(done.job_id, "0" * 32)
        assert told[0] == told[1]
        assert stranger.get(f"/v1/jobs/{waiting.id}/{path}").status_code == 404
        assert stranger.get(f"/v1/jobs/short/{path}").status_code == 422
    with service.client(None) as nobody:
        assert nobody.get(f"{done.url}/{path}").status_code == 401
    with service.client(service.key("default", Scope.VIEW)) as viewer:
        assert viewer.get(f"{done.url}/{path}").status_code == 200


def test_no_answer_names_the_file(http: httpx.Client, done: Finished) -> None:
    """The slide's file is called like a patient; identical work is given to other workspaces."""
    for path in (*PATHS, "mask.zarr/labels/zarr.json"):
        answer = http.get(f"{done.url}/{path}")
        told = answer.content + str(answer.headers).encode()
        assert PATIENT.encode() not in told, path
        assert b"Jane" not in told, path


def test_a_deleted_slide_leaves_a_picture_without_tissue(
    service: Service, http: httpx.Client, finish: Callable[..., Finished], tmp_path: Path
) -> None:
    fresh = finish(tissue(seed=2))
    slide = http.get(f"{fresh.url}/result").json()["links"]["slide"]
    before = http.get(f"{fresh.url}/heatmap.png").content
    # The other job of this module that waits is of another slide.
    assert http.delete(slide).status_code == 204
    after = http.get(f"{fresh.url}/heatmap.png")
    assert after.status_code == 200
    assert after.content != before
    write_heatmap(fresh.result, tmp_path / "plain.png")
    assert after.content == (tmp_path / "plain.png").read_bytes()
    assert http.get(f"{fresh.url}/result").status_code == 200


def test_a_linked_slide_that_is_gone_or_another(
    http: httpx.Client, finish: Callable[..., Finished]
) -> None:
    fresh = finish(tissue(seed=3), linked=True)
    elsewhere = fresh.slide.with_suffix(".away")
    fresh.slide.rename(elsewhere)
    answer = http.get(f"{fresh.url}/heatmap.png")
    assert answer.status_code == 410
    assert str(fresh.slide) not in answer.text
    write_pyramid(fresh.slide, tissue(1000, 900))
    answer = http.get(f"{fresh.url}/heatmap.png")
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/damaged-slide"
    assert PATIENT not in answer.text
    fresh.slide.write_bytes(b"no slide")
    assert http.get(f"{fresh.url}/heatmap.png").status_code == 422
    elsewhere.replace(fresh.slide)
    assert http.get(f"{fresh.url}/heatmap.png").status_code == 200


def test_long_files_are_sent_in_pieces(
    service: Service, http: httpx.Client, finish: Callable[..., Finished]
) -> None:
    """A file of several MB: its whole, a long range, and a client that leaves halfway."""
    rng = np.random.default_rng(1)
    noise = rng.integers(90, 190, (2600, 2600, 3)).astype(np.uint8)
    fresh = finish(noise)
    whole = http.get(f"{fresh.url}/heatmap.png").content
    assert len(whole) > 2 * 2**20
    part = http.get(f"{fresh.url}/heatmap.png", headers={"Range": "bytes=1000-"})
    assert part.content == whole[1000:]
    with http.stream("GET", f"{fresh.url}/heatmap.png") as answer:
        next(answer.iter_raw())
    assert http.get(f"{fresh.url}/heatmap.png").content == whole


def test_the_document_knows_every_answer(http: httpx.Client) -> None:
    paths: dict[str, Any] = http.get("/v1/openapi.json").json()["paths"]
    ours = {path: rest for path, rest in paths.items() if path.startswith("/v1/jobs/{job_id}/")}
    for path in PATHS:
        template = f"/v1/jobs/{{job_id}}/{path}"
        template = template.replace("heatmap/0/0_0", "heatmap/{level}/{column}_{row}")
        template = template.replace("mask.zarr/zarr.json", "mask.zarr/{path}")
        stated = set(ours[template]["get"]["responses"])
        assert {"200", "401", "404", "409", "422"} <= stated, path
    assert "head" in ours["/v1/jobs/{job_id}/mask.zarr/{path}"]
