"""A byte of a stored result changes: it is found by its checksum, told, and never given away."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from jobs_support import Store
from laboratory_support import build_result
from service_support import Service, running, settings_in
from typer.testing import CliRunner

from wsi_pipeline.cli import app
from wsi_pipeline.geometry import Size
from wsi_pipeline.storage import open_storage

DAMAGED = (
    "mask.zarr/labels/tumour/0/c/0/0",
    "mask.zarr/0/c/0/0",
    "mask.zarr/tiles/x/c/0",
    "mask.zarr/labels/zarr.json",
)
MADE_OF_IT = ("heatmap.png", "mask.zarr.zip", "tiles.csv", "heatmap/0/0_0", "heatmap")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(settings_in(tmp_path_factory.mktemp("service"))) as started:
        yield started


@pytest.fixture(scope="module")
def store(service: Service) -> Store:
    return Store(service.database)


@pytest.fixture
def job(service: Service, store: Store, tmp_path: Path) -> tuple[str, Path]:
    """Address of a job that is through, and where its mask lies."""
    created = store.job(service.access())
    claim = store.claim()
    tiles = np.random.default_rng(5).random((9, 12)).astype(np.float32)
    result = build_result(tmp_path, tiles, name="a", size=Size(1200, 900))
    location = f"results/{created.id}/mask.zarr"
    storage = open_storage(service.settings.storage_url)
    storage.put_tree(location, result.path)
    assert store.queue.succeed(claim, location, {})[0]
    return f"/v1/jobs/{created.id}", storage.local_path(location, tmp_path)


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


@pytest.mark.parametrize("name", DAMAGED)
def test_a_flipped_byte_is_told(http: httpx.Client, job: tuple[str, Path], name: str) -> None:
    url, mask = job
    path = mask.parent / name
    sound = http.get(f"{url}/{name}")
    assert sound.content == path.read_bytes()
    flip(path, len(sound.content) // 2)
    for headers in ({}, {"Range": f"bytes={len(sound.content) // 2}-"}):
        answer = http.get(f"{url}/{name}", headers=headers)
        assert answer.status_code == 500
        assert answer.json()["type"] == "/problems/result"
        assert name.removeprefix("mask.zarr/") in answer.json()["detail"]
    for made in MADE_OF_IT:
        answer = http.get(f"{url}/{made}")
        assert (answer.status_code, answer.json()["type"]) == (500, "/problems/result"), made
        assert "damaged" in answer.json()["detail"]
    told = CliRunner().invoke(app, ["verify", str(mask), "--json"])
    assert told.exit_code == 3
    assert name.removeprefix("mask.zarr/").split("/c/")[0] in told.stdout
    flip(path, len(sound.content) // 2)
    assert http.get(f"{url}/{name}").content == sound.content


def test_other_files_are_given_as_before(http: httpx.Client, job: tuple[str, Path]) -> None:
    url, mask = job
    flip(mask / "labels/tumour/0/c/0/0", 3)
    for path in mask.rglob("*"):
        name = path.relative_to(mask).as_posix()
        if path.is_file() and name != "labels/tumour/0/c/0/0":
            assert http.get(f"{url}/mask.zarr/{name}").content == path.read_bytes(), name
