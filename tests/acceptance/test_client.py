"""The whole service as processes, used from the command line; some of them are killed."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from acceptance_support import arrays, assert_same_arrays
from lines_support import line_to
from service_process_support import TOKEN, Site

from wsi_pipeline.client import Client, RefusedError
from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.slides import write_pyramid

pytestmark = pytest.mark.slow

MODEL = "small"


class Serve(Site):
    """The service, and the command line that asks it."""

    def environment(self, state: Path) -> dict[str, str]:
        return {
            **os.environ,
            "WSI_URL": self.url,
            "WSI_TOKEN": TOKEN,
            "XDG_STATE_HOME": str(state),
            "COLUMNS": "200",
        }

    def client(self, *arguments: object, state: Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "wsi_pipeline.cli", "client", *map(str, arguments)],
            env=self.environment(state),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert TOKEN not in done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def serve(
    tmp_path_factory: pytest.TempPathFactory, package: ModelPackage, model_cache: Path
) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("serve")
    (folder / "models").mkdir()
    (folder / "models" / MODEL).symlink_to(package.folder)
    service = Serve(folder, model_cache)
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 × 500 px, tumour at the left."""
    image = np.full((500, 600, 3), NORMAL_COLOUR, np.float64)
    image[:, :250] = TUMOUR_COLOUR
    # The texture the model was made for, which JPEG would smooth away.
    image += np.random.default_rng(5).normal(0, 12, image.shape)
    path = tmp_path_factory.mktemp("slides") / "small.tiff"
    write_pyramid(path, image.clip(0, 255).astype(np.uint8))
    return path


