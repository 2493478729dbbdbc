"""Runs a module of this package in a confined child and says what the child tried.

The child confines itself (:mod:`.confinement`) before it imports anything large, and says when it
begins and ends with the file in question. Its attempts in between to open files for writing, to
connect and to start programs are told to the process here by the kernel, with the path
(``SECCOMP_RET_USER_NOTIF``, Linux 5.5). Landlock denies the writing, whatever is answered here.
"""

import array
import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsi_pipeline.errors import WsiError
from wsi_pipeline.importing.confinement import UnavailableError, confine
from wsi_pipeline.importing.system_calls import OPENING, this_machine

#: `struct seccomp_notif` and `seccomp_notif_resp`, and the requests that receive and answer.
_NOTICE, _ANSWER = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
_RECEIVE, _SEND, _GO_ON = 0xC0502100, 0xC0182101, 1
_BEGINS, _ENDS = b"begin", b"end"
_ANSWERED = "answer.json"
_MAX_ANSWER_BYTES = 2**20


class ConfinedCallError(WsiError):
    """The child has no answer, or tried what it may not; the message continues "it …"."""


class NotConfinedError(ConfinedCallError):
    """This machine cannot confine a process."""


@dataclass(frozen=True, slots=True)
class ConfinedLimits:
    """What a child may use.

    Attributes:
        seconds: Wall-clock time.
        memory: Address space in bytes. Libraries reserve far more than they use.
        file_bytes: In one file of its folder.
    """

    seconds: float = 900.0
    memory: int = 64 * 2**30
    file_bytes: int = 8 * 2**30


