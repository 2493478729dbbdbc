"""The GPU benchmark, small and on the CPU: every step runs, and no figure of a GPU is made up."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from torch.cuda import CUDAGraph

from benchmarks.gpu.activity import UNSEEN, GraphActivity, covered, watching_replays
from benchmarks.gpu.decoding import whole_jpeg
from benchmarks.gpu.rows import Rows, read_json
from wsi_pipeline.geometry import Size
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.synth import SynthSpec, write_slide

ROOT = Path(__file__).parents[2]
#: Small enough for seconds: a slide of some dozen tiles, two convolutions to train.
SMALL = ("--device", "cpu", "--size", "1500x1200", "--large-size", "1600x1300", "--tiles", "12")
TRAINING = (
    *("--recipe", "camelyon-baseline", "--training-size", "1500x1200", "--training-steps", "2"),
    *("--set", "batch=4", "--set", "patch_px=96", "--set", "labels.central_px=64"),
    *("--set", "sampling.stride=96"),
)


STEPS = ["prepare", "correctness", "rate", "slide", "decode", "training", "large"]


def command(out: Path, package: ModelPackage, *more: str) -> list[str]:
    module = [sys.executable, "-m", "benchmarks.gpu", "--out", str(out)]
    return [*module, "--model", str(package.folder), *SMALL, *TRAINING, *more]


def test_all_steps_on_a_cpu(kinds_package: ModelPackage, tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path, kinds_package), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads((tmp_path / "gpu.json").read_text())
    assert figures["device"] == "cpu"
    assert figures["card"] == figures["driver"] == "not measured"
    assert figures["torch"]
    steps = figures["steps"]
    assert list(steps) == STEPS
    states = {name: (step["state"], step.get("error")) for name, step in steps.items()}
    assert set(states.values()) == {("done", None)}, (states, figures)

    rows = {name: step["rows"] for name, step in steps.items()}
    assert rows["correctness"]["contract suite"] == "not measured"
    assert rows["correctness"]["fp32"]["decisions_changed"] == 0
    assert rows["correctness"]["fp32"]["max_abs_difference"] < 1e-3
    for step in ("correctness", "rate"):
        for name in ("bf16", "fp16", "auto, bf16>fp32", "auto, fp16>fp32"):
            assert rows[step][name] == "not measured", (step, name)
    rate = rows["rate"]["fp32"]
    assert rate["tiles_per_second"] > 0
    assert rate["busy_share"] == rate["device_tiles_per_second"] == "not measured"
    assert rate["runtime"]["device"].startswith("cpu")
    assert rows["rate"]["int8"].startswith("not supported")
    slide = rows["slide"]["fp32"]
    assert slide["tiles_per_second"] > 0
    assert slide["busy_share"] == slide["driver_utilisation"] == "not measured"
    assert rows["slide"]["auto"] == rows["slide"]["bf16"] == "not measured"
    assert rows["decode"]["cpu, tiles"]["tiles_per_second"] > 0
    assert rows["decode"]["cpu, patches"]["patches_per_second"] > 0
    for library in ("nvImageCodec, tiles", "cuCIM, patches"):
        assert rows["decode"][library] in ("not installed", "not measured")
    assert rows["training"]["images"]["share"] > 0
    assert rows["training"]["images"]["device"] == "cpu"
    assert rows["training"]["repeats its bits"] == "not measured"
    assert rows["large"]["slide"]["size"] == "1600x1300"
    assert rows["large"]["cold"]["process_seconds"] > rows["large"]["cold"]["seconds"] > 0
    assert rows["large"]["warm"]["tiles"] == rows["large"]["cold"]["tiles"] > 0


def test_what_fails_costs_its_own_rows(tmp_path: Path) -> None:
    """There is no such model: a row of one step fails, and all of another."""
    only = ("--only", "prepare", "--only", "decode", "--model", str(tmp_path / "none"))
    module = [sys.executable, "-m", "benchmarks.gpu", "--out", str(tmp_path), *SMALL, *only]
    done = subprocess.run(module, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    steps = json.loads((tmp_path / "gpu.json").read_text())["steps"]
    assert {step["state"] for step in steps.values()} == {"failed"}
    prepared = steps["prepare"]["rows"]
    assert prepared["model"]["error"].startswith("PackageError: ")
    assert prepared["machine"]["torch"]
    assert prepared["slide"]["name"] == "1500x1200"
    assert "model.yaml" in steps["decode"]["error"]
    assert steps["decode"]["rows"] == {}


def test_a_step_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    more = ("--seconds", "3", "--size", "60000x60000", "--only", "prepare")
    module = [sys.executable, "-m", "benchmarks.gpu", "--out", str(tmp_path), *SMALL, *more]
    subprocess.run([*module, "--model", str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    (step,) = json.loads((tmp_path / "gpu.json").read_text())["steps"].values()
    assert step["state"] == "stopped at its limit"
    assert "slide" not in step["rows"]


def test_a_limit_from_outside_loses_no_row(kinds_package: ModelPackage, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(tmp_path, kinds_package),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    first = tmp_path / "steps" / "prepare.json"
    until = time.monotonic() + 120
    while "machine" not in read_json(first) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    steps = json.loads((tmp_path / "gpu.json").read_text())["steps"]
    assert "torch" in steps["prepare"]["rows"]["machine"]


def test_no_time_is_no_figure(kinds_package: ModelPackage, tmp_path: Path) -> None:
    more = ("--seconds", "0.5", "--only", "rate")
    subprocess.run(
        command(tmp_path, kinds_package, *more), cwd=ROOT, check=True, capture_output=True
    )
    steps = json.loads((tmp_path / "gpu.json").read_text())["steps"]
    assert steps == {"rate": {"state": "no time left", "seconds": 0.0, "rows": {}}}


@pytest.mark.parametrize(
    ("intervals", "seconds"),
    [
        ([], 0.0),
        ([(1.0, 2.0), (3.0, 4.0)], 2.0),
        ([(3.0, 5.0), (1.0, 4.0), (1.5, 2.0)], 4.0),  # over several streams, in no order
        ([(-5.0, 1.0), (9.0, 30.0)], 2.0),  # only what lies inside
        ([(-5.0, 50.0)], 10.0),
        ([(20.0, 30.0), (-3.0, -1.0)], 0.0),
    ],
)
def test_the_time_covered(intervals: list[tuple[float, float]], seconds: float) -> None:
    assert covered(intervals, 0.0, 10.0) == pytest.approx(seconds)


def test_no_graph_is_no_busy_share() -> None:
    active = GraphActivity("cuda:0")
    assert active.share(0.0, 1.0) == UNSEEN
    active.intervals = [(0.25, 0.75)]
    assert active.share(0.0, 1.0) == 0.5


def test_replays_of_graphs_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the busy share rests on; here there is no graph to replay."""
    heard: list[str] = []

    def usual(_: CUDAGraph) -> None:
        heard.append("replay")

    monkeypatch.setattr(CUDAGraph, "replay", usual)
    graph = CUDAGraph.__new__(CUDAGraph)
    with watching_replays(lambda: heard.append("before"), lambda: heard.append("behind")):
        graph.replay()
    assert heard == ["before", "replay", "behind"]
    assert CUDAGraph.replay is usual


def test_rows_are_on_disk_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "steps" / "one.json"
    rows = Rows(path)
    rows.keep("first", {"tiles": 3})
    assert read_json(path) == {"first": {"tiles": 3}}
    rows.measure("second", lambda: 1 // 0)
    rows.measure("third", lambda: 5)
    assert rows.failed
    found = read_json(path)
    assert found["third"] == 5
    assert found["second"]["error"].startswith("ZeroDivisionError: ")


def test_a_tile_with_its_tables_is_a_whole_jpeg(tmp_path: Path) -> None:
    slide = tmp_path / "slide.tiff"
    write_slide(SynthSpec(Size(600, 500), seed=3), slide)
    with tifffile.TiffFile(slide) as tiff:
        page = tiff.pages.first
        tiff.filehandle.seek(page.dataoffsets[0])
        alone = tiff.filehandle.read(page.databytecounts[0])
        expected = page.asarray()[: page.tilelength, : page.tilewidth]
        decoded = imagecodecs.jpeg8_decode(whole_jpeg(alone, page.jpegtables), outcolorspace="RGB")
    assert np.array_equal(decoded[: len(expected)], expected)
