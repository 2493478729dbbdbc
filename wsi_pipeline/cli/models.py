"""``wsi models``: lists, shows, verifies and makes model packages."""

import json as json_format
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.model_search import find_model
from wsi_pipeline.cli.models_export import export_package
from wsi_pipeline.cli.models_familiarise import familiarise_package
from wsi_pipeline.cli.models_import import import_package
from wsi_pipeline.cli.models_screen import screen_package
from wsi_pipeline.cli.models_verify import verify_package
from wsi_pipeline.errors import PackageError, UsageError
from wsi_pipeline.export.destination import draft
from wsi_pipeline.model.card import card as card_page
from wsi_pipeline.model.description import REFERENCE, WEIGHTS
from wsi_pipeline.model.package import CALIBRATION, DESCRIPTION, ModelPackage, load_package
from wsi_pipeline.provided import PROVIDED
from wsi_pipeline.settings import Settings

app = typer.Typer(
    help="List, show, verify and make model packages.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_Package = Annotated[
    str, typer.Argument(help="A package's folder, or a name such as lymph-node.", metavar="PACKAGE")
]
_Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command("list")
def list_packages(json: _Json = False) -> None:
    """List the packages that go by their names, and say of each whether it is sound.

    They lie in the models folder (WSI_MODELS_DIR). Any other package goes by its folder.

    [bold]Example[/]

        wsi models list

    Exit codes: 0 all sound, 3 some are not.
    """
    folder = Settings().models_dir
    found: list[ModelPackage] = []
    bad: list[PackageError] = []
    for path in sorted(folder.glob(f"[!.]*/{DESCRIPTION}")):
        try:
            found.append(load_package(path.parent))
        except PackageError as error:
            bad.append(error)
    if json:
        facts = {
            "folder": str(folder),
            "packages": [
                {
                    "installed_as": one.folder.name,
                    "folder": str(one.folder),
                    "name": one.name,
                    "version": one.description.version,
                    "task": one.description.task,
                    "classes": list(one.classes.names),
                    "positive": one.description.positive,
                    "licence": one.description.licence,
                    "intended_use": one.description.intended_use,
                    "architecture": one.description.architecture.name,
                    "mpp": one.description.mpp,
                    "level": one.description.level,
                    "threshold": one.description.threshold.value,
                    "synthetic": one.description.training.synthetic,
                    "notice": one.description.notice,
                    "sha256": one.sha256,
                }
                for one in found
            ],
            "bad": [{"package": one.package, "cause": one.cause} for one in bad],
        }
        sys.stdout.write(json_format.dumps(facts) + "\n")
    else:
        _list(folder, found)
        for unsound in bad:
            console.print(Text.assemble(("✗ ", "red"), str(unsound)), soft_wrap=True)
    if bad:
        raise typer.Exit(3)


def _list(folder: Path, found: list[ModelPackage]) -> None:
    if not found:
        Console().print(
            f"no packages in {folder}; {' and '.join(PROVIDED)} are built when first used",
            highlight=False,
            soft_wrap=True,
        )
        return
    table = Table(box=None, pad_edge=False)
    for name in ("package", "version", "network", "input", "finds", "licence", "SHA-256", "notice"):
        table.add_column(name, overflow="fold" if name == "package" else "ellipsis")
    for one in found:
        about = one.description
        finest = f"{about.mpp:g} µm/px" if about.mpp else f"level {about.level}"
        table.add_row(
            one.folder.name,
            about.version,
            about.architecture.name,
            f"{about.patch_px} px, {finest}",
            Text(_found(one)),
            about.licence,
            one.sha256[:12],
            Text(about.notice, "yellow"),
        )
    Console().print(table, highlight=False)


def _found(package: ModelPackage) -> str:
    about = package.description
    if about.output == "features":
        section = about.slide_level
        return "features" if section is None else f"slides: {', '.join(section.classes)}"
    return about.positive if about.task == "binary" else ", ".join(package.classes.names)


