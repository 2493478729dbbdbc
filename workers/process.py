"""A worker's hold on a process that computes for it: start, ask, listen, kill."""

import contextlib
import logging
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import BinaryIO

from workers.messages import Message, Order, Query, WorkerSetup, parse_message
from wsi_pipeline.native import ONE_BLAS_THREAD, SHORT_WAITS

log = logging.getLogger(__name__)

#: How long a process may take from closing its output to its end, seconds.
_DYING_SECONDS = 5.0
#: What is kept of the last words of a process that crashed, bytes.
_LAST_WORDS = 16_384
#: Lines of :mod:`faulthandler`: where in our code it crashed. Nothing else of what libraries
#: print is passed on, because they quote file names.
_TRACE = re.compile(
    rb'^(?:Fatal Python error: [\w ]+|  File "[^"]+", line \d+ in [\w<>]+)$', re.MULTILINE
)
_TRACE_LINES = 12


@dataclass(frozen=True, slots=True)
class Ended:
    """The process ended by itself.

    Attributes:
        how: The signal's name, or the exit code.
        where: Lines of code, the innermost first.
    """

    how: str
    where: tuple[str, ...]


class ChildProcess:
    """The process of one module, started again whenever it is gone.

    To be used by one thread, which must live as long as the process: the kernel kills the process
    when the thread that started it ends.

    Args:
        module: Full name of the module, which runs :func:`workers.child.carry_out`.
        equipment: What it is told first.
    """

    def __init__(self, module: str, equipment: WorkerSetup) -> None:
        self._module, self._equipment = module, equipment
        self._child: subprocess.Popen[bytes] | None = None
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._words = _LastWords()

    def start(self) -> None:
        """Start it, if it does not run: its imports take seconds."""
        if self._child is not None and _runs(self._child):
            return
        self.kill()
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
            [sys.executable, "-m", self._module, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A group of its own, to be killed with the processes it starts; and Ctrl-C in a
            # terminal reaches the worker alone.
            start_new_session=True,
            # What computes is the model: threads of numpy's own would keep its cores busy waiting,
            # and torch's those of the other processes. What the host's environment says stays.
            env={**ONE_BLAS_THREAD, **SHORT_WAITS, **os.environ},
        )
        assert child.stdout is not None
        assert child.stderr is not None
        self._child, self._messages, self._words = child, queue.SimpleQueue(), _LastWords()
        for target, arguments in (
            (_collect, (child.stdout, self._messages)),
            (self._words.listen, (child.stderr,)),
        ):
            threading.Thread(target=target, args=arguments, name="child", daemon=True).start()
        self._write(self._equipment.line())

    def ask(self, order: Order | Query) -> None:
        """Give it an order; it must have none."""
        self.start()
        self._write(order.line())

    def hear(self, seconds: float) -> Message | Ended | None:
        """The next message; None if there is none for so long."""
        try:
            message = self._messages.get(timeout=seconds)
        except queue.Empty:
            return None
        return self._ended() if message is None else message

    def kill(self) -> None:
        """Kill it and what it started, at once, and wait until it is gone."""
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        self._child = None

    def _write(self, line: bytes) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        # That it died is heard, too.
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(line)
            self._child.stdin.flush()

    def _ended(self) -> Ended:
        assert self._child is not None
        deadline = time.monotonic() + _DYING_SECONDS
        while _runs(self._child) and time.monotonic() < deadline:
            time.sleep(0.02)
        child = self._child
        self.kill()
        code = child.returncode
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Ended(how, self._words.trace())


def _runs(child: "subprocess.Popen[bytes]") -> bool:
    """Whether it lives; if not, its number stays its own until it is waited for."""
    asked = os.WEXITED | os.WNOWAIT | os.WNOHANG
    return os.waitid(os.P_PID, child.pid, asked) is None


class _LastWords:
    """Reads standard error to its end, and keeps the last of it."""

    def __init__(self) -> None:
        self._kept = b""
        self._over = threading.Event()

    def listen(self, stream: BinaryIO) -> None:
        with stream:
            while block := os.read(stream.fileno(), 65_536):
                self._kept = (self._kept + block)[-_LAST_WORDS:]
        self._over.set()

    def trace(self) -> tuple[str, ...]:
        # A process it started may hold the other end for longer.
        self._over.wait(1.0)
        lines = [line.decode(errors="replace").strip() for line in _TRACE.findall(self._kept)]
        return tuple(lines[:_TRACE_LINES])


def _collect(stream: BinaryIO, messages: "queue.SimpleQueue[Message | None]") -> None:
    with stream:
        for line in stream:
            try:
                messages.put(parse_message(line))
            except ValueError:
                break  # it died in the middle of the line
    messages.put(None)
