"""Drawings over real sockets: written, read by others, and out as files and a cohort table."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import shapely
from geojson_support import check_qupath
from service_support import Service, running, settings_in

from wsi_pipeline import cli
from wsi_pipeline.annotation.asap import read_asap
from wsi_pipeline.annotation.geojson import read_geojson
from wsi_pipeline.annotation.shapes import union_of
from wsi_pipeline.cohort.table import read_cohort
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.drawings import MAX_POINTS
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.tables import new_id
from wsi_pipeline.testing import write_pyramid

SQUARE = [[10, 20], [110, 20], [110, 120], [10, 120]]
HOLE = [[40, 50], [60, 50], [60, 70], [40, 70]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drawings") / "slides"
    path.mkdir()
    write_pyramid(path / "a.tiff", np.full((256, 384, 3), 200, np.uint8))
    return path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(settings_in(tmp_path_factory.mktemp("service"), requests_per_minute=0)) as started:
        yield started


@pytest.fixture(scope="module")
def keys(service: Service) -> dict[str, str]:
    store = ApiKeys(service.database)
    return {name: store.create("default", name, Scope.SUBMIT)[1] for name in ("Ann", "Ben")}


@pytest.fixture
def ann(service: Service, keys: dict[str, str]) -> Iterator[httpx.Client]:
    with service.client(keys["Ann"]) as http:
        yield http


@pytest.fixture
def ben(service: Service, keys: dict[str, str]) -> Iterator[httpx.Client]:
    with service.client(keys["Ben"]) as http:
        yield http


@pytest.fixture
def slide(service: Service, ann: httpx.Client, folder: Path) -> Iterator[str]:
    """The address of a ready slide, which is deleted afterwards with what is drawn on it."""
    made = ann.put("/v1/slides?name=a.tiff", content=(folder / "a.tiff").read_bytes())
    address = f"/v1/slides/{made.raise_for_status().json()['id']}"
    deadline = time.monotonic() + 60
    while ann.get(address).json()["state"] == "checking":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield address
    with service.client(ApiKeys(service.database).create("default", "Ada", Scope.ADMIN)[1]) as http:
        http.delete(address).raise_for_status()


def draw(http: httpx.Client, slide: str, drawing: str = "", **order: Any) -> httpx.Response:
    body = {"class_name": "tumour", "rings": [SQUARE], **order}
    return http.put(f"{slide}/drawings/{drawing or new_id()}", json=body)


def test_what_one_draws_the_others_read(slide: str, ann: httpx.Client, ben: httpx.Client) -> None:
    drawing = new_id()
    written = draw(ann, slide, drawing, comment=" a nest ", tool="rectangle")
    assert written.status_code == 200
    assert written.json()["comment"] == "a nest"
    assert written.json()["rings"] == [SQUARE]
    (seen,) = ben.get(f"{slide}/drawings").json()["drawings"]
    assert seen == {**written.json(), "mine": False}
    assert draw(ben, slide, drawing).status_code == 409
    assert ben.delete(f"{slide}/drawings/{drawing}").status_code == 204
    assert len(ben.get(f"{slide}/drawings").json()["drawings"]) == 1
    author = seen["author"]["key_id"]
    assert len(ben.get(f"{slide}/drawings?author={author}").json()["drawings"]) == 1
    assert ben.get(f"{slide}/drawings?author={new_id()}").json()["drawings"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"rings": []},
        {"rings": [[[0, 0], [1, 1]]]},
        {"rings": [[[0, 0], [1, 1], [2, 1e9]]]},
        {"rings": [[[0, 0], [1, 1], [2, "x"]]]},
        {"rings": [[[0, 0, 0], [1, 1, 0], [2, 1, 0]]]},
        {"rings": [SQUARE * (MAX_POINTS // 8 + 1)] * 2},
        {"class_name": ""},
        {"class_name": "a\u0000b"},
        {"tool": "spray"},
        {"effect": "move"},
        {"colour": "red"},
    ],
)
def test_what_is_no_drawing_is_refused(slide: str, ann: httpx.Client, wrong: Any) -> None:
    answer = draw(ann, slide, **wrong)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/invalid"
    assert ann.get(f"{slide}/drawings").json()["drawings"] == []


def test_files_for_other_programs(
    slide: str, ann: httpx.Client, ben: httpx.Client, tmp_path: Path
) -> None:
    draw(ann, slide, comment="a nest")
    draw(ann, slide, rings=[HOLE], effect="erase", class_name="")
    draw(ben, slide, rings=[[[200, 20], [300, 20], [300, 120]]], class_name="necrosis")
    expected = {
        "Tumor": shapely.Polygon(SQUARE, [HOLE]),
        "necrosis": shapely.Polygon([[200, 20], [300, 20], [300, 120]]),
    }
    for ending, read in (("geojson", read_geojson), ("xml", read_asap)):
        answer = ben.get(f"{slide}/drawings.{ending}")
        assert answer.status_code == 200
        path = tmp_path / f"drawn.{ending}"
        path.write_bytes(answer.content)
        shapes = read(path).shapes
        for group, area in expected.items():
            found = union_of([shape for shape in shapes if shape.group == group])
            assert found.symmetric_difference(area).area == pytest.approx(0, abs=1e-6)
    geojson = ben.get(f"{slide}/drawings.geojson").json()
    check_qupath(geojson)
    mine = ann.get(f"{slide}/drawings").json()["drawings"]
    author = next(one["author"]["key_id"] for one in mine if one["mine"])
    only = ann.get(f"{slide}/drawings.geojson?author={author}").json()
    assert [one["properties"]["classification"]["name"] for one in only["features"]] == ["Tumor"]
    assert ann.get(f"{slide}/drawings.svg").status_code == 422


def test_an_index_takes_them_from_the_service(
    slide: str,
    ann: httpx.Client,
    service: Service,
    keys: dict[str, str],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def index(*more: str) -> tuple[int, str]:
        table = str(tmp_path / "cohort.csv")
        command = ["wsi", "dataset", "index", str(folder), "-o", table]
        command += ["--drawings-from", service.url, "--labels-from", "annotation", *more]
        monkeypatch.setenv("WSI_TOKEN", keys["Ann"])
        monkeypatch.setattr("sys.argv", command)
        try:
            cli.main()
        except SystemExit as ended:
            return int(ended.code or 0), capsys.readouterr().err
        return 0, capsys.readouterr().err

    code, told = index()
    assert code == 2
    assert "nobody drew on a slide of" in told
    assert list(tmp_path.iterdir()) == []
    draw(ann, slide)
    assert index()[0] == 0
    (row,) = read_cohort(tmp_path / "cohort.csv")
    assert (row.label, row.truth_kind) == ("tumour", "geojson")
    assert row.truth == tmp_path / "cohort.drawings" / "a.geojson"
    assert json.loads(row.truth.read_text())["features"][0]["geometry"]["type"] == "Polygon"
    code, told = index()
    assert code == 2
    assert "--overwrite" in told
    draw(ann, slide, rings=[HOLE], effect="erase")
    assert index("--overwrite")[0] == 0
    assert len(json.loads(row.truth.read_text())["features"][0]["geometry"]["coordinates"]) == 2
