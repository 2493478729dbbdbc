"""Options of the commands that make a screen."""

from typing import Annotated

import typer

SCREEN = "A screen"

ScreenOption = Annotated[
    str | None,
    typer.Option(
        help="Make a screen of this package from the cohort's slides, and write the package with "
        "it.",
        metavar="PACKAGE",
        rich_help_panel=SCREEN,
    ),
]
ValidationOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Slides that limits are chosen on; may be repeated. [dim]\\[default: half of the "
        "slides][/]",
        metavar="SLIDES",
        rich_help_panel=SCREEN,
    ),
]
StepsOption = Annotated[
    int,
    typer.Option(
        help="Batches of 64 tiles that each of four networks learns from. With fewer the "
        "screen is made sooner and may pass more tiles on to the model; the promise is the same.",
        min=10,
        rich_help_panel=SCREEN,
    ),
]
PromiseOption = Annotated[
    float,
    typer.Option(
        help="Share of the tiles called positive that the screen may lose on the validation "
        "slides, at most.",
        min=1e-6,
        max=0.1,
        rich_help_panel=SCREEN,
    ),
]
