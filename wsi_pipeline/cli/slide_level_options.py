"""Options of ``wsi train --slide-level``."""

from typing import Annotated, Literal

import typer

_SLIDE_LEVEL = "An answer for whole slides"

PackageOption = Annotated[
    str | None,
    typer.Option(
        help="Fit an answer for whole slides to results of this package, and write the package "
        "with it.",
        metavar="PACKAGE",
        rich_help_panel=_SLIDE_LEVEL,
    ),
]
KindOption = Annotated[
    Literal["regions-logistic", "regions-forest"],
    typer.Option(help="Of the fit.", rich_help_panel=_SLIDE_LEVEL),
]
AlphaOption = Annotated[
    float,
    typer.Option(
        help="Of slides called clear, at most this share has tumour,",
        rich_help_panel=_SLIDE_LEVEL,
    ),
]
DeltaOption = Annotated[
    float, typer.Option(help="but for this probability.", rich_help_panel=_SLIDE_LEVEL)
]
FalseAlarmsOption = Annotated[
    float,
    typer.Option(
        help="Of slides called suspicious, at most this share has none.",
        rich_help_panel=_SLIDE_LEVEL,
    ),
]
HoldOutOption = Annotated[
    float,
    typer.Option(
        help="Fit nothing to this share of the patients; the limits rest on them alone. 0: on "
        "all, each scored by a fit without its patient.",
        rich_help_panel=_SLIDE_LEVEL,
    ),
]
GroupingOption = Annotated[
    Literal["binary", "labels"] | None,
    typer.Option(
        "--slide-classes",
        help="Normal and tumour, or each label a class. [dim]\\[default: binary where the "
        "labels are a cohort's][/]",
        rich_help_panel=_SLIDE_LEVEL,
    ),
]
NegativeOption = Annotated[
    str | None,
    typer.Option(
        help="The class of slides with nothing to find. [dim]\\[default: normal, negative or "
        "the like][/]",
        metavar="NAME",
        rich_help_panel=_SLIDE_LEVEL,
    ),
]
