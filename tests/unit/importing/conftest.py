"""Whether this machine can confine a process."""

import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def confined(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where the kernel denies what confines TorchScript; importing it is refused there."""
    folder = tmp_path_factory.mktemp("confined")
    program = "import sys, pathlib; from wsi_pipeline.importing.confinement import confine; "
    program += "confine(pathlib.Path(sys.argv[1]), [], memory=2**40, file_bytes=2**20)"
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "UnavailableError" in done.stderr:
        pytest.skip(f"this machine cannot confine a process: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
