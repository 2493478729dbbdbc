"""Numbers of the system calls that a confined process may not make, per kind of processor."""

import platform
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Machine:
    """One kind of processor.

    Attributes:
        architecture: What the kernel calls it (``AUDIT_ARCH_…``).
        seccomp: Number of ``seccomp`` itself.
        has_x32: Whether there is a second interface, whose numbers start at 2³⁰.
        numbers: Of the calls that are denied, or told to whoever watches.
    """

    architecture: int
    seccomp: int
    has_x32: bool
    numbers: dict[str, int]


#: Calls that open files, with the place of their flags among the arguments: told when they write.
OPENING = {"open": 1, "openat": 2}
#: Calls that are told, and denied after that.
TOLD = frozenset({"socket", "execve", "execveat"})

#: The rest is denied: what Landlock does not cover (modes, owners, times, attributes, `truncate`
#: before its version 3), what reaches other processes, what would get around a filter, and what
#: would leave the group that is ended with the child.
_SAME = {
    "openat2": 437,
    "fchmodat2": 452,
    "pidfd_send_signal": 424,
    "pidfd_getfd": 438,
    "io_uring_setup": 425,
}
_X86_64 = {
    "open": 2,
    "openat": 257,
    "creat": 85,
    "socket": 41,
    "execve": 59,
    "execveat": 322,
    "truncate": 76,
    "chmod": 90,
    "fchmod": 91,
    "fchmodat": 268,
    "chown": 92,
    "fchown": 93,
    "lchown": 94,
    "fchownat": 260,
    "utime": 132,
    "utimes": 235,
    "futimesat": 261,
    "utimensat": 280,
    "setxattr": 188,
    "lsetxattr": 189,
    "fsetxattr": 190,
    "ptrace": 101,
    "process_vm_writev": 311,
    "kill": 62,
    "tkill": 200,
    "setpgid": 109,
    "setsid": 112,
    "mount": 165,
    "unshare": 272,
    "setns": 308,
    "bpf": 321,
    "keyctl": 250,
}
_AARCH64 = {
    "openat": 56,
    "socket": 198,
    "execve": 221,
    "execveat": 281,
    "truncate": 45,
    "fchmod": 52,
    "fchmodat": 53,
    "fchownat": 54,
    "fchown": 55,
    "utimensat": 88,
    "setxattr": 5,
    "lsetxattr": 6,
    "fsetxattr": 7,
    "ptrace": 117,
    "process_vm_writev": 271,
    "kill": 129,
    "tkill": 130,
    "setpgid": 154,
    "setsid": 157,
    "mount": 40,
    "unshare": 97,
    "setns": 268,
    "bpf": 280,
    "keyctl": 219,
}
_MACHINES = {
    "x86_64": Machine(0xC000003E, 317, True, {**_X86_64, **_SAME}),
    "aarch64": Machine(0xC00000B7, 277, False, {**_AARCH64, **_SAME}),
}


def this_machine() -> Machine | None:
    """The kind of this processor; None if its numbers are not known here."""
    return _MACHINES.get(platform.machine())
