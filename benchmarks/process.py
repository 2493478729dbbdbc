"""Parts of benchmarks in processes of their own, so that none has what another left behind."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from wsi_pipeline.native import ONE_BLAS_THREAD, SHORT_WAITS

_ASIDE = "set-aside"


def run_module(module: str, *arguments: object) -> dict[str, Any]:
    """Run a module and wait for it, with the threads that `wsi run` has.

    Args:
        module: Prints one JSON object, in its last line.
        arguments: Of its command line.

    Returns:
        The object.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", module, *(str(one) for one in arguments)]
    environment = {**os.environ, **ONE_BLAS_THREAD, **SHORT_WAITS}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def set_aside(result: Path) -> None:
    """Move what an earlier run left out of the way, to be deleted by :func:`delete_set_aside`.

    Not deleted here: making a file, ext4 without a journal looks at every file that was deleted in
    the last minutes. Right after a result's hundred files, it takes a tenth of a second.

    Args:
        result: May be missing.
    """
    if result.exists():
        aside = result.parent.parent / _ASIDE  # not among other results
        aside.mkdir(exist_ok=True)
        result.rename(aside / f"{time.time_ns()}-{result.name}")


def delete_set_aside(folder: Path) -> None:
    """Delete what was set aside in a folder and those in it, before all that is timed."""
    for aside in (folder / _ASIDE, *folder.glob(f"*/{_ASIDE}")):
        shutil.rmtree(aside, ignore_errors=True)
