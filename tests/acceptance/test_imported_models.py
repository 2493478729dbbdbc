"""A model of every source form runs on a real slide with its own program's probabilities."""

import csv
import itertools
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign_models_support as foreign
import numpy as np
import openslide
import pytest
import safetensors.torch
import torch
from acceptance_support import Wsi, assert_same_arrays
from numpy.typing import NDArray
from PIL import Image
from torchvision import transforms

from wsi_pipeline.model.package import load_package
from wsi_pipeline.run.checkpoint import partial_folder
from wsi_pipeline.stitch.result import Result

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]

_SIDE = foreign.SIDE
_STATED = ("--mpp", 0.5, "--patch-px", _SIDE, "--no-int8")
_NORMALISED = ("--mean", *foreign.MEAN, "--std", *foreign.STD)


@pytest.fixture
def cmu(data: Path) -> Path:
    return data / "slides" / "cmu-1-small-region.svs"


def _cut(slide: Path, corners: NDArray[Any], side: int) -> list[Image.Image]:
    """Squares of level 0 as OpenSlide gives them, white where there is nothing."""
    reader, cut = openslide.OpenSlide(slide), []
    for x, y in corners.tolist():
        pixels = reader.read_region((x, y), 0, (side, side))
        white = Image.new("RGB", pixels.size, "white")
        white.paste(pixels, mask=pixels.getchannel("A"))
        cut.append(white)
    return cut


def _softmax(module: torch.nn.Module, images: list[Image.Image], prepare: Any) -> NDArray[Any]:
    patches = np.stack([np.asarray(image) for image in images])
    logits = torch.from_numpy(foreign.answers(module, patches, prepare))
    return torch.softmax(logits, 1).numpy()


def _onnx(module: torch.nn.Module, folder: Path) -> tuple[Path, list[Any], Any]:
    path = foreign.onnx(module, folder / "net.onnx")
    return path, [*_STATED, *_NORMALISED], foreign.steps()


def _ir(module: torch.nn.Module, folder: Path) -> tuple[Path, list[Any], Any]:
    path = foreign.ir(module, folder / "net.xml")
    return path, [*_STATED, *_NORMALISED], foreign.steps()


def _torchscript(module: torch.nn.Module, folder: Path) -> tuple[Path, list[Any], Any]:
    path = foreign.torchscript(module, folder / "net.pt")
    return path, [*_STATED, *_NORMALISED, "--trust"], foreign.steps()


def _checkpoint(module: torch.nn.Module, folder: Path) -> tuple[Path, list[Any], Any]:
    path = folder / "best.safetensors"
    safetensors.torch.save_file(module.state_dict(), path)
    return path, [*_STATED, "--architecture", foreign.NAME], foreign.usual_steps(module)


def _hub(module: torch.nn.Module, folder: Path) -> tuple[Path, list[Any], Any]:
    path = foreign.hub_folder(module, folder / "hub")
    return path, [*_STATED], foreign.timm_steps(foreign.hub_configuration())


