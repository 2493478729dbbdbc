"""Ending a process at once, after all that is to be done at its end.

Taking the interpreter and the libraries of models apart takes 0.4 s, which the system, that frees
all of a process at once, does not need.
"""

import atexit
import logging
import os
import sys
from types import TracebackType
from typing import Self

_INTERRUPTED = 130
#: What Python ends with where its output cannot be written to its end.
_OUTPUT_LOST = 120


class Leaving:
    """Around what a process does, from its start on; it then ends with the code it would have.

    Functions registered with :mod:`atexit` after this are called, and threads waited for, as ever.
    """

    def __init__(self) -> None:
        self._code = 1
        # Called last, for it comes first.
        atexit.register(self._leave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep the code; errors go on, and are printed by Python."""
        if error is None:
            self._code = 0
        elif isinstance(error, SystemExit):
            # Anything else is a message, which Python prints.
            self._code = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif isinstance(error, KeyboardInterrupt):
            self._code = _INTERRUPTED

    def _leave(self) -> None:
        logging.shutdown()  # registered before this
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            self._code = _OUTPUT_LOST
        os._exit(self._code)
