"""Several slides in one run: each as if it were alone, killed and interrupted at any moment."""

import itertools
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acceptance_support import Wsi, assert_same_arrays

from wsi_pipeline.run.checkpoint import partial_folder
from wsi_pipeline.run.profile import STAGES
from wsi_pipeline.stitch.result import verify
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
    for before, after in itertools.pairwise(_NAMES):
        published = _of(events, "publish", before)[0]
        begun = _of(events, "read a batch", after)[0]
        assert begun["ts"] < published["ts"], f"{after} waits until {before} is written"


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


def _start(wsi: Wsi, slides: Path, out: Path) -> subprocess.Popen[bytes]:
    return wsi.start("run", slides, "-o", out, *_OPTIONS, "--model", wsi.package.folder, "--quiet")