@pytest.mark.usefixtures("confined")
@pytest.mark.parametrize("make", [_onnx, _ir, _torchscript, _checkpoint, _hub])
def test_a_model_answers_as_where_it_came_from(
    wsi: Wsi,
    cmu: Path,
    tmp_path: Path,
    make: Callable[[torch.nn.Module, Path], tuple[Path, list[Any], Any]],
) -> None:
    module = foreign.of_timm(3) if make in (_checkpoint, _hub) else foreign.small(3)
    source, options, prepare = make(module, tmp_path)
    model = tmp_path / "model"
    done = wsi(
        *("models", "import", source, "--name", "mine", "-o", model, *options, "--json"), limit=600
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["max_abs_difference"] <= 1e-4
    done = wsi(
        *("run", cmu, "-o", tmp_path / "out", "--model", model, "--precision", "fp32", "--quiet")
    )
    assert done.returncode == 0, done.stderr
    tiles = Result(tmp_path / "out" / "cmu-1-small-region.zarr").tile_table()
    corners = np.stack([tiles["x"], tiles["y"]], axis=1)
    assert len(corners) > 500
    expected = _softmax(module, _cut(cmu, corners, _SIDE), prepare)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(tiles["probability"], expected, rtol=0, atol=1e-4)


@pytest.mark.usefixtures("confined")
@pytest.mark.parametrize("classes", [("Other", "Tumor"), ("Tumor",), ("A", "B", "C")])
def test_a_wsinfer_model_gives_that_programs_table(
    wsi: Wsi, cmu: Path, tmp_path: Path, classes: tuple[str, ...]
) -> None:
    module = foreign.small(len(classes))
    stated: Any = {"class_names": classes, "num_classes": len(classes), "spacing_um_px": 0.7}
    folder = foreign.wsinfer_folder(module, tmp_path / "zoo", **stated)
    model = tmp_path / "model"
    done = wsi(*("models", "import", folder, "--name", "m", "-o", model, "--trust", "--no-int8"))
    assert done.returncode == 0, done.stderr
    options = ("--grid", "wsinfer", "--precision", "fp32", "--quiet", "--tissue", "exact")
    done = wsi("run", cmu, "-o", tmp_path / "out", "--model", model, *options)
    assert done.returncode == 0, done.stderr
    done = wsi("export", tmp_path / "out" / "cmu-1-small-region.zarr", "wsinfer-csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out" / "cmu-1-small-region.csv").open(newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header == ["minx", "miny", "width", "height", *(f"prob_{name}" for name in classes)]
    # From here on as that program does it.
    slide = openslide.OpenSlide(cmu)
    spacing = (float(slide.properties["openslide.mpp-x"]) + 0.499) / 2
    side = round(80 * 0.7 / spacing)
    half, (width, height) = round(side / 2), slide.dimensions
    grid = itertools.product(range(half, width, side), range(half, height, side))
    every = [(x - half, y - half) for x, y in grid]
    found = [(int(row[0]), int(row[1])) for row in rows]
    assert len(found) > 200
    assert found == [place for place in every if place in set(found)]
    assert {(row[2], row[3]) for row in rows} == {(str(side), str(side))}
    images = [slide.read_region(place, 0, (side, side)).convert("RGB") for place in found]
    patches = np.stack([np.asarray(image.resize((80, 80))) for image in images])
    prepare = foreign.steps(transforms.Resize(_SIDE))
    logits = torch.from_numpy(foreign.answers(module, patches, prepare))
    expected = torch.sigmoid(logits) if len(classes) == 1 else torch.softmax(logits, 1)
    assert np.ptp(expected.numpy()) > 0.1
    probabilities = np.array([row[4:] for row in rows], np.float32)
    np.testing.assert_allclose(probabilities, expected.numpy(), rtol=0, atol=1e-4)


def test_workers_and_kills_change_nothing(wsi: Wsi, cmu: Path, tmp_path: Path) -> None:
    source, options, _ = _onnx(foreign.small(3), tmp_path)
    model = tmp_path / "model"
    done = wsi("models", "import", source, "--name", "mine", "-o", model, *options)
    assert done.returncode == 0, done.stderr
    run = ("run", cmu, "--model", model, "--precision", "fp32", "--quiet", "--stride", 32)
    name = "cmu-1-small-region.zarr"
    assert wsi(*run, "-o", tmp_path / "one", "--workers", 1).returncode == 0
    process = wsi.start(*run, "-o", tmp_path / "two", "--workers", 3)
    deadline = time.monotonic() + 200
    while not list(partial_folder(tmp_path / "two" / name).glob("region-*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "two" / name).exists()
    assert wsi(*run, "-o", tmp_path / "two", "--workers", 3).returncode == 0
    assert_same_arrays(tmp_path / "one" / name, tmp_path / "two" / name)


def test_a_kill_while_importing_leaves_no_package(wsi: Wsi, tmp_path: Path) -> None:
    source, options, _ = _onnx(foreign.small(3), tmp_path)
    model = tmp_path / "models" / "mine"
    command = ("models", "import", source, "--name", "mine", "-o", model, *options)
    process = wsi.start(*command)
    deadline = time.monotonic() + 200
    while not list(model.parent.glob(".mine.*.new/reference.npz")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not model.exists()
    assert wsi(*command).returncode == 0
    load_package(model)
    assert "already exists" in wsi(*command).stderr
    assert wsi(*command, "--overwrite").returncode == 0
