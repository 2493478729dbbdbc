"""Ending a process at once, after all that is to be done at its end.

Python frees its modules and the libraries of models one by one, which takes 0.4 s. The system frees
all memory of a process that ends, at once.
"""

import atexit
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_FAILURE, _INTERRUPTED = 1, 130
#: What Python ends with where its output cannot be written to its end.
_OUTPUT_LOST = 120


@contextmanager
def leaving() -> Iterator[None]:
    """Around what a process does, from its start on; it then ends with the code it would have.

    Functions registered with :mod:`atexit` after this are called, and threads waited for, as ever.
    Errors go on, and are printed by Python.
    """
    code = _FAILURE

    def leave() -> None:
        logging.shutdown()  # registered before this
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            os._exit(_OUTPUT_LOST)
        os._exit(code)

    # Called last, for it comes first.
    atexit.register(leave)
    try:
        yield
    except SystemExit as end:
        # Anything but a number is a message, which Python prints.
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    except KeyboardInterrupt:
        code = _INTERRUPTED
        raise
    code = 0