@pytest.fixture(scope="module")
def job(serve: Serve, small: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A job that succeeded, made by the command line alone."""
    state = tmp_path_factory.mktemp("state")
    sent = serve.client("upload", small, state=state)
    assert sent.returncode == 0, sent.stderr
    slide = sent.stdout.strip()
    queued = serve.client("submit", slide, "--model", MODEL, "--stride", 48, state=state)
    assert queued.returncode == 0, queued.stderr
    job_id = queued.stdout.strip()
    waited = serve.client("wait", job_id, "--timeout", 200, state=state)
    assert waited.returncode == 0, waited.stderr
    return job_id


def test_everything_of_a_result_is_fetched(serve: Serve, job: str, tmp_path: Path) -> None:
    exports = ("mask", "zip", "heatmap", "geojson", "csv", "tiff")
    done = serve.client(
        "fetch", job, *exports, "-o", tmp_path / "out", "--name", "s", state=tmp_path / "state"
    )
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    assert done.stdout.split() == [
        str(out / name)
        for name in (
            "s.zarr",
            "s.zarr.zip",
            "s.heatmap.png",
            "s.geojson",
            "s.tiles.csv",
            "s.mask.tiff",
        )
    ]
    assert len(list(out.iterdir())) == 6, "nothing unfinished is left"
    result = verify(out / "s.zarr")
    assert_same_arrays(out / "s.zarr", out / "s.zarr.zip")
    tumour = np.asarray(arrays(out / "s.zarr")["labels/tumour/0"])
    assert tumour[250, 50] == 1
    assert tumour[250, 550] == 0
    assert result.attributes["slide"]["sha256"]
    assert (out / "s.heatmap.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "s.geojson").read_text())["type"] == "FeatureCollection"
    assert (out / "s.tiles.csv").read_text().count("\n") > 50
    assert (out / "s.mask.tiff").read_bytes()[:2] in (b"II", b"MM")


def test_what_is_there_is_not_overwritten(serve: Serve, job: str, tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    with Client(serve.url, TOKEN) as client, pytest.raises(UsageError, match="already"):
        client.fetch(job, "mask", tmp_path / "a.zarr")
    with Client(serve.url, TOKEN) as client, pytest.raises(UsageError, match="no folder"):
        client.fetch(job, "csv", tmp_path / "absent" / "a.csv")


def test_downloads_go_on_over_cut_lines(serve: Serve, job: str, tmp_path: Path) -> None:
    with Client(serve.url, TOKEN) as direct, line_to(serve.url) as line:
        for export in ("mask", "heatmap", "csv"):
            whole = direct.fetch(job, export, tmp_path / f"whole-{export}")
            size = whole.stat().st_size if whole.is_file() else 8_000
            line.down[:] = [0, 100, size // 3, 700, size // 2]
            line.connections = 0
            with Client(line.url, TOKEN, patience_seconds=60) as cut:
                seen: list[int] = []
                parts = cut.fetch(
                    job,
                    export,
                    tmp_path / f"parts-{export}",
                    progress=lambda done, _, seen=seen: seen.append(done),  # type: ignore[misc]  # bound now
                )
            assert line.connections > 3
            if whole.is_file():
                assert parts.read_bytes() == whole.read_bytes()
                assert any(0 < later == earlier for earlier, later in itertools.pairwise(seen)), (
                    "what was there was asked for again"
                )
            else:
                assert_same_arrays(whole, parts)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_damaged_download_is_found(
    serve: Serve, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first bytes are here from an earlier attempt, and a disk has changed one since."""
    with Client(serve.url, TOKEN) as client:
        whole = client.fetch(job, "csv", tmp_path / "whole.csv").read_bytes()
    with httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        etag = http.get(f"{serve.url}/v1/jobs/{job}/tiles.csv").headers["etag"]
    (tmp_path / ".a.csv.part").write_bytes(b"X" + whole[1:100])
    (tmp_path / ".a.csv.part.json").write_text(json.dumps({"etag": etag}))
    with Client(serve.url, TOKEN) as client:
        assert client.fetch(job, "csv", tmp_path / "a.csv").read_bytes() == whole


def test_status_shows_and_tells(serve: Serve, job: str, tmp_path: Path) -> None:
    shown = serve.client("status", job, state=tmp_path)
    assert shown.returncode == 0
    assert job in shown.stdout
    assert "succeeded" in shown.stdout
    (told,) = json.loads(serve.client("status", job, "--json", state=tmp_path).stdout)
    assert (told["id"], told["state"]) == (job, "succeeded")


def test_status_without_a_job_shows_the_newest(serve: Serve, job: str, tmp_path: Path) -> None:
    shown = serve.client("status", state=tmp_path)
    assert shown.returncode == 0
    assert job in shown.stdout
    newest = json.loads(serve.client("status", "--limit", 1, "--json", state=tmp_path).stdout)
    assert len(newest) == 1


def test_json_is_clean(serve: Serve, job: str, tmp_path: Path) -> None:
    waited = json.loads(serve.client("wait", job, "--json", state=tmp_path).stdout)
    assert [one["state"] for one in waited] == ["succeeded"]
    fetched = serve.client("fetch", job, "csv", "-o", tmp_path, "--json", state=tmp_path)
    assert json.loads(fetched.stdout) == [str(tmp_path / f"{job}.tiles.csv")]


def test_exit_codes(serve: Serve, job: str, tmp_path: Path) -> None:
    def code(*arguments: object) -> int:
        return serve.client(*arguments, state=tmp_path).returncode

    (tmp_path / "no-slide.svs").write_bytes(b"no slide" * 100)
    assert code("upload", tmp_path / "no-slide.svs") == 3
    assert code("upload", tmp_path / "absent.svs") == 2
    assert code("status", "0" * 32) == 2
    assert code("status", job, "--token", "wsi_wrong") == 2
    assert code("status", job, "--url", "nonsense") == 2
    assert code("status", job, "--url", "http://127.0.0.1:9") == 1
    assert code("fetch", job, "nonsense", "-o", tmp_path) == 2
    assert code("cancel", job) == 2, "it is over"


def test_a_mask_is_shared(serve: Serve, job: str, tmp_path: Path) -> None:
    done = serve.client("share", job, "--hours", 2, state=tmp_path)
    assert done.returncode == 0, done.stderr
    address = done.stdout.strip()
    assert "Valid until 20" in done.stderr
    assert httpx.get(f"{address}/zarr.json").json()["zarr_format"] == 3, "needs no key"
    (told,) = json.loads(serve.client("share", job, "--json", state=tmp_path).stdout)
    assert told.keys() == {"url", "expires_at"}
    assert serve.client("share", "0" * 32, state=tmp_path).returncode == 2


def test_a_key_from_a_file(serve: Serve, job: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{TOKEN}\n")
    environment = serve.environment(tmp_path)
    del environment["WSI_TOKEN"]
    command = [sys.executable, "-m", "wsi_pipeline.cli", "client", "status", job]
    for more, expected in (([], 2), (["--token-file", str(tmp_path / "key")], 0)):
        done = subprocess.run([*command, *more], env=environment, capture_output=True, check=False)
        assert done.returncode == expected, done.stderr


def test_identical_work_succeeds_at_once(serve: Serve, job: str, small: Path) -> None:
    with Client(serve.url, TOKEN) as client:
        slide = client.wait_slide(client.upload(small).id)
        again = client.submit(slide.id, MODEL, stride=48)
        assert again.state == "succeeded"
        assert again.json["result_id"] == client.status(job).json["result_id"]
        with pytest.raises(RefusedError):
            client.submit(slide.id, MODEL, stride=5000)


@pytest.fixture
def large(tmp_path: Path) -> tuple[Path, str]:
    """A real slide of 60 MB, and its SHA-256."""
    path = tmp_path / "large.tiff"
    image = np.random.default_rng(9).integers(0, 255, (256, 256, 3), np.uint8)
    write_pyramid(path, image, downsamples=(1, 2))
    with path.open("ab") as file:
        file.write(np.random.default_rng(1).bytes(60_000_000))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_killed_servers_and_clients_cost_nothing(
    serve: Serve, large: tuple[Path, str], tmp_path: Path
) -> None:
    """One upload, begun by a client that is killed, goes on over two deaths of the server."""
    path, sha256 = large
    command = [sys.executable, "-m", "wsi_pipeline.cli", "client", "upload", str(path), "--json"]
    environment = serve.environment(tmp_path / "state")
    states = tmp_path / "state" / "wsi-pipeline" / "uploads"

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def offset() -> int:
        found = list(states.glob("*.json"))
        if not found:
            return 0
        address = json.loads(found[0].read_text())["upload"]
        headers = {"Authorization": f"Bearer {TOKEN}", "Tus-Resumable": "1.0.0"}
        try:
            answer = httpx.head(f"{serve.url}{address}", headers=headers)
        except httpx.TransportError:
            return 0
        return int(answer.headers.get("upload-offset", 0))

    def until_sent(least: int) -> None:
        deadline = time.monotonic() + 60
        while offset() < least:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    client = start()
    until_sent(1)
    client.kill()
    client.communicate()
    begun = offset()
    client = start()
    serve.kill()
    time.sleep(1)
    serve.start()
    until_sent(begun + 1)
    serve.kill()
    serve.start()
    output, _ = client.communicate(timeout=120)
    assert client.returncode == 0
    (told,) = json.loads(output)
    assert told["sha256"] == sha256
    assert list(states.iterdir()) == []


def test_help_has_examples() -> None:
    for verb in ("upload", "submit", "status", "wait", "cancel", "fetch"):
        done: Any = subprocess.run(
            [sys.executable, "-m", "wsi_pipeline.cli", "client", verb, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": "200"},
        )
        assert f"wsi client {verb}" in done.stdout
        assert "Exit codes:" in done.stdout


def test_the_zip_is_what_zip_says(serve: Serve, job: str, tmp_path: Path) -> None:
    with Client(serve.url, TOKEN) as client:
        path = client.fetch(job, "zip", tmp_path / "a.zarr.zip")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[0] == "zarr.json"
