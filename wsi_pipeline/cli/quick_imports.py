"""Importing without looking for garbage, which there is none of: a tenth of the time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports(*, for_good: bool = False) -> Iterator[None]:
    """No garbage is collected in the block, in no thread of the process.

    Args:
        for_good: Nor is what is there at its end looked at later: of a process that ends without
            freeing anything.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if for_good:
            gc.freeze()
        if collects:
            gc.enable()
