"""What native libraries are told by a process that computes."""

import os

#: Parameters of glibc's ``mallopt``, from its ``malloc.h``.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
#: Bytes from which a block is returned to the system when it is freed.
_RETURNED = 4 * 2**20
#: Bytes of smaller blocks that stay when they are freed: patches, batches and what is made of them
#: come again and again, and the system clears each page that it gives.
_KEPT = 2 * _RETURNED
_ARENAS = 2
#: Of numpy and scipy. Their own threads would wait for the next small product with a busy core, of
#: which the model needs every one.
ONE_BLAS_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
#: Of torch on the CPU, whose threads wait for each other after every layer with busy cores: 300,000
#: rounds by default, within which a thread that lost its core to another process does not come
#: back. Two trainings on two cores then take ten times as long as one. After 10,000 rounds they
#: sleep: 2.3 times as long, and 4 % longer where one is alone (`benchmarks.side_by_side`).
SHORT_WAITS = {"GOMP_SPINCOUNT": "10000"}


def return_large_blocks() -> None:
    """Let large arrays go back to the system when they are freed, whichever thread made them.

    By default glibc keeps a heap for each of some threads, and keeps larger blocks the longer a
    process lives: of a slide of 20,000 × 18,000 px that was 130 of 1,060 MB. Of another C library
    nothing is changed.
    """
    import ctypes  # noqa: PLC0415 - verbs that do not need it start 2 ms sooner

    libc = ctypes.CDLL(None)
    mallopt = getattr(libc, "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, _ARENAS)
        mallopt(_MMAP_THRESHOLD, _RETURNED)
        mallopt(_TRIM_THRESHOLD, _KEPT)


def leave_cores_to_the_model() -> None:
    """Keep the linear algebra of numpy and scipy on the thread that calls it.

    Before either is imported. What the user has set in the environment stays.
    """
    _set(ONE_BLAS_THREAD)


def leave_cores_to_others() -> None:
    """Let torch's threads sleep where they wait for long, so that other processes can compute.

    Before torch is imported. What the user has set in the environment stays.
    """
    _set(SHORT_WAITS)


def _set(variables: dict[str, str]) -> None:
    for name, value in variables.items():
        os.environ.setdefault(name, value)
