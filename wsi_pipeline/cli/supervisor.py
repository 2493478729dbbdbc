"""Keeps the processes of ``wsi serve`` running, and ends them with itself.

One process, one thread: it starts the API and the workers as programs of their own, starts one
anew that died, and passes an orderly stop on. Should it be killed itself, the kernel kills them.
"""

import contextlib
import ctypes
import logging
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
#: A process that lived so long starts again almost at once, seconds.
_STABLE_SECONDS = 5.0
#: What a process waits after its first death in a row, doubled each time, seconds.
_BACKOFF_SECONDS, _MOST_BACKOFF_SECONDS = 0.1, 5.0
#: Longest the loop sleeps, seconds; signals wake it sooner.
_TICK_SECONDS = 1.0


class StartError(Exception):
    """A process ended before it was ready; it said why on standard error."""


@dataclass
class Program:
    """A process that is to run for as long as the service.

    Attributes:
        name: For the log.
        command: Program and arguments; where ``tells`` is set, ``--ready FD`` is added.
        environment: Its variables.
        inherit: File descriptors it keeps.
        tells: Whether it writes a byte once it is ready.
    """

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    inherit: tuple[int, ...] = ()
    tells: bool = False
    process: subprocess.Popen[bytes] | None = None
    ready: int | None = None
    started: float = 0.0
    due: float = 0.0
    deaths: int = 0

    @property
    def runs(self) -> bool:
        """Whether the process is alive."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the process."""
        command, inherit, told = list(self.command), self.inherit, None
        if self.tells:
            self.ready, told = os.pipe()
            command += ["--ready", str(told)]
            inherit = (*inherit, told)
        self.started = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 - our own programs
            command,
            env=self.environment,
            pass_fds=inherit,
            # Ctrl-C reaches only us: we pass it on as an orderly stop.
            start_new_session=True,
            # Safe here: this process has one thread.
            preexec_fn=partial(die_with, os.getpid()),  # noqa: PLW1509
        )
        if told is not None:
            os.close(told)

    def put_off(self) -> float:
        """After a death: wait a little longer each time; returns the seconds."""
        lived = time.monotonic() - self.started
        self.deaths = 1 if lived >= _STABLE_SECONDS else self.deaths + 1
        wait = min(_MOST_BACKOFF_SECONDS, _BACKOFF_SECONDS * 2.0 ** (self.deaths - 1))
        self.due = time.monotonic() + wait
        return wait


@dataclass
class Supervisor:
    """Runs programs until a signal says stop.

    Attributes:
        programs: What runs.
        stop_seconds: Longest an orderly stop may take; then they are killed.
    """

    programs: Sequence[Program]
    stop_seconds: float
    _stop: int = field(default=0, init=False)

    def run(self, when_ready: Callable[[], None], when_stopping: Callable[[], None]) -> None:
        """Start everything and stay until SIGTERM, SIGINT or SIGHUP.

        Args:
            when_ready: Called once, when all that tell so are ready.
            when_stopping: Called before the programs are told to stop.

        Raises:
            StartError: one of them ended before it was ready for the first time.
        """
        with self._signals() as wakeup:
            try:
                for program in self.programs:
                    program.start()
                self._wait_until_ready(wakeup)
                if not self._stop:
                    when_ready()
                while not self._stop:
                    _sleep(wakeup, self._revive())
            finally:
                when_stopping()
                self._end(wakeup)

    def _wait_until_ready(self, wakeup: int) -> None:
        for program in self.programs:
            if not program.tells:
                continue
            assert program.ready is not None
            while not self._stop:
                readable, _, _ = select.select([wakeup, program.ready], [], [])
                if program.ready in readable:
                    if not os.read(program.ready, 1):
                        raise StartError(program.name)
                    break
                _drain(wakeup)

    def _revive(self) -> float:
        """Start what died and has waited; returns the seconds until there is more to do."""
        pause = _TICK_SECONDS
        for program in self.programs:
            if program.runs:
                continue
            if program.process is not None:
                facts = {"program": program.name, "code": program.process.returncode}
                program.process = None
                facts["again_in_seconds"] = program.put_off()
                log.warning("a process died", extra={"facts": facts})
            left = program.due - time.monotonic()
            if left > 0:
                pause = min(pause, left)
            else:
                if program.ready is not None:
                    os.close(program.ready)
                program.start()
        return pause

    def _end(self, wakeup: int) -> None:
        """Ask all to stop; kill those that are still there when the time is over."""
        deadline = time.monotonic() + self.stop_seconds
        asked = self._stop
        running = [program.process for program in self.programs if program.process is not None]
        for process in running:
            process.terminate()
        while any(process.poll() is None for process in running):
            left = deadline - time.monotonic()
            # A second Ctrl-C means now.
            if left <= 0 or self._stop > max(asked, 1):
                log.warning("killing what did not stop in time")
                for process in running:
                    process.kill()
                break
            _sleep(wakeup, min(left, _TICK_SECONDS))
        for process in running:
            process.wait()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[int]:
        """Count stop signals, and let them and deaths of children wake the loop."""
        reading, writing = socket.socketpair()
        for end in (reading, writing):
            end.setblocking(False)
        handlers = {
            signal.SIGTERM: self._on_stop,
            signal.SIGINT: self._on_stop,
            signal.SIGCHLD: lambda *_: None,
        }
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asks to ignore it
            handlers[signal.SIGHUP] = self._on_stop
        before = {number: signal.signal(number, act) for number, act in handlers.items()}
        waker = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        try:
            yield reading.fileno()
        finally:
            signal.set_wakeup_fd(waker)
            for number, act in before.items():
                signal.signal(number, act)
            reading.close()
            writing.close()

    def _on_stop(self, *_: object) -> None:
        self._stop += 1


_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """In a new process: be killed when the parent ends, however it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that was said
        os._exit(1)


def _sleep(wakeup: int, seconds: float) -> None:
    readable, _, _ = select.select([wakeup], [], [], seconds)
    if readable:
        _drain(wakeup)


def _drain(wakeup: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(wakeup, 512):
            pass
