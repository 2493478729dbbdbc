"""What native libraries are told: early enough, and never against what the user says."""

import os
import subprocess
import sys

import pytest

from wsi_pipeline.native import leave_cores_to_others, leave_cores_to_the_model

#: Threads of this process as Linux counts them, once numpy has had a product to compute.
_THREADS = """
import os, sys
import wsi_pipeline.cli as cli
from wsi_pipeline.native import leave_cores_to_the_model
assert "numpy" not in sys.modules, "it would have made its threads already"
leave_cores_to_the_model()
import numpy as np
np.ones((300, 300)) @ np.ones((300, 300))
print(len(os.listdir("/proc/self/task")))
"""

#: A verb that loads no torch itself, and what its process has told torch.
_TORCH_IS_TOLD = """
import os, sys
import wsi_pipeline.cli as cli
assert "torch" not in sys.modules, "it would have read the environment already"
sys.argv = ["wsi", "--version"]
try:
    cli.program()
finally:
    print(os.environ["GOMP_SPINCOUNT"])
"""


def _printed(script: str, variable: str) -> str:
    """Last line of a script that runs where nobody has set a variable."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name != variable},
        timeout=60,
    )
    return done.stdout.splitlines()[-1]


def test_numpy_makes_no_threads_of_its_own() -> None:
    assert _printed(_THREADS, "OPENBLAS_NUM_THREADS") == "1"


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    monkeypatch.setenv("GOMP_SPINCOUNT", "4")
    leave_cores_to_the_model()
    leave_cores_to_others()
    assert (os.environ["OPENBLAS_NUM_THREADS"], os.environ["GOMP_SPINCOUNT"]) == ("3", "4")


def test_every_verb_lets_other_processes_compute() -> None:
    assert _printed(_TORCH_IS_TOLD, "GOMP_SPINCOUNT") == "10000"
