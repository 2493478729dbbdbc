"""Options of ``wsi train``, in the order of its help."""

from pathlib import Path
from typing import Annotated, Literal

import typer

_WHAT = "Patches"
_HOW = "Training"
_IMAGES = "Images instead of slides"
_SLIDES = "Slide labels only (abmil, clam-sb, transmil, mean-pool)"

CohortArgument = Annotated[
    Path | None,
    typer.Argument(
        help="The cohort table: slides, labels, patients, splits, annotations. With "
        "--slide-level a folder of results, or of slides.",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        help="Folder for the package. Report, checkpoints and logs are beside it.",
    ),
]
RecipeOption = Annotated[str, typer.Option(help="A shipped recipe, or a YAML file. See --list.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Change the recipe: epochs=3, labels.rule=any, sampling.patches=2000. May be "
        "repeated.",
        metavar="KEY=VALUE",
    ),
]
ListOption = Annotated[bool, typer.Option("--list", help="Print the shipped recipes and exit.")]
MppOption = Annotated[
    float | None,
    typer.Option(help="µm per px of the patches.", rich_help_panel=_WHAT),
]
LevelOption = Annotated[
    str | None,
    typer.Option(
        help="Pyramid level of the patches; several are merged: 3,4,5.", rich_help_panel=_WHAT
    ),
]
InitOption = Annotated[
    str | None,
    typer.Option(
        help="imagenet, efficientnet-lite0 (installed), random, a weights file or a model package.",
        metavar="imagenet|efficientnet-lite0|random|PATH",
        rich_help_panel=_HOW,
    ),
]
ThresholdByOption = Annotated[
    str | None,
    typer.Option(
        help="recall=0.95, youden or fpr=0.05, on the validation patches.",
        metavar="RULE",
        rich_help_panel=_HOW,
    ),
]
SeedOption = Annotated[int, typer.Option(help="Random seed.", min=0, rich_help_panel=_HOW)]
FoldsOption = Annotated[
    int,
    typer.Option(
        help="Cross-validate: divide the patients into this many parts and train a package "
        "for each, in OUT/fold-1 and so on.",
        min=0,
        rich_help_panel=_HOW,
    ),
]
SearchOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Train with every combination, keep the best: learning_rate=1e-3,1e-4, "
        "weight_decay=0,1e-4, decay=1,0.9, batch=16,32. May be repeated.",
        metavar="KEY=A,B",
        rich_help_panel=_HOW,
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda:N.", rich_help_panel=_HOW)]
PrecisionOption = Annotated[
    Literal["auto", "fp32", "bf16"],
    typer.Option(
        help="fp32, or bf16 (weights stay fp32); auto: bf16 on GPUs.", rich_help_panel=_HOW
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        help="CPU threads of the network; with the same number, results are identical. "
        "[dim]\\[default: one per core, at most 8][/]",
        min=1,
        rich_help_panel=_HOW,
    ),
]
ImagesOption = Annotated[
    Path | None,
    typer.Option(
        help="A folder with one folder of images per class, or a table (CSV, Parquet) with "
        "the columns path, label and, if known, group and source; in place of a cohort.",
        metavar="DIR|TABLE",
        rich_help_panel=_IMAGES,
    ),
]
LabelsOption = Annotated[
    Path | None,
    typer.Option(
        help="A table with path, label, group, source of the images in the folder; with "
        "--slide-level one of slides: slide, label, patient, split.",
        metavar="TABLE",
        rich_help_panel=_IMAGES,
    ),
]
TestSourceOption = Annotated[
    str | None,
    typer.Option(
        help="Keep all images of this source for the test: a laboratory never trained on.",
        metavar="NAME",
        rich_help_panel=_IMAGES,
    ),
]
PositiveOption = Annotated[
    str | None,
    typer.Option(
        help="The class of interest. [dim]\\[default: of two classes the one that is not "
        "called normal, healthy or the like; of several the first such][/]",
        rich_help_panel=_IMAGES,
    ),
]
GroupFromOption = Annotated[
    str | None,
    typer.Option(
        help="A regular expression that finds whose an image is in its name, where no table "
        "says it; such images stay together.",
        metavar="REGEX",
        rich_help_panel=_IMAGES,
    ),
]
FeaturesOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the features of each slide's tiles: SLIDE.zarr, as wsi features "
        "writes it, or SLIDE.h5, as CLAM and TRIDENT do. [dim]\\[default: beside the table][/]",
        metavar="DIR",
        rich_help_panel=_SLIDES,
    ),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        help="The package that made the features: the new package computes them with it. "
        "Without it only the networks are written.",
        metavar="PACKAGE",
        rich_help_panel=_SLIDES,
    ),
]
NameOption = Annotated[
    str | None, typer.Option(help="Name of the package. [dim]\\[default: its folder's][/]")
]
VersionOption = Annotated[str | None, typer.Option(help="Of the package. [dim]\\[default: 1][/]")]
LicenceOption = Annotated[str, typer.Option(help="Of the weights.")]
SkipBadOption = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out and report slides and images that cannot be used."),
]
RestartOption = Annotated[
    bool, typer.Option("--restart", help="Delete an unfinished training of this package.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace an existing package.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the report as JSON on standard output.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
