"""What an analysis tells whoever watches it: a progress bar, a job record, nobody."""

from typing import Protocol

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