@app.command()
def show(package: _Package, json: _Json = False) -> None:
    """Show what a model is, what it was trained on and what it is for.

    [bold]Example[/]

        wsi models show demo
    """
    found = find_model(package, Settings())
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
        "classes": "none: an encoder"
        if description.output == "features"
        else f"{', '.join(found.classes.names)} "
        f"({description.task}; positive: {description.positive})",
        "input": f"{description.patch_px} × {description.patch_px} px at {resolution}",
        "answer": f"{found.reference()[1].shape[1]:,} features"
        if description.output == "features"
        else "a number for each class"
        if description.cell_px is None
        else f"a map, {description.cell_px} px a cell, without margins of {description.margin_px} "
        "px",
        "threshold": "none"
        if description.output == "features"
        else "none: a cell has its most likely class"
        if description.task == "multiclass"
        else f"{description.threshold.value:g} ({description.threshold.chosen})",
        "calibration": description.calibration.fitted,
        "trained on": description.training.data,
        "figures": ", ".join(f"{k} {v:g}" for k, v in description.training.metrics.items()) or "–",
        "licence": description.licence,
        "intended use": description.intended_use,
        "came with it": ", ".join(found.documents()) or "–",
    }
    for key, value in rows.items():
        table.add_row(key, value)
    Console().print(table, highlight=False)
    if description.notice:
        Console().print(Text(f"! {description.notice}", "yellow"))


@app.command()
def convert(package: _Package, json: _Json = False) -> None:
    """Add a package's OpenVINO graph to its folder, so that CPUs need no torch to run it.

    The package stays the same: its SHA-256 does not change. The graph takes as much room as the
    weights. Needs torch; the image of the CPU worker has none.

    [bold]Example[/]

        wsi models convert my-package
    """
    # Imported here: this needs OpenVINO, looking at packages does not.
    from wsi_pipeline.model.conversion import carry_graph  # noqa: PLC0415

    found = find_model(package, Settings())
    with console.status("converting"):
        folder = carry_graph(found, Settings().cache_dir)
    if json:
        facts = {"package": found.name, "sha256": found.sha256, "folder": str(folder)}
        sys.stdout.write(json_format.dumps(facts) + "\n")
        return
    Console().print(f"[green]✓[/] {folder}", highlight=False, soft_wrap=True)


@app.command()
def card(
    package: _Package,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page.", metavar="CARD.html")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page.")] = False,
) -> None:
    """Write a model's card: one HTML page made from its model.yaml, complete in itself.

    [bold]Example[/]

        wsi models card demo -o card.html
    """
    with draft(output, overwrite=overwrite) as new:
        new.write_text(card_page(find_model(package, Settings())), encoding="utf-8")
    Console().print(f"[green]✓[/] {output}", highlight=False, soft_wrap=True)


@app.command()
def pack(
    description: Annotated[
        Path,
        typer.Argument(
            help="The fields of model.yaml, without files; or a folder that holds model.yaml and "
            "the rest under their usual names.",
            metavar="MODEL.yaml",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The package's folder.", metavar="PACKAGE")
    ],
    weights: Annotated[
        Path | None,
        typer.Option(
            help="The whole network's weights: safetensors, or a PyTorch state dict.",
            metavar="FILE",
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="At least 16 patches: a folder of images, or an npz with [bold]patches[/].",
            metavar="PATCHES",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="More patches of all kinds, to fit int8 ranges on.", metavar="PATCHES"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the package.")] = False,
    json: _Json = False,
) -> None:
    """Make a package of weights: compute the reference probabilities, pin every file.

    [bold]Examples[/]

        wsi models pack model.yaml --weights best.pt --reference patches/ -o my-model

        wsi models pack draft/ -o my-model

    Exit codes: 0 written, 2 something does not fit together.
    """
    if description.is_dir():
        parts = description
        description = parts / DESCRIPTION
        weights = weights or parts / WEIGHTS
        reference = reference or parts / REFERENCE
        usual = parts / CALIBRATION
        calibration = calibration or (usual if usual.exists() else None)
    if weights is None or reference is None:
        raise UsageError("give the weights (--weights) and the reference patches (--reference)")
    with console.status("computing the reference"):
        # Imported here: this needs torch, the other verbs of this group mostly do not.
        from wsi_pipeline.model.package_writer import pack as pack_files  # noqa: PLC0415

        package = pack_files(
            description, weights, reference, output, calibration=calibration, overwrite=overwrite
        )
    if json:
        facts = {"package": package.name, "folder": str(output), "sha256": package.sha256}
        sys.stdout.write(json_format.dumps(facts) + "\n")
        return
    Console().print(
        f"[green]✓[/] {package.name} {package.description.version} in {output}",
        highlight=False,
        soft_wrap=True,
    )


app.command("import")(import_package)
app.command("verify")(verify_package)
app.command("export")(export_package)
app.command("familiarise")(familiarise_package)
app.command("screen")(screen_package)
