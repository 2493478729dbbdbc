"""``wsi models verify``: a package's files, and what a runtime makes of its reference."""

import json as json_format
import sys
from typing import Annotated

import typer
from rich.console import Console

from wsi_pipeline.analysis_settings import PrecisionChoice, RuntimeChoice
from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.model_search import find_model
from wsi_pipeline.settings import Settings


def verify_package(
    package: Annotated[str, typer.Argument(help="A package's folder or name.", metavar="PACKAGE")],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    precision: Annotated[PrecisionChoice, typer.Option(help="One precision.")] = "auto",
    runtime: Annotated[RuntimeChoice, typer.Option(help="One runtime.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Check a package's files and hold a runtime on this machine to its reference.

    [bold]Examples[/]

        wsi models verify demo

        wsi models verify my-package --precision bf16

    Exit codes: 0 sound, 2 altered, incomplete or not reproduced here.
    """
    # Imported here: this needs OpenVINO, looking at packages does not.
    from wsi_pipeline.model.admission import load_predictor  # noqa: PLC0415
    from wsi_pipeline.model.reference_check import answer_reference, least_cosine  # noqa: PLC0415
    from wsi_pipeline.model.runtime import RuntimeRequest  # noqa: PLC0415

    found = find_model(package, Settings())
    head = found.description.own_head
    request = RuntimeRequest(device, precision, Settings().cache_dir, runtime=runtime, head=head)
    with console.status("computing the reference"):
        predictor = load_predictor(found, request, threshold=found.description.threshold.value)
        expected = found.reference()[1]
        answers = answer_reference(found, predictor)
        largest = float(abs(answers - expected).max())
        if head == "features":
            largest = 1 - least_cosine(answers, expected)
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
        f"[green]✓[/] {found.name} {found.description.version}: checksums verified; "
        f"{info.runtime} in {info.precision} on {info.device} reproduces {len(expected)} "
        f"reference {'probabilities' if head == 'classes' else 'rows of features (cosine)'} within "
        f"{largest:.2g}",
        highlight=False,
    )
