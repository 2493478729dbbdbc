"""Images a second of training beside batches that lie ready; whether a GPU repeats its bits."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import training
from benchmarks.gpu.rows import NOT_MEASURED, Rows
from benchmarks.gpu.setting import Setting

_ROOT = Path(__file__).parents[2]


def measure(setting: Setting, rows: Rows) -> None:
    """Rows ``images``, see :mod:`benchmarks.training`, and ``repeats its bits``."""
    began = time.monotonic()
    rows.measure("images", lambda: _images(setting))
    if setting.on_gpu:
        rows.measure("repeats its bits", lambda: _repeats(setting, began))
    else:
        rows.keep("repeats its bits", NOT_MEASURED)


def _images(setting: Setting) -> dict[str, Any]:
    figures = training.measure(
        setting.out / "slides",
        recipe=setting.recipe,
        changes=setting.changes,
        device=setting.device,
        slides=2,
        size=setting.training_size,
        steps=setting.training_steps,
        warm_up=min(10, setting.training_steps),
        repeats=2 if setting.on_gpu else 1,
    )
    return figures if setting.on_gpu else figures | {"device": "cpu"}


def _repeats(setting: Setting, began: float) -> dict[str, Any]:
    """The test that trains twice on a GPU and compares the weights."""
    tests = "tests/acceptance/test_training.py"
    command = [sys.executable, "-m", "pytest", tests, "-m", "gpu", "-n", "0", "-q"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=_ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=setting.seconds_left(began),
    )
    print(done.stdout)
    return {"passed": done.returncode == 0, "said": done.stdout.splitlines()[-1:]}
