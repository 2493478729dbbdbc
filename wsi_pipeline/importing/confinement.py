"""Takes network and write access from this process, for good, by what Linux offers everybody.

Landlock (Linux 5.13) denies writing to every file but those of one folder, and reading every file
but those of the system's and Python's libraries and the ones named; a seccomp filter denies what
Landlock does not cover. Both need no rights, cannot be taken back, and hold for threads and
children too. They hold for the calling thread and what it starts, so this runs before any library
is loaded that starts threads: nothing here imports more than the standard library.

The numbers are those of the kernel's interface: ``linux/landlock.h``, ``linux/seccomp.h``,
``linux/filter.h``, ``linux/audit.h`` and the tables of system calls.
"""

import ctypes
import errno
import os
import resource
import stat
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from wsi_pipeline.importing.system_calls import OPENING, TOLD, Machine, this_machine

_NO_NEW_PRIVILEGES = 38
#: landlock_create_ruleset, landlock_add_rule, landlock_restrict_self; alike everywhere.
_CREATE_RULESET, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
#: Kinds of access (``LANDLOCK_ACCESS_FS_…``): writing, and what makes or removes names.
_WRITE_FILE, _REMOVE_FILE, _MAKE_REG, _TRUNCATE = 1 << 1, 1 << 5, 1 << 8, 1 << 14
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
_ACCESS = _WRITE_FILE | _READ_FILE | _READ_FOLDER | sum(1 << bit for bit in range(4, 13))
#: Since which version of Landlock it knows an access.
_SINCE = {1 << 13: 2, _TRUNCATE: 3, 1 << 15: 5}

_SECCOMP_FILTER, _WITH_LISTENER = 1, 1 << 3
_ALLOW, _KILL, _TELL, _DENY = 0x7FFF0000, 0x80000000, 0x7FC00000, 0x00050000 | errno.EACCES
#: System calls of the 32-bit pointers' interface of x86-64, which have numbers of their own.
_X32 = 0x40000000
#: What libraries read of a system: code, time zone, processors, memory. No user's files.
_SYSTEM = (
    *("/usr", "/lib", "/lib64", "/sys/devices/system", "/sys/fs/cgroup", "/proc/self"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/sys/vm"),
    *("/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/zero", "/dev/urandom"),
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class UnavailableError(Exception):
    """This machine cannot confine a process; the message says what it lacks."""


def confine(writable: Path, readable: Iterable[Path], *, memory: int, file_bytes: int) -> int:
    """Deny this process what a program that only computes has no need of.

    From here on it writes to no file outside ``writable`` (and ``/dev/null``), opens no network
    connection, starts no other program and sends no other process a signal. It reads libraries and
    what is named here.

    Args:
        writable: The one folder in which it may make and write plain files.
        readable: Files and folders it may read, beside ``writable`` and libraries.
        memory: Most address space, bytes.
        file_bytes: Most bytes in one file.

    Returns:
        The listener's descriptor, for whoever watches (:mod:`.confined_call`): it is told of files
        opened for writing, connections and programs, and each such call waits for its answer.

    Raises:
        UnavailableError: the kernel lacks Landlock or seccomp, or denies them to this process.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise UnavailableError(f"no_new_privs: {os.strerror(ctypes.get_errno())}")
    python = (*sys.path, sys.prefix, sys.base_prefix)
    _landlock(library, writable, {*_SYSTEM, *filter(None, python), *map(str, readable)})
    return _seccomp(library)


def _landlock(library: ctypes.CDLL, writable: Path, readable: Iterable[str]) -> None:
    version = library.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    if version < 1:
        raise UnavailableError("Landlock is not there (Linux 5.13 or newer has it)")
    handled = _ACCESS | sum(bit for bit, since in _SINCE.items() if version >= since)
    attributes = struct.pack("=Q", handled)
    rules = library.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        raise UnavailableError(f"Landlock: {os.strerror(ctypes.get_errno())}")
    inside = (_WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _TRUNCATE | _READ_FOLDER) & handled
    allowed = dict.fromkeys(readable, _READ_FILE | _READ_FOLDER)
    allowed |= {str(writable): inside | _READ_FILE, "/dev/null": _WRITE_FILE | _READ_FILE}
    for path, access in allowed.items():
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # what is not there needs no rule
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            access &= ~_READ_FOLDER  # noqa: PLW2901 - the kernel refuses it for a file
        rule = struct.pack("=Qi", access, descriptor)
        failed = library.syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0)
        os.close(descriptor)
        if failed:
            raise UnavailableError(f"Landlock: {os.strerror(ctypes.get_errno())}")
    if library.syscall(_RESTRICT, rules, 0) != 0:
        raise UnavailableError(f"Landlock: {os.strerror(ctypes.get_errno())}")
    os.close(rules)


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _seccomp(library: ctypes.CDLL) -> int:
    machine = this_machine()
    if machine is None:
        raise UnavailableError("there is no filter of system calls for this kind of processor")
    program = _filter(machine)
    given = _Program(len(program) // 8, program)
    listener = int(
        library.syscall(machine.seccomp, _SECCOMP_FILTER, _WITH_LISTENER, ctypes.byref(given))
    )
    if listener < 0:
        raise UnavailableError(f"seccomp: {os.strerror(ctypes.get_errno())}")
    return listener


def _filter(machine: Machine) -> bytes:
    """The filter's instructions (``struct sock_filter``): tell, deny or allow by number."""
    load, equal, at_least, any_of, answer = 0x20, 0x15, 0x35, 0x45, 0x06

    def step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("=HBBI", code, then, otherwise, value)

    steps = [
        step(load, 4),  # seccomp_data.arch
        step(equal, machine.architecture, 1, 0),
        step(answer, _KILL),
        step(load, 0),  # seccomp_data.nr
    ]
    if machine.has_x32:
        steps += [step(at_least, _X32, 0, 1), step(answer, _KILL)]
    for name, number in machine.numbers.items():
        if name in OPENING:
            argument = 16 + 8 * OPENING[name]  # seccomp_data.args, the lower half
            steps += [step(equal, number, 0, 4), step(load, argument)]
            steps += [step(any_of, _WRITING, 0, 1), step(answer, _TELL), step(answer, _ALLOW)]
        else:
            told = _TELL if name in TOLD else _DENY
            steps += [step(equal, number, 0, 1), step(answer, told)]
    return b"".join([*steps, step(answer, _ALLOW)])
