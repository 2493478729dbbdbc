"""Parts of benchmarks in processes of their own, so that none has what another left behind."""

import json
import subprocess
import sys
from typing import Any


def run_module(module: str, *arguments: object) -> dict[str, Any]:
    """Run a module and wait for it.

    Args:
        module: Prints one JSON object, in its last line.
        arguments: Of its command line.

    Returns:
        The object.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", module, *(str(one) for one in arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
