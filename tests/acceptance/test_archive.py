"""Several slides in one run: each as if it were alone, killed and interrupted at any moment."""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from acceptance_support import Wsi, assert_same_arrays

from wsi_pipeline.run.checkpoint import partial_folder
from wsi_pipeline.run.profile import STAGES
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.slides import write_pyramid

pytestmark = pytest.mark.slow

_OPTIONS = ("--stride", "32", "--precision", "int8")
_NAMES = ("a", "b", "c", "d")
_KILLS = 12
_COPIES = 6


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four slides of two regions each, with a tumour at another place."""
    rng = np.random.default_rng(5)
    folder = tmp_path_factory.mktemp("archive")
    for number, name in enumerate(_NAMES):
        image = np.full((800, 1000, 3), 242, np.float64)
        image[100:700, 100:900] = NORMAL_COLOUR
        image[200:400, 150 * number + 100 : 150 * number + 300] = TUMOUR_COLOUR
        image += rng.normal(0, 8, image.shape)
        px = image.clip(0, 255).astype(np.uint8)
        write_pyramid(
            folder / f"{name}.tiff", px, compression="jpeg", tile=256, downsamples=(1, 4, 16)
        )
    return folder


@pytest.fixture(scope="module")
def many(slides: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same slides under names of their own, so many that a run lasts."""
    folder = tmp_path_factory.mktemp("many")
    for name in _NAMES:
        for number in range(_COPIES):
            (folder / f"{name}{number}.tiff").hardlink_to(slides / f"{name}.tiff")
    return folder


