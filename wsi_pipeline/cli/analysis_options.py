"""Options that are the same for every command that has them: what is analysed, and with what."""

from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from wsi_pipeline.analysis_settings import (
    AnalysisSettings,
    QualityChoice,
    RuntimeChoice,
    ScreenChoice,
)
from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import GridKind
from wsi_pipeline.model.package import ModelPackage

#: The panel of the help they are in.
WHERE = "Resolution and tiles"
HOW = "Computing"

DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda:N.", rich_help_panel=HOW)]
RuntimeOption = Annotated[
    RuntimeChoice,
    typer.Option(help="torch on the CPU is the slow reference.", rich_help_panel=HOW),
]

MppOption = Annotated[
    float | None,
    typer.Option(
        help="Analyse at this many µm per px. [dim]\\[default: the model's][/]",
        rich_help_panel=WHERE,
    ),
]
LevelOption = Annotated[
    int | None,
    typer.Option(
        help="Analyse this pyramid level as it is (px that are not square are made square). The "
        "slide's resolution must be known, because areas need it.",
        rich_help_panel=WHERE,
    ),
]
StrideOption = Annotated[
    int | None,
    typer.Option(
        help="Distance between tiles in analysis px. [dim]\\[default: the patch's side][/]",
        rich_help_panel=WHERE,
    ),
]
GridOption = Annotated[
    GridKind,
    typer.Option(
        help="Tiles: cover the whole slide, or are those of WSInfer, read as it reads them.",
        rich_help_panel=WHERE,
    ),
]
MinTissueOption = Annotated[
    float,
    typer.Option(help="Least share of tissue in a tile, 0-1.", rich_help_panel=WHERE),
]
TissueOption = Annotated[
    Literal["fast", "exact"],
    typer.Option(
        help="Find tissue from a coarse level, or from every tile's own px.",
        rich_help_panel=WHERE,
    ),
]
AllowUnreadableOption = Annotated[
    float,
    typer.Option(
        help="Share of the tissue tiles that may be unreadable, 0-1.", rich_help_panel=WHERE
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        help="Regions computed at once. [dim]\\[default: 2, on a GPU one per core][/]",
        min=1,
        rich_help_panel=HOW,
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        help="Address of a Dask scheduler, tcp://HOST:PORT; its workers must see the slides "
        "and the model under the same paths. Use TLS or a private network.",
        rich_help_panel=HOW,
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the summary as JSON on standard output.")
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print failed slides only, and no progress.")
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        metavar="[FILE.json]",
        help="Print where the time went, and write a trace for chrome://tracing or Perfetto. "
        "[dim]\\[file: OUT/profile.json][/]",
    ),
]
#: The panel of the help quality control is in.
QUALITY = "Quality control"
QcOption = Annotated[
    QualityChoice,
    typer.Option(
        help="Tiles with pen, folds, bubbles, gaps or out of focus: flag marks them and classifies "
        "them all the same, reject leaves them out.",
        rich_help_panel=QUALITY,
    ),
]
QcLimitOption = Annotated[
    float,
    typer.Option(
        help="Share of the tissue, 0-1: where more would be rejected, nothing is, and an alarm "
        "says so.",
        rich_help_panel=QUALITY,
    ),
]
SlideMppOption = Annotated[
    float | None,
    typer.Option(
        help="µm per level-0 px of every slide given, whatever their files state.",
        rich_help_panel=WHERE,
    ),
]
ScreenOption = Annotated[
    ScreenChoice,
    typer.Option(
        help="auto lets the model's screen, if it has one that was validated for slides of this "
        "stain, say which tiles are surely negative; off gives every tile to the model.",
        rich_help_panel=HOW,
    ),
]
TtaOption = Annotated[
    bool,
    typer.Option(
        "--tta",
        help="Look at each tile or image in its eight orientations (turned, mirrored): the mean is "
        "its probability, the standard deviation its spread. Eight times the work.",
        rich_help_panel=HOW,
    ),
]


def analysis_settings(**settings: Any) -> AnalysisSettings:
    """The settings out of a command's options.

    Raises:
        UsageError: an option is out of its range, or two contradict each other.
    """
    try:
        analysis = AnalysisSettings(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"--{option}: {first['msg']}") from error
    if analysis.mpp is not None and analysis.level is not None:
        raise UsageError("give --mpp or --level, not both")
    return analysis


def check_stride(stride: int | None, patch: int, cell: int | None = None) -> None:
    """Refuse a stride that leaves gaps between the patches, or does not fit the cells of a map.

    Args:
        stride: In analysis px; None: the patch's side.
        patch: Side in px of what the model answers for.
        cell: Side in px of a cell of its map, if it answers with one.

    Raises:
        UsageError: it is larger than the patch, or no multiple of the cell.
    """
    if stride is not None and cell is not None and stride % cell:
        raise UsageError(
            f"--stride {stride} is not a multiple of the model's map cells of {cell} px; the maps "
            "of neighbouring tiles would not lie on one another"
        )
    if stride is not None and stride > patch:
        raise UsageError(
            f"--stride {stride} is larger than the model's patch of {patch} px and would leave "
            "tissue unclassified"
        )


def check_classes(package: ModelPackage) -> None:
    """Refuse an encoder that answers neither for tiles nor for slides.

    Raises:
        UsageError: it is one.
    """
    if package.description.has_features_only:
        raise UsageError(
            f"{package.name} is an encoder: it has features and no classes; use `wsi features`, or "
            "choose a model with classes"
        )
