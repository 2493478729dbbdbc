"""``wsi train`` as a user meets it: a package from slides, and kills that change no bit."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from training_support import SMALL, draw_slide, make_cohort

from wsi_pipeline.model.package import load_package

_WSI = (sys.executable, "-m", "wsi_pipeline.cli")


def wsi(*arguments: object, limit: float = 280) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_WSI, *map(str, arguments)], capture_output=True, text=True, timeout=limit, check=False
    )


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cohort(tmp_path_factory.mktemp("cohort"))


def digest(package: Path) -> str:
    return load_package(package).description.files["weights.safetensors"]


@pytest.mark.slow
def test_a_package_that_run_uses(cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "small"
    done = wsi("train", cohort, "-o", out, *SMALL, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["validation"]["auc"]["value"] > 0.9
    assert report["data"]["not_used"] == ["tumour_3", "normal_3"]
    assert report["data"]["patients"] == {"train": ["p0", "p1"], "validation": ["p2"]}
    assert not report["synthetic"]
    assert list((out.parent / "small.training" / "logs").glob("*tfevents*"))
    # The held-out slides, by the very command that analyses any slide.
    slides = [cohort.parent / "tumour_3.tiff", cohort.parent / "normal_3.tiff"]
    for slide in slides:
        os.utime(slide)
    done = wsi(
        "run", *slides, "-o", tmp_path / "results", "--model", out, "--precision", "fp32", "--json"
    )
    assert done.returncode == 0, done.stderr
    scores = [
        json.loads((tmp_path / "results" / f"{slide.stem}.zarr" / "zarr.json").read_text())[
            "attributes"
        ]["wsi_pipeline"]["slide_score"]
        for slide in slides
    ]
    assert scores[0] > scores[1]


@pytest.mark.slow
def test_three_kills_change_no_bit(cohort: Path, tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed"
    began = time.monotonic()
    assert wsi("train", cohort, "-o", undisturbed, *SMALL, "-q").returncode == 0
    seconds = time.monotonic() - began
    killed = tmp_path / "killed"
    moments = random.Random(5)
    kills = 0
    while kills < 3:
        running = subprocess.Popen([*_WSI, "train", str(cohort), "-o", str(killed), *SMALL, "-q"])
        try:
            # The first run may have taken twice as long as those after it.
            running.wait(moments.uniform(0.1, 0.6) * seconds)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            kills += 1
        else:
            assert running.returncode == 0
            break
        assert running.wait() == -signal.SIGKILL
    done = wsi("train", cohort, "-o", killed, *SMALL)
    assert done.returncode == 0, done.stderr
    assert kills > 0
    assert digest(killed) == digest(undisturbed)
    reports = [json.loads(Path(f"{out}.train.json").read_text()) for out in (killed, undisturbed)]
    for part in ("history", "threshold", "calibration", "validation"):
        assert reports[0][part] == reports[1][part]


@pytest.mark.slow
def test_a_kill_between_any_two_checkpoints(cohort: Path, tmp_path: Path) -> None:
    """Killed each time a new checkpoint appears, over and over, to the end."""
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    few = (
        *SMALL,
        "--set",
        "epochs=1",
        "--set",
        "sampling.patches=48",
        "--set",
        "checkpoint_steps=2",
    )
    assert wsi("train", cohort, "-o", undisturbed, *few, "-q").returncode == 0
    checkpoint = tmp_path / "killed.training" / "checkpoint.pt"
    for _ in range(12):
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        running = subprocess.Popen([*_WSI, "train", str(cohort), "-o", str(killed), *few, "-q"])
        while running.poll() is None:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns != before:
                running.kill()
            time.sleep(0.005)
        if running.wait() == 0:
            break
    assert digest(killed) == digest(undisturbed)


@pytest.mark.slow
def test_two_processes_train_one_model(cohort: Path, tmp_path: Path) -> None:
    """Over gloo on the CPU, killed once: the same bits as two processes undisturbed."""
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(out: Path) -> subprocess.Popen[bytes]:
        command = [
            *torchrun,
            "-m",
            "wsi_pipeline.cli",
            "train",
            str(cohort),
            "-o",
            str(out),
            *SMALL,
        ]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)

    done = start(tmp_path / "whole")
    _, told = done.communicate(timeout=280)
    assert done.returncode == 0, told.decode()
    report = json.loads((tmp_path / "whole.train.json").read_text())
    assert report["computing"]["processes"] == 2
    assert report["validation"]["auc"]["value"] > 0.9
    interrupted = start(tmp_path / "interrupted")
    checkpoint = tmp_path / "interrupted.training" / "checkpoint.pt"
    while not checkpoint.exists() and interrupted.poll() is None:
        time.sleep(0.01)
    interrupted.terminate()
    interrupted.communicate(timeout=60)
    again = start(tmp_path / "interrupted")
    _, told = again.communicate(timeout=280)
    assert again.returncode == 0, told.decode()
    assert digest(tmp_path / "interrupted") == digest(tmp_path / "whole")


@pytest.mark.slow
def test_folds_by_patient(cohort: Path, tmp_path: Path) -> None:
    done = wsi(
        "train",
        cohort,
        "-o",
        tmp_path / "folds",
        *SMALL,
        "--set",
        "epochs=1",
        "--folds",
        "3",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["folds"] == 3
    assert summary["validation"]["auc"]["sd"] is not None
    validated = [
        patient for r in summary["reports"] for patient in r["data"]["patients"]["validation"]
    ]
    assert sorted(validated) == ["p0", "p1", "p2"]  # never p3, whose slides are for the test
    for number in (1, 2, 3):
        assert load_package(tmp_path / "folds" / f"fold-{number}").name == f"folds-fold-{number}"
    assert (tmp_path / "folds.train.json").exists()


@pytest.mark.slow
def test_images_in_folders(tmp_path: Path) -> None:
    for number in range(45):
        for name, tumour in (("normal", False), ("tumour", True)):
            whole = tmp_path / "slide.tiff"
            draw_slide(whole, tumour=tumour, seed=number + 100 * tumour)
            with Image.open(whole) as slide:
                folder = tmp_path / "images" / name
                folder.mkdir(parents=True, exist_ok=True)
                slide.convert("RGB").crop((160, 128, 224, 192)).save(folder / f"{number}.png")
    out = tmp_path / "model"
    done = wsi(
        "train", "--images", tmp_path / "images", "-o", out, "--recipe", "camelyon-baseline",
        "--set", "batch=8", "--set", "sampling.patches=64", "--set", "epochs=3", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["test"]["images"] == 18
    assert report["test"]["baseline"]["accuracy"] == 0.5
    figure = report["test"]["macro"]["auc"]
    assert figure["low"] <= figure["value"]
    assert "groups are unknown" in report["data"]["note"]
    description = load_package(out).description
    assert (description.patch_px, description.level, description.positive) == (64, 0, "tumour")


@pytest.mark.slow
def test_a_corrupt_slide_is_told_before_training(cohort: Path, tmp_path: Path) -> None:
    table = make_cohort(tmp_path / "bad", ("train", "validation"))
    slide = tmp_path / "bad" / "normal_1.tiff"
    slide.write_bytes(slide.read_bytes()[:20_000])
    done = wsi("train", table, "-o", tmp_path / "model", *SMALL)
    assert done.returncode == 3
    assert "normal_1.tiff" in done.stderr
    assert "--skip-bad" in done.stderr
    assert not (tmp_path / "model.training" / "checkpoint.pt").exists()
    done = wsi("train", table, "-o", tmp_path / "model", *SMALL, "--skip-bad", "--set", "epochs=1")
    assert done.returncode == 0, done.stderr
    assert "left out: " in done.stderr
    report = json.loads((tmp_path / "model.train.json").read_text())
    assert report["data"]["left_out"] == ["normal_1"]


@pytest.mark.gpu
def test_a_gpu_repeats_its_bits(cohort: Path, tmp_path: Path) -> None:
    assert torch.cuda.is_available()
    for name in ("one", "two"):
        done = wsi("train", cohort, "-o", tmp_path / name, *SMALL, "--device", "cuda:0")
        assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


@pytest.mark.slow
def test_two_processes_leave_frozen_layers_as_they_are(tmp_path: Path) -> None:
    """Over gloo on the CPU: neither waits for gradients of what is frozen."""
    rng = np.random.default_rng(1)
    for number in range(120):
        name = ("blue", "red")[number % 2]
        pixels = rng.integers(0, 120, (24, 24, 3), np.uint8)
        pixels[..., 2 - 2 * (number % 2)] += 100
        (tmp_path / "images" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    changes = ("epochs=2", "patch_px=24", "batch=16", "sampling.patches=64", "freeze=[features.0]")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "wsi_pipeline.cli", "train", "--images", str(tmp_path / "images")]
    command += ["-o", str(tmp_path / "model"), "--recipe", "leukaemia-cnn", "--device", "cpu"]
    command += ["--positive", "red"] + [part for one in changes for part in ("--set", one)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr.decode()
    report = json.loads((tmp_path / "model.train.json").read_text())
    assert report["computing"]["processes"] == 2
    assert report["computing"]["steps"] == 8
