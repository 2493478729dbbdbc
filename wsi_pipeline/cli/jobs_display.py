"""Jobs of a service in a terminal: a table of their states, and a line for each that ended."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wsi_pipeline.cli.console import console
from wsi_pipeline.client import JobRecord


def show_jobs(jobs: Sequence[JobRecord]) -> None:
    """Print the states of jobs, and below them why some failed or are tried again.

    The table is narrow, as ids are long: columns that no job has are left out, and reasons are
    sentences, for which a column has no room.
    """
    out, table = Console(), Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    columns: dict[str, list[str]] = {
        "job": [job.id for job in jobs],
        "state": [job.state for job in jobs],
        "stage": [_stage(job) for job in jobs],
        "tiles": [_tiles(job) for job in jobs],
        "expected": [_expected(job) for job in jobs],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    for name in shown:
        # Only a stage may take two lines: ids are there to be copied.
        table.add_column(name, no_wrap=name != "stage")
    for row in zip(*shown.values(), strict=True):
        table.add_row(*row)
    out.print(table, highlight=False)
    for job in jobs:
        if reason := _reason(job):
            out.print(f"{job.id}: {escape(reason)}", highlight=False, soft_wrap=True)


def say_ended(job: JobRecord) -> None:
    """Say on standard error how a job ended."""
    if job.state == "succeeded":
        console.print(f"[green]✓[/] {job.id}", highlight=False)
        return
    reason = _reason(job)
    why = f": {escape(reason)}" if reason else ""
    console.print(f"[red]✗[/] {job.id} {job.state}{why}", highlight=False, soft_wrap=True)


def _stage(job: JobRecord) -> str:
    """What a running job is at, or the place of one that waits."""
    if job.stage is None and job.position is not None:
        return f"place {job.position}"
    return job.stage or ""


def _tiles(job: JobRecord) -> str:
    """Done and in all, once if that is the same.

    Empty where none was counted, as of a result that was there before.
    """
    if job.tiles_total is None:
        return ""
    whole = f"{job.tiles_total:,}"
    return whole if job.tiles_done == job.tiles_total else f"{job.tiles_done:,}/{whole}"


def _expected(job: JobRecord) -> str:
    return "" if job.expected_at is None else f"{job.expected_at.astimezone():%H:%M:%S}"


def _reason(job: JobRecord) -> str:
    return "" if job.problem is None else str(job.problem["detail"])
