"""``wsi models export``: a package as a file for other programs."""

import json as json_format
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.extras import require
from wsi_pipeline.export.destination import draft
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.settings import Settings


def export_package(
    package: Annotated[str, typer.Argument(help="A package's folder or name.", metavar="PACKAGE")],
    *,
    to: Annotated[Literal["onnx"], typer.Option(help="The format.")] = "onnx",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The file. [dim]\\[default: kept in the package's folder, for the service][/]",
            metavar="FILE.onnx",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write a model as one ONNX file, with normalisation, calibration and head.

    Its input [bold]pixels[/] is float32 (n, 3, side, side), RGB of 0-255; its output
    [bold]probabilities[/] is (n,) of a binary model, else (n, classes). The file is checked: it
    must reproduce the reference probabilities of the package.

    Without -o the file is kept in the package's folder. The service then offers the model on the
    page "On this computer", where it runs in the browser and no image leaves the computer. The
    SHA-256 of the package does not change. Needs torch.

    [bold]Examples[/]

        wsi models export my-cells

        wsi models export my-cells --to onnx -o my-cells.onnx
    """
    require("onnxscript")
    # Imported here: this needs torch, looking at packages does not.
    from wsi_pipeline.model.onnx_export import export_onnx  # noqa: PLC0415
    from wsi_pipeline.model.onnx_file import keep_onnx  # noqa: PLC0415

    with console.status("loading the model") as status:
        found = find_or_build(package, Settings(), status.update)
        status.update("writing ONNX, and checking it")
        if output is None:
            with tempfile.TemporaryDirectory() as folder:
                made = Path(folder) / "network.onnx"
                exported = export_onnx(found, made)
                place = keep_onnx(found, made, exported.probe)
        else:
            place = output
            with draft(output, overwrite=overwrite) as new:
                exported = export_onnx(found, new)
    if json:
        facts = {
            "package": found.name,
            "sha256": found.sha256,
            "format": to,
            "file": str(place),
            "max_abs_difference": exported.largest,
        }
        sys.stdout.write(json_format.dumps(facts) + "\n")
        return
    Console().print(
        f"[green]✓[/] {place}: reproduces the reference of {found.name} within "
        f"{exported.largest:.2g}",
        highlight=False,
        soft_wrap=True,
    )
