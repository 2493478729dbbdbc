"""``wsi models screen``: a package gets a first stage that says which tiles are surely negative."""

from pathlib import Path
from typing import Annotated

import typer

from wsi_pipeline.cli.screen_options import PromiseOption, StepsOption, ValidationOption
from wsi_pipeline.distil import STEPS


def screen_package(
    package: Annotated[str, typer.Argument(help="A package's folder or name.", metavar="PACKAGE")],
    slides: Annotated[
        list[str],
        typer.Argument(
            help="Slides, folders of slides or patterns in quotes, with tumour and without.",
            metavar="SLIDES...",
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The new package's folder.", metavar="FOLDER")
    ],
    validation: ValidationOption = None,
    promise: PromiseOption = 0.001,
    steps: StepsOption = STEPS,
    seed: Annotated[int, typer.Option(help="Decides everything that is drawn.", min=0)] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a package.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> None:
    """Make a screen for a package, so that runs take a fraction of the time.

    A screen is a small network that looks at a coarse level, 2 µm per px, and says which tiles are
    surely negative; the model is asked about the others only. It learns what the package says of
    tiles on half of the slides. On the other half, or on --validation slides, a limit is chosen for
    each stain: of the tiles that the package calls positive, at most the promised share lies below
    it. On every slide a random 2 % of the screened tiles go through the model all the same; where
    one of them is positive, the slide is analysed again without the screen, and an alarm says so.

    What the package says of each slide is kept beside the output until it is done: after an
    interruption the same command goes on.

    [bold]Examples[/]

        wsi models screen lab-model /archive/2025 -o lab-model-screened

        wsi models screen lab-model train/ --validation validation/ -o lab-model-screened

    Exit codes: 0 written, 2 the slides are too few or the package can have no screen.
    """
    # Imported here: this needs torch and a runtime; looking at packages does not.
    from wsi_pipeline.cli.screen import find_slides, make_package_screen  # noqa: PLC0415

    make_package_screen(
        package,
        find_slides(slides),
        output,
        validation=find_slides(validation or []),
        promise=promise,
        steps=steps,
        seed=seed,
        device=device,
        overwrite=overwrite,
        json=json,
        quiet=quiet,
    )
