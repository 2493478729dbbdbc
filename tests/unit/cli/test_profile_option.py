"""``wsi run --profile``, with a file and without."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.cli.optional_value import with_empty_values
from wsi_pipeline.model import loaded
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.run.profile import STAGES
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.testing import FakePredictor, write_pyramid
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR

Wsi = Callable[..., tuple[int, str, str]]


@pytest.fixture
def slides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two slides; what would compute them is a stand-in."""
    folder = tmp_path / "slides"
    folder.mkdir()
    image = np.full((256, 384, 3), NORMAL_COLOUR, np.uint8)
    image[:, :128] = TUMOUR_COLOUR
    for name in ("a", "b"):
        write_pyramid(folder / f"{name}.tiff", image)
    predictor = FakePredictor(patch_px=64)
    monkeypatch.setattr(loaded, "load_predictor", lambda *_, **__: predictor)
    return folder


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["run", "a.svs", "--profile"], ["run", "a.svs", "--profile="]),
        (["run", "--profile", "a.svs"], ["run", "--profile=", "a.svs"]),
        (["run", "--profile", "-o", "out"], ["run", "--profile=", "-o", "out"]),
        (["run", "--profile", "p.json", "a.svs"], ["run", "--profile", "p.json", "a.svs"]),
        (["run", "--profile=p.json", "a.svs"], ["run", "--profile=p.json", "a.svs"]),
        (["run", "--", "--profile", "a.svs"], ["run", "--", "--profile", "a.svs"]),
    ],
)
def test_a_slide_is_not_taken_for_the_file(given: list[str], read: list[str]) -> None:
    assert with_empty_values(given) == read


@pytest.mark.parametrize("file", [None, "own.json"])
def test_a_run_leaves_a_trace_and_a_table(
    wsi: Wsi, slides: Path, stub_package: ModelPackage, tmp_path: Path, file: str | None
) -> None:
    out = tmp_path / "out"
    asked = ["--profile"] if file is None else ["--profile", str(tmp_path / file)]
    code, text, told = wsi(
        "run", *asked, slides, "-o", out, "--model", stub_package.folder, "--json"
    )
    assert code == 0, told
    assert json.loads(text)["done"] == 2
    lines = told.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.split()[:1]}
    assert all(stage in rows for stage in STAGES)
    trace = out / "profile.json" if file is None else tmp_path / file
    assert str(trace) in told
    kept = json.loads(trace.read_text())
    assert list(kept["stages"]) == list(STAGES)
    shown = float(rows["tissue"][0])
    assert shown == pytest.approx(kept["stages"]["tissue"]["seconds"], abs=0.01)
    names = {event["name"] for event in kept["traceEvents"]}
    assert {"interpreter and first imports", "find the model", "load the model"} <= names
    assert {"find tissue", "hash the slide", "quality control", "publish"} <= names
    _assert_same_numbers(kept, [Result(path) for path in sorted(out.glob("*.zarr"))])


def _assert_same_numbers(
    kept: dict[str, dict[str, dict[str, float]]], results: list[Result]
) -> None:
    """What results state of their timings is what the profile sums."""
    timings = [result.record.timings for result in results]
    stages = kept["stages"]
    read = sum(one.read_thread_seconds for one in timings)
    assert stages["decode"]["cpu_seconds"] == pytest.approx(read, abs=0.002)
    wait = sum(one.model_wait_seconds for one in timings)
    assert stages["wait"]["thread_seconds"] == pytest.approx(wait, abs=0.002)


def test_only_a_json_file_is_written(
    wsi: Wsi, slides: Path, stub_package: ModelPackage, tmp_path: Path
) -> None:
    before = (slides / "a.tiff").read_bytes()
    code, _, told = wsi(
        "run",
        f"--profile={slides / 'a.tiff'}",
        slides,
        "-o",
        tmp_path / "out",
        "--model",
        stub_package.folder,
    )
    assert code == 2
    assert "must end with .json" in told
    assert (slides / "a.tiff").read_bytes() == before


def test_without_it_nothing_is_left(
    wsi: Wsi, slides: Path, stub_package: ModelPackage, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, _, told = wsi("run", slides, "-o", out, "--model", stub_package.folder)
    assert code == 0
    assert "thread s" not in told
    assert sorted(path.name for path in out.iterdir()) == [
        "a.zarr",
        "b.zarr",
        "summary.csv",
        "summary.json",
    ]
