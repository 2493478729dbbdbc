"""Killed at any moment, continued, spread over any number of workers: the same arrays."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from acceptance_support import Wsi, assert_same_arrays

from wsi_pipeline.run.checkpoint import Checkpoint, partial_folder
from wsi_pipeline.stitch.verification import verify

pytestmark = pytest.mark.slow

_OPTIONS = ("--stride", "32", "--precision", "int8")


@pytest.fixture(scope="module")
def undisturbed(wsi: Wsi, slide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    code, summary = wsi.run(slide, "-o", out, *_OPTIONS)
    assert code == 0, summary
    return out / "planted.zarr"


@pytest.mark.parametrize("workers", [1, 4])
def test_the_number_of_workers_changes_nothing(
    wsi: Wsi, slide: Path, undisturbed: Path, tmp_path: Path, workers: int
) -> None:
    code, _ = wsi.run(slide, "-o", tmp_path, *_OPTIONS, "--workers", workers)
    assert code == 0
    assert_same_arrays(tmp_path / "planted.zarr", undisturbed)


def test_a_killed_run_continues_where_it_was(
    wsi: Wsi, slide: Path, undisturbed: Path, tmp_path: Path
) -> None:
    final = tmp_path / "planted.zarr"
    process = _start(wsi, slide, tmp_path)
    _wait_for_regions(process, final, 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not final.exists()
    kept = _regions(final)
    before = {path: path.stat().st_mtime_ns for path in kept}

    process = _start(wsi, slide, tmp_path)
    _wait_for_regions(process, final, len(kept) + 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    after = {path: path.stat().st_mtime_ns for path in kept}
    assert after == before, "a finished region was computed again"

    kept = _regions(final)
    code, summary = wsi.run(slide, "-o", tmp_path, *_OPTIONS)
    assert code == 0
    assert summary["slides"][0]["resumed_tiles"] >= 256 * (len(kept) - 1)
    assert_same_arrays(final, undisturbed)
    assert not partial_folder(final).exists()


def test_a_finished_slide_is_verified_and_skipped(wsi: Wsi, slide: Path, undisturbed: Path) -> None:
    out = undisturbed.parent
    written = (undisturbed / "zarr.json").stat().st_mtime_ns
    code, summary = wsi.run(slide, "-o", out, *_OPTIONS)
    assert code == 0
    assert summary["slides"][0]["status"] == "skipped"
    assert (undisturbed / "zarr.json").stat().st_mtime_ns == written


def test_a_slide_another_process_is_at_is_left_to_it(wsi: Wsi, slide: Path, tmp_path: Path) -> None:
    final = tmp_path / "planted.zarr"
    with Checkpoint(final, {"someone": "else"}):
        code, summary = wsi.run(slide, "-o", tmp_path, *_OPTIONS)
    assert code == 3
    assert "another process" in summary["slides"][0]["reason"]
    assert not final.exists()


def test_two_runs_at_once_leave_one_right_result(
    wsi: Wsi, slide: Path, undisturbed: Path, tmp_path: Path
) -> None:
    final = tmp_path / "planted.zarr"
    both = [_start(wsi, slide, tmp_path) for _ in range(2)]
    codes = [process.wait(timeout=200) for process in both]
    # The slower one found it busy (3), or finished (0).
    assert sorted(codes) in ([0, 0], [0, 3])
    assert_same_arrays(final, undisturbed)
    assert not partial_folder(final).exists()


@pytest.mark.timeout(1500)
def test_thirty_kills_at_random_moments(
    wsi: Wsi, slide: Path, undisturbed: Path, tmp_path: Path
) -> None:
    rng = random.Random(11)
    final = tmp_path / "planted.zarr"
    kills = 0
    while kills < 30:
        process = _start(wsi, slide, tmp_path)
        # From before the first import to the writing of the store.
        deadline = time.monotonic() + rng.uniform(0.2, 14)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
            if final.exists():
                verify(final)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        if final.exists():
            verify(final)
            assert_same_arrays(final, undisturbed)
            # The store is moved whole: begin anew.
            final.rename(tmp_path / f"finished-{kills}-{time.monotonic_ns()}.zarr")
    code, summary = wsi.run(slide, "-o", tmp_path, *_OPTIONS)
    assert code == 0, summary
    assert_same_arrays(final, undisturbed)


def _start(wsi: Wsi, slide: Path, out: Path) -> subprocess.Popen[bytes]:
    return wsi.start("run", slide, "-o", out, *_OPTIONS, "--model", wsi.package.folder, "--quiet")


def _regions(final: Path) -> list[Path]:
    return [p for p in partial_folder(final).glob("region-*") if p.suffix != ".new"]


def _wait_for_regions(process: subprocess.Popen[bytes], final: Path, count: int) -> None:
    while len(_regions(final)) < count:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
