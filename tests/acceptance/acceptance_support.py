"""Starting the program as a user does, and comparing what it leaves."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.stitch.result import Result


@dataclass(frozen=True)
class Wsi:
    """Starts ``wsi`` with folders of its own."""

    package: ModelPackage
    cache: Path

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "wsi_pipeline.cli", *map(str, arguments)]

    @property
    def environment(self) -> dict[str, str]:
        # Where a native library crashes, the stack is worth more than an exit code.
        says = {"COLUMNS": "200", "PYTHONFAULTHANDLER": "1"}
        return {**os.environ, "WSI_CACHE_DIR": str(self.cache), **says}

    def __call__(self, *arguments: object, limit: float = 240) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        """In a process group of its own, so that all of it can be killed."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            # A shell ignores Ctrl-C for what it starts in the background, these tests among it.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - takes no lock
        )

    def run(self, *arguments: object, limit: float = 240) -> tuple[int, dict[str, Any]]:
        """``wsi run … --json``: exit code and summary."""
        model = ("--model", self.package.folder)
        done = self("run", *arguments, *model, "--json", "--quiet", limit=limit)
        assert done.stdout, (done.returncode, done.stderr)
        return done.returncode, json.loads(done.stdout)


def arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Every decoded array of a result."""
    result = Result(path)
    return {name: np.asarray(result.array(name)[...]) for name in result.attributes["arrays"]}


def assert_same_arrays(one: Path, other: Path) -> None:
    """Bit for bit, NaN included."""
    left, right = arrays(one), arrays(other)
    assert left.keys() == right.keys()
    for name, values in left.items():
        assert values.tobytes() == right[name].tobytes(), name
