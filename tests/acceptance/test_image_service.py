"""Single images through the whole service: a real worker answers, as ``wsi classify`` does."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from service_support import TOKEN, Service, running, settings_in

from wsi_pipeline import cli
from wsi_pipeline.client import Client, RefusedError
from wsi_pipeline.images.table import CSV
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.synth import CLASSES, labelled_patches
from wsi_pipeline.testing.kinds import KINDS_MPP, KINDS_PATCH_PX

pytestmark = pytest.mark.slow

#: What is wrong with each bad file, in words of its one line.
BAD = {
    "text.bmp": "is no PNG, JPEG, BMP, TIFF or WebP image",
    "moving.gif": "is no PNG, JPEG, BMP, TIFF or WebP image",
    "press.jpg": "is in CMYK",
    "huge.png": "is too large for a single image",
}
TOLERANCE = 1e-5


@contextmanager
def worker(settings_of: Service, log: Path) -> Iterator[None]:
    """A worker process of a service."""
    settings = settings_of.settings
    told = {
        "WSI_DATA_DIR": str(settings.data_dir),
        "WSI_MODELS_DIR": str(settings.models_dir),
        "WSI_CACHE_DIR": str(settings.cache_dir),
        "WSI_WORKER": "0",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers"],
            env={**os.environ, **told},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good images of several kinds of file, and four bad ones."""
    path = tmp_path_factory.mktemp("images") / "smear"
    path.mkdir()
    patches, _ = labelled_patches(2, seed=9, patch_px=KINDS_PATCH_PX, mpp=KINDS_MPP, slide_px=2048)
    endings = ("png", "bmp", "tiff", "jpg", "webp")
    for index, patch in enumerate(patches):
        # Not all are of the model's size.
        image = Image.fromarray(patch).crop((0, 0, KINDS_PATCH_PX - 5 * index, KINDS_PATCH_PX))
        image.save(path / f"{index}.{endings[index % len(endings)]}")
    grey16 = np.linspace(0, 65_535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(grey16).save(path / "grey16.png")
    (path / "text.bmp").write_text("no image\n" * 100)
    Image.new("CMYK", (64, 64), (10, 80, 20, 0)).save(path / "press.jpg")
    frames = [Image.new("P", (64, 64), colour) for colour in (1, 2)]
    frames[0].save(path / "moving.gif", save_all=True, append_images=frames[1:])
    Image.new("1", (40_000, 40_000)).save(path / "huge.png", compress_level=1)
    return path


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, kinds_package: ModelPackage, model_cache: Path
) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("service")
    (home / "models").mkdir()
    (home / "models" / "kinds").symlink_to(kinds_package.folder)
    settings = settings_in(home, cache_dir=model_cache)
    with running(settings) as started, worker(started, home / "worker.log"):
        yield started


@pytest.fixture(scope="module")
def expected(
    folder: Path,
    kinds_package: ModelPackage,
    model_cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, dict[str, str]]:
    """The rows of ``wsi classify``, by the name of the file."""
    out = tmp_path_factory.mktemp("classified") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WSI_CACHE_DIR", str(model_cache))
        command = ["wsi", "classify", str(folder), "-o", str(out), "--quiet"]
        patch.setattr("sys.argv", [*command, "--model", str(kinds_package.folder)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == 3, "the bad ones"
    with (out / CSV).open(encoding="utf-8", newline="") as file:
        return {Path(row["image"]).name: row for row in csv.DictReader(file)}


def same(answer: object, row: dict[str, str]) -> bool:
    assert isinstance(answer, dict)
    said = [answer["probabilities"][name] for name in CLASSES]
    wanted = [float(row[f"p_{name}"]) for name in CLASSES]
    assert answer["called"] == [row["predicted"]]
    return bool(np.abs(np.subtract(said, wanted)).max() <= TOLERANCE)


def test_one_image_is_answered_as_the_command_line_does(
    service: Service, folder: Path, expected: dict[str, dict[str, str]]
) -> None:
    with Client(service.url, TOKEN) as client:
        for path in sorted(folder.iterdir()):
            name = f"alone/{path.name}"
            if path.name not in BAD:
                record = client.images.upload(path, name=name, model="kinds")
                while record.answer is None:  # the model is being loaded
                    assert record.state in ("queued", "running"), record.problem
                    time.sleep(0.1)
                    record = client.images.image(record.id, model="kinds")
                assert same(record.answer, expected[path.name]), path.name
                continue
            with pytest.raises(RefusedError) as refused:
                client.images.upload(path, name=name, model="kinds")
            assert (refused.value.status, refused.value.problem["type"]) == (
                422,
                "/problems/image",
            )
            assert BAD[path.name] in refused.value.problem["detail"]
            assert BAD[path.name] in expected[path.name]["error"]
            assert "\n" not in refused.value.problem["detail"]
        kept = {record.name for record in client.images.list(search="alone/")}
    assert kept == {f"alone/{name}" for name in expected if name not in BAD}


def test_a_folder_is_answered_as_the_command_line_does(
    service: Service,
    folder: Path,
    expected: dict[str, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WSI_URL", service.url)
    monkeypatch.setenv("WSI_TOKEN", TOKEN)
    command = ["wsi", "client", "images", "upload", str(folder), "--model", "kinds"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr()
    assert ended.value.code == 3
    for name, cause in BAD.items():
        (line,) = (line for line in told.err.splitlines() if name in line)
        assert cause in line
    assert len(told.out.splitlines()) == len(expected) - len(BAD)
    with Client(service.url, TOKEN) as client:
        found = {
            record.name.removeprefix("smear/"): record
            for record in client.images.list(search="smear/", model="kinds")
        }
    assert set(found) == set(expected), "nothing is lost"
    for name, record in found.items():
        if name in BAD:
            assert record.state == "failed"
        else:
            assert same(record.answer, expected[name]), name


def test_the_pictures_a_browser_needs_are_there(service: Service, folder: Path) -> None:
    with service.client() as http:
        sixteen = (folder / "grey16.png").read_bytes()
        image = http.put("/v1/images?name=g.png&model=kinds", content=sixteen).json()
        for name, side in (("thumbnail", 256), ("picture", 1024)):
            answer = http.get(f"/v1/images/{image['id']}/{name}")
            assert answer.headers["content-type"] == "image/jpeg"
            with Image.open(io.BytesIO(answer.content)) as shown:
                assert max(shown.size) <= side
                assert shown.mode == "RGB"
