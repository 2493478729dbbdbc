"""Calls in children with limits, forked from a process that has done its imports already.

A hostile or damaged file may crash the decoder, eat memory or never end. The child takes that
upon itself: the caller gets an answer or a :class:`CrashError`, always. Importing what reads
slides takes most of a second and a fork some milliseconds: so one process imports it once, opens
no file itself, and is forked for each call. Each call's child has a watcher, which ends it at its
limit of time, or as soon as the one who asked is gone.

Run as a program, ``python -m wsi_pipeline.slide.sandbox MODULE…`` imports the modules and takes
calls from the socket that is its standard input: a JSON object for each, with the descriptor that
the report goes to.
"""

import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NoReturn, Self

from wsi_pipeline.errors import WsiError
from wsi_pipeline.native import ONE_BLAS_THREAD

#: Of glibc, unless the user says otherwise: a call takes tens of megabytes, which come in larger
#: pieces and pages than of 4 kB. That is a fifth of the processor time of a look at a slide.
_MEMORY = {"MALLOC_TOP_PAD_": str(16 * 2**20), "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
#: The module whose functions look at unknown slides.
PROBING = "wsi_pipeline.slide.probe"
_MAX_CALL_BYTES = 64 * 2**10
_MAX_ANSWER_BYTES = 64 * 2**20
_READ_BYTES = 64 * 2**10
#: Longer than the limit of time a report is not waited for, seconds.
_GRACE_SECONDS = 60.0


class CrashError(WsiError):
    """A call ended without an answer: crashed, or over one of its limits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may use.

    Attributes:
        seconds: Wall-clock time.
        memory: Address space in bytes.
    """

    seconds: float
    memory: int


class Sandbox:
    """The process that is forked; started with the first call, and again if it was killed.

    Calls may be made side by side from several threads. It ends with :meth:`close`, or with the
    process that started it. It holds the imported modules, some 80 MB, and a call the memory it
    uses, up to its limit.

    Args:
        modules: Imported ahead; functions of others are imported by each call.
    """

    def __init__(self, *modules: str) -> None:
        self._modules = modules
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def start(self) -> Self:
        """Begin with the imports, so that the first call need not wait for them."""
        with self._lock:
            self._connected()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more calls; those under way end as they would have."""
        with self._lock:
            self._closed = True
            self._end()

    def call(self, function: Callable[..., Any], arguments: dict[str, Any], limits: Limits) -> Any:
        """What a function of a module returns in a child of its own.

        Args:
            function: Of a module; it and its answer are JSON's types only.
            arguments: Its keyword arguments.
            limits: What it may use.

        Raises:
            CrashError: it ended without an answer; the message continues "it …".
            OSError: the sandbox is closed, or no process can be started.
        """
        asked = {
            "function": f"{function.__module__}:{function.__qualname__}",
            "arguments": arguments,
            "limits": asdict(limits),
        }
        call = json.dumps(asked).encode()
        used = self._process
        said = self._ask(call, limits)
        if not said:
            # Somebody killed the process, for which the file need not be to blame: once more.
            with self._lock:
                if self._process is used:
                    self._end()
            said = self._ask(call, limits)
        if not said:
            raise CrashError("was ended from outside")
        report = json.loads(said)
        if report["late"]:
            raise CrashError(f"took more than {limits.seconds:g} s")
        if report["code"] < 0:
            raise CrashError(f"crashed the decoder ({signal.Signals(-report['code']).name})")
        if report["code"] > 0:
            raise CrashError(f"failed within {limits.memory / 2**30:g} GiB of memory")
        return json.loads(report["said"])

    def _ask(self, call: bytes, limits: Limits) -> bytes:
        """The report of a call; empty if the process or the watcher was killed."""
        reading, writing = os.pipe()
        try:
            try:
                with self._lock:
                    self._send(call, writing)
            finally:
                os.close(writing)
            deadline = time.monotonic() + limits.seconds + _GRACE_SECONDS
            return _read(reading, deadline)[0]
        finally:
            # Where nothing was reported yet, this ends the child too.
            os.close(reading)

    def _send(self, call: bytes, descriptor: int) -> None:
        try:
            socket.send_fds(self._connected(), [call], [descriptor])
        except (BrokenPipeError, ConnectionResetError):  # it was killed since the last call
            self._end()
            socket.send_fds(self._connected(), [call], [descriptor])

    def _connected(self) -> socket.socket:
        if self._closed:
            raise OSError("the sandbox is closed")
        if self._control is None:
            self._control = self._start()
        return self._control

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", __name__, *self._modules]
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Threads of a maths library nobody uses here would each reserve address space, and
                # a process of several threads is not to be forked.
                env={**_MEMORY, **os.environ, **ONE_BLAS_THREAD},
            )
        return ours

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            # It holds nothing that could be lost; the watchers of calls are no part of it.
            self._process.kill()
            self._process.wait()
        self._control = self._process = None


def _read(descriptor: int, deadline: float, asker: int | None = None) -> tuple[bytes, bool]:
    """Read to the end, and whether the end was reached.

    Args:
        descriptor: Read from.
        deadline: Monotonic time.
        asker: A pipe's writing end: stop when nobody can read from it any more.
    """
    said = bytearray()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if asker is not None:
        poll.register(asker, 0)  # closing is told without being asked for
    while (left := deadline - time.monotonic()) > 0 and len(said) <= _MAX_ANSWER_BYTES:
        ready = {number for number, _ in poll.poll(left * 1000)}
        if asker in ready:
            break
        if descriptor in ready:
            block = os.read(descriptor, _READ_BYTES)
            if not block:
                return bytes(said), True
            said += block
    return bytes(said), False


def _watch(call: dict[str, Any], report_to: int) -> None:
    """Fork the child, wait for it or end it, and report."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    deadline = time.monotonic() + call["limits"]["seconds"]
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.close(report_to)
        _work(call, writing)
    os.close(writing)
    said, ended = _read(reading, deadline, report_to)
    late = not ended and time.monotonic() >= deadline
    if not ended:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    report = {"late": late, "code": code, "said": said.decode()}
    with open(report_to, "wb") as file:
        file.write(json.dumps(report).encode())


def _work(call: dict[str, Any], answer_to: int) -> NoReturn:
    """Be the child."""
    code = 1
    try:
        memory = call["limits"]["memory"]
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        module, _, name = call["function"].partition(":")
        answer = getattr(importlib.import_module(module), name)(**call["arguments"])
        with open(answer_to, "wb") as file:
            file.write(json.dumps(answer).encode())
        code = 0
    finally:
        # Nothing of the parent's is run at the end of a child, no error is printed.
        os._exit(code)


def main() -> None:
    """Import, then fork for each call until the socket is closed at the other end."""
    # Whoever started this decides when it ends; a terminal and a service manager tell everybody.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # watchers are waited for by nobody
    for module in sys.argv[1:]:
        importlib.import_module(module)
    # What a fork has from here is not looked at for garbage, which would copy all of its memory.
    gc.freeze()
    control = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - no path of a file
        os.dup2(nothing.fileno(), 0)
    while True:
        call, descriptors, _, _ = socket.recv_fds(control, _MAX_CALL_BYTES, 1)
        if not call:
            return
        if os.fork() == 0:
            try:
                # Held by nobody else, or a call sent after this process was killed would wait.
                control.close()
                _watch(json.loads(call), descriptors[0])
            finally:
                os._exit(0)
        os.close(descriptors[0])


if __name__ == "__main__":
    main()
