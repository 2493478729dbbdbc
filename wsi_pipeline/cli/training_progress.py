"""A training on the terminal: a bar for what is done now, lines for what was found."""

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from wsi_pipeline.cli.display import BAR_WIDTH, Display


class TrainingDisplay(Display):
    """Shows a training; is its :class:`~wsi_pipeline.training.run.Observer`.

    Args:
        quiet: Say nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(BAR_WIDTH),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(compact=True),
            quiet=quiet,
        )

    def stage(self, name: str, total: int | None = None, done: int = 0) -> None:
        """A new bar in place of the last."""
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._progress.add_task(name, total=total, completed=done, note="")

    def advanced(self, parts: int, note: str = "") -> None:
        """Move the bar."""
        for task in self._progress.task_ids:
            more = {"note": note} if note else {}
            self._progress.update(task, advance=parts, **more)  # type: ignore[arg-type]  # fields of our own

    def says(self, line: str) -> None:
        """A line that stays."""
        if not self._quiet:
            self._progress.console.print(line, highlight=False, soft_wrap=True, markup=False)
