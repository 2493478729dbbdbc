"""Programs that start at once: forked from a process that has imported them already.

Imports take seconds, and what is killed a hundred times is started a hundred times. Apart from
that they are what ``python -m MODULE`` starts.
"""

import contextlib
import ctypes
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Forked:
    """A running program and the file it logs to."""

    process: psutil.Process
    log: Path

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(30)

    def children(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return self.process.children(recursive=True)
        return []


class Nursery:
    """Starts programs; they end with it.

    Args:
        modules: What is imported ahead.
        inherit: File descriptors the programs keep.
    """

    def __init__(self, modules: Sequence[str], inherit: Sequence[int] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=inherit,
            text=True,
            # Threads do not survive a fork.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )

    def start(
        self, module: str, *arguments: str, environment: Mapping[str, str], log: Path
    ) -> Forked:
        order = {
            "module": module,
            "arguments": arguments,
            "environment": dict(environment),
            "log": str(log),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Forked(psutil.Process(int(self._process.stdout.readline())), log)

    def close(self) -> None:
        for child in psutil.Process(self._process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@contextlib.contextmanager
def nursery(*modules: str, inherit: Sequence[int] = ()) -> Iterator[Nursery]:
    made = Nursery(modules, inherit)
    try:
        yield made
    finally:
        made.close()


def main(modules: Sequence[str]) -> None:
    """Fork a program for each line of standard input, and print its number."""
    for module in modules:
        importlib.import_module(module)
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "threads do not survive a fork"
    # Nobody here waits for the children.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in iter(sys.stdin.readline, ""):
        order = json.loads(line)
        number = os.fork()
        if number == 0:
            _become(order["environment"], order["log"])
            sys.argv = [order["module"], *order["arguments"]]
            runpy.run_module(order["module"], run_name="__main__")
            return
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def _become(environment: Mapping[str, str], log: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    told = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor, meant in ((nothing, 0), (nothing, 1), (told, 2)):
        os.dup2(descriptor, meant)
    for descriptor in (nothing, told):
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)


if __name__ == "__main__":
    main(sys.argv[1:])
