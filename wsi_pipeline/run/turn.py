"""How the analysis of one slide fits in between those of others of the same run."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Turn(Protocol):
    """Called from the thread that drives the analysis."""

    def handed_over(self) -> None:
        """Its last region is with the workers: the next slide's may follow."""
        ...

    def writing(self) -> AbstractContextManager[object]:
        """Entered once every tile has its answer, left when the result is in its place.

        Waits until no other slide is being written.
        """
        ...


class Alone:
    """The turn of a slide beside which there are no others."""

    def handed_over(self) -> None:
        """Nobody waits."""

    def writing(self) -> AbstractContextManager[object]:
        """At once."""
        return nullcontext()
