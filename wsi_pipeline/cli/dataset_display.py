"""What ``wsi dataset`` shows: counts, progress and remarks."""

import json as json_format
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.display import BAR_WIDTH, bars
from wsi_pipeline.cohort.indexing import Indexed
from wsi_pipeline.cohort.summary import summarise, warnings
from wsi_pipeline.cohort.table import Cohort


@contextmanager
def bar(unit: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar where somebody watches; gives what to tell of done and total."""
    columns = (
        TextColumn(unit),
        BarColumn(BAR_WIDTH),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
    )
    with bars(*columns) as shown:
        task = shown.add_task(unit, total=None)

        def report(done: int, total: int) -> None:
            shown.update(task, completed=done, total=total)

        yield report


def show_counts(cohort: Cohort) -> None:
    """A table of splits and centres, and what would spoil the cohort's use."""
    table = Table(box=None, pad_edge=False)
    table.add_column("split")
    table.add_column("centre")
    for name in ("slides", "patients", "normal", "tumour", "annotated fully", "partly"):
        table.add_column(name, justify="right")
    unlabelled = any(row.unlabelled for row in summarise(cohort))
    if unlabelled:
        table.add_column("unlabelled", justify="right")
    for row in summarise(cohort):
        counts = [row.slides, row.patients, row.normal, row.tumour, row.full, row.partial]
        counts += [row.unlabelled] if unlabelled else []
        table.add_row(row.split or "–", plain(row.centre or "–"), *map(str, counts))
    Console().print(table, highlight=False)
    for warning in warnings(cohort):
        console.print(f"[yellow]![/] {plain(warning)}", highlight=False, soft_wrap=True)


def show_ignored(found: Indexed) -> None:
    """Files that an index passed over."""
    for path, reason in found.ignored:
        if reason:
            console.print(f"[dim]· ignored: {plain(path)} {plain(reason)}[/]", soft_wrap=True)
    silent = sum(not reason for _, reason in found.ignored)
    if silent:
        console.print(f"[dim]· ignored: {silent} other files[/]")


def say_written(path: Path, slides: int) -> None:
    """Where a table is."""
    Console().print(
        f"[green]✓[/] {slides} slides in {plain(path)}", highlight=False, soft_wrap=True
    )


def plain(text: object) -> str:
    """Text of others, in which brackets are only brackets."""
    return str(text).replace("[", r"\[")


def print_json(value: object) -> None:
    """One line on standard output."""
    sys.stdout.write(json_format.dumps(value) + "\n")
