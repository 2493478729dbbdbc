"""What an analysis tells whoever watches it: a progress bar, a job record, nobody."""

import threading
from typing import Protocol

from wsi_pipeline.errors import StoppedError
from wsi_pipeline.tiles.plan import Plan


class Observer(Protocol):
    """Called from the thread that drives the analysis."""

    def stage(self, name: str) -> None:
        """A stage begins: ``checking``, ``tissue``, ``classifying``, ``writing``."""
        ...

    def planned(self, plan: Plan, resumed_tiles: int) -> None:
        """The plan stands; so many of its tiles were finished by an earlier run."""
        ...

    def advanced(self, tiles: int, bytes_read: int) -> None:
        """So many more tiles are done, for which so many bytes were read."""
        ...


class SilentObserver:
    """Watches nothing."""

    def stage(self, name: str) -> None:
        """Ignore it."""

    def planned(self, plan: Plan, resumed_tiles: int) -> None:
        """Ignore it."""

    def advanced(self, tiles: int, bytes_read: int) -> None:
        """Ignore it."""


class Stoppable:
    """Passes on what another observer is told, until the analysis is asked to stop.

    Args:
        watching: The other one.
        stop: Set to stop: the next time anything is told, :class:`StoppedError` is raised.
    """

    def __init__(self, watching: Observer, stop: threading.Event) -> None:
        self._watching, self._stop = watching, stop

    def stage(self, name: str) -> None:
        """See :meth:`Observer.stage`."""
        self._go_on()
        self._watching.stage(name)

    def planned(self, plan: Plan, resumed_tiles: int) -> None:
        """See :meth:`Observer.planned`."""
        self._go_on()
        self._watching.planned(plan, resumed_tiles)

    def advanced(self, tiles: int, bytes_read: int) -> None:
        """See :meth:`Observer.advanced`."""
        self._go_on()
        self._watching.advanced(tiles, bytes_read)

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise StoppedError("stopped; what was finished is kept")
