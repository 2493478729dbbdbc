"""``wsi audit``: checks whether the audit log is complete."""

import json as json_format
import sys
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.console import Console

from wsi_pipeline.cli.service import DatabaseUrl, DataDir, Json, load_settings, open_database
from wsi_pipeline.service.audit import BrokenChainError, verify_chain
from wsi_pipeline.service.tables import audit

app = typer.Typer(
    help="Check the audit log.", no_args_is_help=True, rich_markup_mode="rich", add_completion=False
)


@app.callback()
def _group() -> None:
    """Check the audit log."""


@app.command()
def verify(
    data_dir: DataDir = None,
    database: DatabaseUrl = None,
    holds: Annotated[
        str | None,
        typer.Option(
            help="A hash that this command printed before: fails if that line no longer exists.",
            metavar="SHA256",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Recompute the audit log's chain of hashes and print the last.

    Keep the last hash on another machine: with [bold]--holds[/] it shows later whether lines were
    removed from the end.

    [bold]Examples[/]

        wsi audit verify

        wsi audit verify --holds 5d41402abc4b2a76b9719d911017c592…

    Exit codes: 0 complete, 3 altered.
    """
    with open_database(load_settings(data_dir=data_dir, database=database)) as opened:
        count, last = verify_chain(opened)
        if holds is not None:
            with opened.read() as connection:
                line = sa.select(audit.c.id).where(audit.c.sha256 == holds)
                if connection.execute(line).first() is None:
                    raise BrokenChainError(f"the audit log has no line with the hash {holds}")
    if json:
        sys.stdout.write(json_format.dumps({"lines": count, "sha256": last}) + "\n")
        return
    Console().print(f"[green]✓[/] {count:,} lines, none altered; the last is", highlight=False)
    sys.stdout.write(last + "\n")
