"""Progress of ``wsi cells``: a bar, and a line for each field."""

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from wsi_pipeline.cells.tables import FieldOutcome
from wsi_pipeline.cli.display import BAR_WIDTH, Display


class CellsDisplay(Display):
    """Shows a run; is its :class:`~wsi_pipeline.cells.run.Observer`.

    Args:
        quiet: Say nothing but what failed.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(
            TextColumn("[bold]fields"),
            BarColumn(BAR_WIDTH),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            quiet=quiet,
        )
        self._task = self._progress.add_task("fields", total=None)

    def begins(self, fields: int) -> None:
        """Set the bar's length."""
        self._progress.update(self._task, total=fields)

    def ended(self, outcome: FieldOutcome) -> None:
        """A field is through: one line for it."""
        self._progress.advance(self._task)
        record = outcome.record
        if record is None:
            line = Text.assemble(("✗ ", "red"), outcome.reason)
        else:
            counts = (
                f"{record.count('WBC'):,} white, {record.count('RBC'):,} red cells, "
                f"{record.count('Platelets'):,} platelets"
            )
            mark, style = ("✓ ", "green") if outcome.status == "done" else ("· ", "dim")
            line = Text.assemble((mark, style), f"{outcome.path}: {counts}")
            if outcome.status == "skipped":
                line.append(" (finished earlier)", style="dim")
            for warning in record.warnings:
                line.append(f"\n  ! {warning}", style="yellow")
        if not self._quiet or record is None:
            self._progress.console.print(line, soft_wrap=True)
