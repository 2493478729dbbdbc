"""What all progress displays share: bars where somebody watches, lines where nobody does."""

from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from wsi_pipeline.cli.console import console

#: Characters a bar is wide.
BAR_WIDTH = 28


def bars(*columns: ProgressColumn, quiet: bool = False, transient: bool = True) -> Progress:
    """Progress bars on the terminal; none if there is no terminal.

    Args:
        columns: Of every bar.
        quiet: Show none.
        transient: Take them away at the end.
    """
    hidden = quiet or not console.is_terminal
    return Progress(*columns, console=console, disable=hidden, transient=transient)


class Display:
    """Bars that are shown from entering to leaving it.

    Args:
        columns: Of every bar.
        quiet: Say nothing.
    """

    def __init__(self, *columns: ProgressColumn, quiet: bool = False) -> None:
        self._progress = bars(*columns, quiet=quiet)
        self._quiet = quiet

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


class StepDisplay(Display):
    """One bar per kind of work."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(BAR_WIDTH),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            quiet=quiet,
        )
        self._task = self._progress.add_task("slides", total=None)

    def step(self, what: str, done: int, total: int) -> None:
        """Something is done."""
        self._progress.update(self._task, description=what, completed=done, total=total)