def call_confined(
    module: str, arguments: dict[str, Any], folder: Path, limits: ConfinedLimits, *reads: Path
) -> Any:
    """What a module's function ``work`` answers in a confined child.

    Args:
        module: Its full name; it is imported in the child.
        arguments: JSON's types, for ``work``.
        folder: The one in which the child may write plain files. Trust nothing that is found there.
        limits: What the child may use.
        reads: Files and folders it may read, beside that folder and libraries.

    Raises:
        NotConfinedError: this machine cannot confine it; nothing was loaded.
        ConfinedCallError: it failed, or tried to write elsewhere, to connect or to start a program.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    errors = folder / "errors.txt"
    with ours, errors.open("wb") as said:
        with theirs:
            call = json.dumps(
                {
                    "module": module,
                    "arguments": arguments,
                    "memory": limits.memory,
                    "file_bytes": limits.file_bytes,
                    "reads": [str(path) for path in reads],
                }
            )
            command = [sys.executable, "-B", "-m", __name__, str(theirs.fileno()), str(folder)]
            child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*command, call],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                # Not the user's folder: a relative name is no name of the user's.
                env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        try:
            tried = _watch(child, ours, folder, time.monotonic() + limits.seconds)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if tried is None:
        raise ConfinedCallError(f"took more than {limits.seconds:g} s")
    if tried:
        raise ConfinedCallError(f"tried {', '.join(dict.fromkeys(tried))}, which was denied")
    return _answer(folder, child.returncode)


def _answer(folder: Path, code: int) -> Any:
    try:
        descriptor = os.open(folder / _ANSWERED, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            said = json.loads(file.read(_MAX_ANSWER_BYTES))
    except (OSError, ValueError):
        said = {}
    if "unavailable" in said:
        raise NotConfinedError(str(said["unavailable"]))
    if "failed" in said:
        raise ConfinedCallError(f"failed: {said['failed']}")
    if code != 0 or "answer" not in said:
        ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise ConfinedCallError(f"ended without an answer ({ended})")
    return said["answer"]


def _watch(
    child: "subprocess.Popen[bytes]", control: socket.socket, folder: Path, deadline: float
) -> list[str] | None:
    """Answer what the kernel asks until the child ends; what it tried, None if it took too long."""
    tried: list[str] = []
    watching, listener = False, -1
    ended = os.pidfd_open(child.pid)
    poll = select.poll()
    for one in (control.fileno(), ended):
        poll.register(one, select.POLLIN)
    try:
        while (left := deadline - time.monotonic()) > 0:
            ready = {number for number, _ in poll.poll(left * 1000)}
            if control.fileno() in ready:  # first: it was sent before what is told now
                said, descriptors, _, _ = socket.recv_fds(control, 64, 1)
                if not said:
                    poll.unregister(control)
                if descriptors:
                    listener = descriptors[0]
                    poll.register(listener, select.POLLIN)
                watching = {_BEGINS: True, _ENDS: False}.get(said, watching)
            elif listener in ready:
                what = _told(listener, folder)
                if what is None:  # the child ended
                    poll.unregister(listener)
                elif what and watching:
                    tried.append(what)
            elif ended in ready:
                return tried
    finally:
        os.close(ended)
        if listener >= 0:
            os.close(listener)
    return None


def _told(listener: int, folder: Path) -> str | None:
    """Answer one call; what it is, empty if it may be made, None if the child is gone."""
    notice = array.array("B", bytes(_NOTICE.size))
    try:
        fcntl.ioctl(listener, _RECEIVE, notice)
    except OSError:
        return None
    number, process, _, called, _, _, *arguments = _NOTICE.unpack(notice)
    machine = this_machine()
    names = {} if machine is None else {value: key for key, value in machine.numbers.items()}
    name = names.get(called, "")
    what, answer = "", _ANSWER.pack(number, 0, -errno.EACCES, 0)
    if name in OPENING:
        path = _text(process, arguments[OPENING[name] - 1])
        inside = path.startswith(f"{folder}/") and ".." not in path
        what = "" if inside or path == "/dev/null" else f"to write {path}"
        # Landlock denies it outside the folder; a name could be changed after it was read here.
        answer = _ANSWER.pack(number, 0, 0, _GO_ON)
    elif name == "socket":
        what = "to open a network connection"
    else:
        what = f"to start a program ({_text(process, arguments[0 if name == 'execve' else 1])})"
    with suppress(OSError):  # the child was ended meanwhile
        fcntl.ioctl(listener, _SEND, array.array("B", answer))
    return what


def _text(process: int, address: int) -> str:
    """Text of another process's memory, to its end or 4 KiB."""
    with suppress(OSError), Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        read = b""
        while len(read) < 4096 and b"\0" not in read:
            memory.seek(address + len(read))
            # To the end of a page: the next one need not be there.
            part = memory.read(4096 - (address + len(read)) % 4096)
            if not part:
                break
            read += part
        return read.split(b"\0")[0].decode(errors="replace")
    return "a file"


def main() -> None:
    """Be the child."""
    control = socket.socket(fileno=int(sys.argv[1]))
    folder, call = Path(sys.argv[2]), json.loads(sys.argv[3])
    os.chdir("/")
    try:
        reads = [Path(path) for path in call["reads"]]
        listener = confine(folder, reads, memory=call["memory"], file_bytes=call["file_bytes"])
    except UnavailableError as error:
        _say(folder, {"unavailable": str(error)})
        return
    socket.send_fds(control, [b"listener"], [listener])
    os.close(listener)
    _say(folder, _outcome(call, control.send))


def _outcome(call: dict[str, Any], tell: Callable[[bytes], object]) -> dict[str, Any]:
    import importlib  # noqa: PLC0415 - what it imports comes after the confinement

    try:
        work = importlib.import_module(call["module"]).work
        return {
            "answer": work(call["arguments"], lambda: tell(_BEGINS), lambda: tell(_ENDS)),
        }
    except Exception as error:  # whatever the file made it raise is told
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return {"failed": f"{type(error).__name__}: {lines[-1] if lines else ''}"}


def _say(folder: Path, said: dict[str, Any]) -> None:
    (folder / _ANSWERED).write_text(json.dumps(said))


if __name__ == "__main__":
    main()