@pytest.fixture(scope="module")
def alone(wsi: Wsi, slides: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result of each, made in a process of its own."""
    out = tmp_path_factory.mktemp("alone")
    for name in _NAMES:
        code, summary = wsi.run(slides / f"{name}.tiff", "-o", out, *_OPTIONS)
        assert code == 0, summary
    return out


def test_slides_of_one_run_are_as_if_each_were_alone(
    wsi: Wsi, slides: Path, alone: Path, tmp_path: Path
) -> None:
    code, summary = wsi.run(slides, "-o", tmp_path, *_OPTIONS, "--profile")
    assert code == 0, summary
    assert [row["status"] for row in summary["slides"]] == ["done"] * 4
    for name in _NAMES:
        assert_same_arrays(tmp_path / f"{name}.zarr", alone / f"{name}.zarr")
    kept = json.loads((tmp_path / "profile.json").read_text())
    assert list(kept["stages"]) == list(STAGES)
    assert all(stage["seconds"] > 0 for stage in kept["stages"].values())
    events = kept["traceEvents"]
    # Of one pair at least: on a busy machine a slide may be written before the next is prepared.
    assert any(
        _of(events, "read a batch", after)[0]["ts"] < _of(events, "publish", before)[0]["ts"]
        for before, after in itertools.pairwise(_NAMES)
    ), "every slide waits until the one before is written"


def _of(events: list[dict[str, Any]], name: str, slide: str) -> list[dict[str, Any]]:
    """Events of a slide in the order in which they begin."""
    found = [
        event
        for event in events
        if event["name"] == name and event.get("args", {}).get("slide") == slide
    ]
    return sorted(found, key=lambda event: float(event["ts"]))


@pytest.mark.timeout(900)
def test_kills_at_random_moments_cost_no_slide(
    wsi: Wsi, slides: Path, alone: Path, tmp_path: Path
) -> None:
    rng = random.Random(12)
    kills = 0
    while kills < _KILLS:
        process = _start(wsi, slides, tmp_path)
        # From before the first import to the writing of the last store.
        deadline = time.monotonic() + rng.uniform(0.2, 12)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        stores = sorted(tmp_path.glob("*.zarr"))
        for store in stores:
            verify(store)
        if len(stores) == len(_NAMES):
            _begin_anew(stores, alone)
    code, summary = wsi.run(slides, "-o", tmp_path, *_OPTIONS)
    assert code == 0, summary
    assert {row["status"] for row in summary["slides"]} <= {"done", "skipped"}
    for name in _NAMES:
        assert_same_arrays(tmp_path / f"{name}.zarr", alone / f"{name}.zarr")
        assert not partial_folder(tmp_path / f"{name}.zarr").exists()


def _begin_anew(stores: list[Path], alone: Path) -> None:
    for store in stores:
        assert_same_arrays(store, alone / store.name)
        store.rename(store.with_name(f".{store.stem}-{time.monotonic_ns()}"))


def test_an_interrupted_run_ends_and_continues(
    wsi: Wsi, many: Path, alone: Path, tmp_path: Path
) -> None:
    # Where all were done before the signal came, it is sent again.
    for attempt in range(8):
        out = tmp_path / str(attempt)
        if _interrupted(wsi, many, out):
            break
    else:
        pytest.fail("no run could be interrupted before its end")
    assert len(list(out.glob("*.zarr"))) < len(_NAMES) * _COPIES
    kept = list(out.glob(".*.partial/region-*"))
    code, summary = wsi.run(many, "-o", out, *_OPTIONS)
    assert code == 0, summary
    resumed = sum(row["resumed_tiles"] or 0 for row in summary["slides"])
    assert (resumed > 0) == bool(kept)
    for slide in many.iterdir():
        assert_same_arrays(out / f"{slide.stem}.zarr", alone / f"{slide.stem[0]}.zarr")


def _interrupted(wsi: Wsi, slides: Path, out: Path) -> bool:
    """Interrupt a run once something is kept of it; False where it was done before that."""
    process = _start(wsi, slides, out)
    while process.poll() is None and not list(out.glob(".*.partial/region-*")):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    code = process.wait(timeout=120)
    assert code in (0, 130)
    return code == 130


def test_a_crash_costs_the_slide_that_caused_it(
    wsi: Wsi, slides: Path, alone: Path, tmp_path: Path
) -> None:
    code, crashes = _crashing(wsi, slides, tmp_path, "c")
    assert (code, crashes) == (3, 2), "once beside others, and once alone"
    rows = json.loads((tmp_path / "summary.json").read_text())["slides"]
    status = {Path(row["slide"]).stem: row["status"] for row in rows}
    assert status.pop("c") == "failed"
    assert set(status) == {"a", "b", "d"}
    assert set(status.values()) <= {"done", "skipped"}
    (reason,) = (row["reason"] for row in rows if row["status"] == "failed")
    assert "analysing it crashed the program (SIGSEGV), twice" in reason
    for name in status:
        assert_same_arrays(tmp_path / f"{name}.zarr", alone / f"{name}.zarr")
    code, summary = wsi.run(slides, "-o", tmp_path, *_OPTIONS)
    assert code == 0, summary
    assert_same_arrays(tmp_path / "c.zarr", alone / "c.zarr")


def test_a_crash_that_no_slide_causes_costs_none(
    wsi: Wsi, slides: Path, alone: Path, tmp_path: Path
) -> None:
    code, crashes = _crashing(wsi, slides, tmp_path, "b", most=1)
    assert (code, crashes) == (0, 1)
    for name in _NAMES:
        assert_same_arrays(tmp_path / f"{name}.zarr", alone / f"{name}.zarr")


def _crashing(
    wsi: Wsi, slides: Path, out: Path, name: str, most: int | None = None
) -> tuple[int, int]:
    """Run, with a crash whenever a slide is under way; exit code and number of crashes."""
    process, crashes = _start(wsi, slides, out), 0
    program, partial = psutil.Process(process.pid), partial_folder(out / f"{name}.zarr")
    while process.poll() is None:
        if partial.exists() and crashes != most:
            for child in program.children():
                child.send_signal(signal.SIGSEGV)
                child.wait(60)
                # It tells that the next process is at this slide. Not before this one has ended:
                # while its stack is printed its other threads go on, and would find the loss.
                shutil.rmtree(partial)
                crashes += 1
        time.sleep(0.005)
    return process.returncode, crashes


def test_nothing_goes_on_when_the_program_is_killed(wsi: Wsi, slides: Path, tmp_path: Path) -> None:
    process = _start(wsi, slides, tmp_path)
    program = psutil.Process(process.pid)
    while not list(tmp_path.glob(".*.partial")):
        time.sleep(0.005)
    processes = program.children(recursive=True)
    assert processes
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert not alive


def _start(wsi: Wsi, slides: Path, out: Path) -> subprocess.Popen[bytes]:
    return wsi.start("run", slides, "-o", out, *_OPTIONS, "--model", wsi.package.folder, "--quiet")
