"""A command in a process that may crash: the program watches it, and starts it again.

A decoder that crashes on one slide, or the system, which ends whoever takes too much memory, would
end a run of a thousand slides. So the program divides itself before it has loaded anything: one
process does the work, and the other waits, which costs nothing but its few modules.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_pipeline.cli.supervisor import die_with
from wsi_pipeline.run.journal import NOT_KEPT, FileJournal, Journal

if TYPE_CHECKING:  # importing it would load what the process that waits does not need
    from wsi_pipeline.slide.sandbox import Sandbox

#: Ends of a process that its work is to blame for. SIGKILL: the system is out of memory.
_CRASHES = frozenset(
    {
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGILL,
        signal.SIGFPE,
        signal.SIGABRT,
        signal.SIGSYS,
        signal.SIGKILL,
    }
)
#: Passed on to the process that works.
_STOPS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
#: ``si_code`` of a signal that a process sent, and not the terminal, which tells both.
_SENT = 0
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Guarded:
    """What a command is told that may be started again.

    Attributes:
        journal: Where it says what it is at work on.
        process: The program's.
        cpu_seconds: Processor time that the program had used before it divided itself.
        sandbox: Looks at unknown slides, if it was started ahead.
    """

    journal: Journal
    process: int
    cpu_seconds: float
    sandbox: "Sandbox | None" = None


def guard_of(given: object) -> Guarded:
    """What a command was given by the program; of one that another program calls: no guard."""
    return given if isinstance(given, Guarded) else Guarded(NOT_KEPT, os.getpid(), 0.0)


def guarded() -> Guarded:
    """Go on in a process that is started again where it crashes.

    Returns in that process alone. Threads of the caller are not in it: there must be none.

    Raises:
        SystemExit: in the process that waited; with the other's code.
    """
    journal, program = FileJournal(), os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    used, watched = time.process_time(), {*_STOPS, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    while True:
        child = os.fork()
        if child == 0:
            die_with(program)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return Guarded(journal, program, used)
        code = _wait(child, watched)
        if code >= 0:
            sys.exit(code)
        if -code not in _CRASHES:
            # As if there were one process.
            signal.signal(-code, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.kill(os.getpid(), -code)
        crash = f"crashed the program ({signal.Signals(-code).name})"
        under_way = sorted(journal.conclude(crash))
        if not under_way:
            sys.exit(f"\nwsi: the analysis {crash}; no slide was under way, so it ends")
        sys.stderr.write(f"\nwsi: the analysis {crash}; it goes on, with {_named(under_way)}\n")


def _wait(child: int, watched: set[signal.Signals]) -> int:
    """Pass signals on until the child has ended; its exit code, or the signal's, negative."""
    while True:
        told = signal.sigwaitinfo(watched)
        if told.si_signo in _STOPS and told.si_code <= _SENT:
            os.kill(child, told.si_signo)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)


def _named(under_way: Sequence[Path]) -> str:
    names = ", ".join(path.name for path in under_way[:_NAMED])
    more = f" and {len(under_way) - _NAMED} more" if len(under_way) > _NAMED else ""
    return f"{names}{more} one at a time"
