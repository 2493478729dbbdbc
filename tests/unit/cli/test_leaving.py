"""A process that leaves at once ends as it would have, and loses nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import atexit, sys, threading, time, weakref
from wsi_pipeline.cli.leaving import leaving

class Kept: pass

with leaving():
    kept = Kept()
    weakref.finalize(kept, print, "finalised")
    atexit.register(print, "registered")
    threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
    sys.stdout.write("begun ")
    {what}
"""


def run(what: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _PROGRAM.format(what=what)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("pass", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('why it ends')", 1, "why it ends\n"),
        ("raise ValueError('wrong')", 1, "ValueError: wrong\n"),
    ],
)
def test_it_ends_with_its_code_after_all_else(what: str, code: int, said: str) -> None:
    done = run(what)
    assert done.returncode == code
    assert done.stderr.endswith(said)
    assert bool(done.stderr) == bool(said)
    assert done.stdout.startswith("begun thread\n")
    assert set(done.stdout.split()[2:]) == {"registered", "finalised"}


def test_an_interrupt_is_told_by_its_code() -> None:
    assert run("raise KeyboardInterrupt").returncode == 130


def test_output_that_is_lost_is_told_by_the_code() -> None:
    environment = {**os.environ}
    environment.pop("PYTHONUNBUFFERED", None)
    program = "import sys\nfrom wsi_pipeline.cli.leaving import leaving\nwith leaving():\n"
    command = [sys.executable, "-c", program + "    sys.stdout.write('all of it')\n"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, env=environment, timeout=60, check=False)
    assert done.returncode == 120
