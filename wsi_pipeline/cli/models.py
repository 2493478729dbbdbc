"""``wsi models``: shows and verifies model packages."""

import json as json_format
import sys
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from wsi_pipeline.cli.console import console
from wsi_pipeline.demo import find_or_build
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.model.runtime import RuntimeRequest, load_predictor
from wsi_pipeline.settings import Settings

app = typer.Typer(
    help="Show and verify model packages.", no_args_is_help=True, rich_markup_mode="rich"
)

_Package = Annotated[
    str, typer.Argument(help="A package's folder, or a name such as demo.", metavar="PACKAGE")
]
_Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command()
def show(package: _Package, json: _Json = False) -> None:
    """Show what a model is, what it was trained on and what it is for.

    [bold]Example[/]

        wsi models show demo
    """
    found = _find(package)
    description = found.description
    if json:
        facts = {**description.model_dump(mode="json"), "sha256": found.sha256}
        sys.stdout.write(json_format.dumps(facts) + "\n")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    resolution = (
        f"{description.mpp:g} µm/px" if description.mpp else f"pyramid level {description.level}"
    )
    rows = {
        "model": f"{description.name} {description.version}",
        "folder": str(found.folder),
        "SHA-256": found.sha256,
        "network": f"{description.architecture.name}, {description.architecture.pooling} pooling",
        "classes": f"{', '.join(description.classes)} (positive: {description.positive})",
        "input": f"{description.patch_px} × {description.patch_px} px at {resolution}",
        "threshold": f"{description.threshold.value:g} ({description.threshold.chosen})",
        "calibration": description.calibration.fitted,
        "trained on": description.training.data,
        "figures": ", ".join(f"{k} {v:g}" for k, v in description.training.metrics.items()) or "–",
        "licence": description.licence,
        "intended use": description.intended_use,
    }
    for key, value in rows.items():
        table.add_row(key, value)
    Console().print(table, highlight=False)
    if description.training.synthetic:
        Console().print("[yellow]! trained on synthetic tissue[/]")


@app.command()
def verify(
    package: _Package,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16", "int8"], typer.Option(help="One precision.")
    ] = "auto",
    runtime: Annotated[
        Literal["auto", "openvino", "torch"], typer.Option(help="One runtime.")
    ] = "auto",
    json: _Json = False,
) -> None:
    """Check a package's files and hold a runtime on this machine to its reference.

    [bold]Examples[/]

        wsi models verify demo

        wsi models verify my-package --precision bf16

    Exit codes: 0 sound, 2 altered, incomplete or not reproduced here.
    """
    found = _find(package)
    request = RuntimeRequest(device, precision, Settings().cache_dir, runtime=runtime)
    with console.status("computing the reference"):
        predictor = load_predictor(found, request, threshold=found.description.threshold.value)
        patches, expected = found.reference()
        largest = float(abs(predict_all(predictor, patches) - expected).max())
    info = predictor.info
    predictor.close()
    if json:
        facts = {
            "package": found.name,
            "sha256": found.sha256,
            "runtime": info.to_json(),
            "max_abs_difference": largest,
        }
        sys.stdout.write(json_format.dumps(facts) + "\n")
        return
    Console().print(
        f"[green]✓[/] {found.name} {found.description.version}: files whole; "
        f"{info.runtime} in {info.precision} on {info.device} reproduces {len(expected)} "
        f"reference probabilities within {largest:.2g}",
        highlight=False,
    )


def _find(package: str) -> ModelPackage:
    with console.status("loading the model") as status:
        return find_or_build(
            package, Settings(), lambda what: status.update(f"building the demo model: {what}")
        )
