"""``wsi verify``: decodes and hashes results again, and names what is damaged."""

import json as json_format
import sys
from pathlib import Path
from typing import Annotated

import typer

from wsi_pipeline.cli import EXIT_BAD, EXIT_OK
from wsi_pipeline.cli.console import console
from wsi_pipeline.errors import ResultError
from wsi_pipeline.stitch.verification import verify as verify_result


def verify(
    results: Annotated[list[Path], typer.Argument(help="Result stores, NAME.zarr.")],
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Compute all checksums of results again and compare them with the stored ones.

    [bold]Example[/]

        wsi verify results/*.zarr

    Exit codes: 0 all valid, 3 some damaged, 2 wrong usage.
    """
    outcomes: list[dict[str, object]] = []
    for path in results:
        try:
            with console.status(f"verifying {path.name}"):
                result = verify_result(path)
        except ResultError as error:
            outcomes.append({"result": str(path), "whole": False, "reason": error.cause})
            console.print(f"[red]✗[/] {error}", soft_wrap=True, highlight=False)
        else:
            arrays = len(result.seal.arrays)
            outcomes.append({"result": str(path), "whole": True, "reason": ""})
            console.print(
                f"[green]✓[/] {path}: checksums of {arrays} arrays verified", highlight=False
            )
    if json:
        sys.stdout.write(json_format.dumps(outcomes) + "\n")
    whole = all(outcome["whole"] for outcome in outcomes)
    raise typer.Exit(EXIT_OK if whole else EXIT_BAD)
