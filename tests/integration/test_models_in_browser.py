"""What the service tells a browser of a model that it can run by itself, and of others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from service_support import running, settings_in

from wsi_pipeline.model.onnx_file import keep_onnx
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.testing.copies import copy_package

STAIN = {
    "method": "reinhard",
    "target": {"mean": (60.0, 20.0, -10.0), "std": (15.0, 8.0, 6.0)},
}


def packed(source: ModelPackage, folder: Path, *, exported: bool, **changed: Any) -> None:
    """A copy of a package with other fields."""
    package = copy_package(source, folder, **changed)
    if exported:
        made = folder.with_suffix(".onnx")
        made.write_bytes(b"as the exporter made it")
        keep_onnx(package, made, [0.5])


@pytest.fixture(scope="module")
def http(
    tmp_path_factory: pytest.TempPathFactory, stub_package: ModelPackage
) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("service")
    models = folder / "models"
    models.mkdir()
    packed(stub_package, models / "ready", exported=True, images={"how": "crop"})
    packed(stub_package, models / "without", exported=False)
    packed(stub_package, models / "cut-out", exported=True, images={"background": "cut"})
    packed(stub_package, models / "stained", exported=True, preprocessing={"stain": STAIN})
    with running(settings_in(folder)) as service, service.client() as client:
        yield client


def test_it_gets_all_that_the_model_needs(http: httpx.Client, stub_package: ModelPackage) -> None:
    answer = http.get("/v1/models/ready/browser").raise_for_status().json()
    about = stub_package.description
    assert [one["name"] for one in answer["classes"]] == list(stub_package.classes.names)
    assert (answer["patch_px"], answer["input_px"]) == (about.patch_px, about.input_px)
    assert answer["images"]["how"] == "crop"
    assert answer["probe"] == [0.5]
    # The package holds nothing to make prediction sets with.
    assert (answer["coverage"], answer["set_limit"]) == (0.9, None)
    file = http.get("/v1/models/ready/onnx").raise_for_status()
    assert file.content == b"as the exporter made it"
    assert file.headers["etag"] == f'"{answer["sha256"]}"'
    assert answer["onnx_bytes"] == len(file.content)


def test_the_list_says_which_can(http: httpx.Client) -> None:
    models = http.get("/v1/models").raise_for_status().json()["models"]
    assert {one["name"]: one["in_browser"] for one in models} == {
        "ready": True,
        "without": False,
        "cut-out": False,
        "stained": False,
    }


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("without", "run `wsi models export without --to onnx`"),
        ("cut-out", "treats images as no browser does"),
        ("stained", "treats images as no browser does"),
        ("absent", "no model absent is installed"),
    ],
)
def test_others_are_refused_with_a_reason(http: httpx.Client, name: str, cause: str) -> None:
    answer = http.get(f"/v1/models/{name}/browser")
    assert answer.status_code == 404
    assert cause in answer.json()["detail"]
