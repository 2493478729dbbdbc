"""Waiting between attempts: longer each time, until retry runs out; progress renews it."""

import random
import time
from collections.abc import Callable

from wsi_pipeline.client.errors import ClientError

_FIRST_SECONDS = 0.25
_LONGEST_SECONDS = 15.0


class RetryTimer:
    """One row of attempts at one thing.

    Args:
        seconds: How long attempts may fail in a row, asked anew at each failure.
        tell: Called with the reason and the seconds before each wait.
        sleep: How to wait; tests pass their own.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        tell: Callable[[str, float], None] | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._tell = tell
        self._sleep = sleep
        self._clock = clock
        self._since: float | None = None
        self._failures = 0

    def renew(self) -> None:
        """Something succeeded."""
        self._since, self._failures = None, 0

    def wait(self, error: ClientError, at_least: float | None = None) -> None:
        """Wait before the next attempt.

        Args:
            error: Why the last one failed.
            at_least: Seconds the service asked for.

        Raises:
            ClientError: ``error``, where retry has run out.
        """
        now = self._clock()
        if self._since is None:
            self._since = now
        left = self._since + self._seconds() - now
        if left <= 0 or left < (at_least or 0.0):
            raise error
        pause = min(_FIRST_SECONDS * 2**self._failures, _LONGEST_SECONDS)
        # Clients that lost the same server must not come back in step.
        pause = max(pause * random.uniform(0.75, 1.25), at_least or 0.0)
        # The last attempt is made when the time is over, not before.
        pause = min(pause, left)
        self._failures += 1
        if self._tell is not None:
            self._tell(str(error), pause)
        self._sleep(pause)
