"""``wsi models familiarise``: a package learns what its training data look like."""

import json as json_format
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from wsi_pipeline.cli.console import console
from wsi_pipeline.model.package import load_package
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.settings import Settings


def familiarise_package(
    package: Annotated[str, typer.Argument(help="A package's folder or name.", metavar="PACKAGE")],
    data: Annotated[
        list[Path],
        typer.Argument(
            help="Slides, folders of slides or patterns in quotes; with --images a folder or table "
            "of single images.",
            metavar="DATA...",
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The new package's folder.", metavar="FOLDER")
    ],
    images: Annotated[bool, typer.Option("--images", help="DATA are single images.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Add to a package what its training data look like, so that runs can tell what is unlike.

    Name slides, or images, of the laboratory the model was trained for; at least six, better
    fifty, and better ones it was not trained on. Half of them are compared with, the other half
    gives the distances of such slides. [bold]wsi train[/] does this by itself.

    The new package has another SHA-256, so results made with the old one are not taken for its.

    [bold]Examples[/]

        wsi models familiarise lab-model /archive/2025 -o lab-model-2

        wsi models familiarise my-cells cells/ --images -o my-cells-2

    Exit codes: 0 written, 2 the data are too few or the package cannot be used.
    """
    # Imported here: this needs slides, images and a runtime; looking at packages does not.
    from wsi_pipeline.familiarise import (  # noqa: PLC0415
        Sample,
        add_statistics,
        familiarise,
        of_images,
        of_slides,
    )
    from wsi_pipeline.images.collection import read_collection  # noqa: PLC0415
    from wsi_pipeline.model.runtime import RuntimeRequest  # noqa: PLC0415
    from wsi_pipeline.run.inputs import expand  # noqa: PLC0415

    settings = Settings()
    with console.status("loading the model") as status:
        found = find_or_build(package, settings, status.update)
        request = RuntimeRequest(device, "fp32", settings.cache_dir)

        def told(path: Path) -> None:
            status.update(f"measuring {path.name}")

        samples: Iterator[Sample]
        if images:
            pictures = [one for path in data for one in read_collection(path, skip_bad=True).images]
            samples = of_images(pictures, found, told)
        else:
            given = [entry.path for entry in expand([str(path) for path in data]).slides]
            samples = of_slides(given, found, told)
        statistics = familiarise(found, samples, "image" if images else "slide", request)
        add_statistics(found, statistics, output)
    made = load_package(output)
    kept = "colour, focus and texture" + (" and features" if statistics.features else "")
    if json:
        facts = {
            "package": made.name,
            "folder": str(output),
            "sha256": made.sha256,
            "patches": statistics.patches,
            "features": statistics.features is not None,
        }
        sys.stdout.write(json_format.dumps(facts) + "\n")
        return
    Console().print(
        f"[green]✓[/] {output}: keeps {kept} of {statistics.patches:,} patches",
        highlight=False,
        soft_wrap=True,
    )
