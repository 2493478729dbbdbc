"""``wsi classify``: single images, one or thousands, resumable, with one table at the end."""

from pathlib import Path
from typing import Annotated

import typer

from wsi_pipeline.analysis_settings import PrecisionChoice
from wsi_pipeline.cli.analysis_options import DeviceOption, RuntimeOption, TtaOption
from wsi_pipeline.cli.model_search import find_model
from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.catalogue import ModelCatalogue
from wsi_pipeline.model.loaded import model_loading
from wsi_pipeline.model.runtime import RuntimeRequest, resolve_device
from wsi_pipeline.settings import Settings

_HOW, _MORE = "Computing", "More about the answers"


def classify(
    images: Annotated[
        Path,
        typer.Argument(
            help="An image, a folder (with subfolders), or a table with the column path and, where "
            "known, label, group and source.",
            metavar="IMAGE|DIR|TABLE",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")],
    model: Annotated[
        str | None,
        typer.Option(help="Model package: its folder, or a name; see `wsi models list`."),
    ] = None,
    top: Annotated[
        int, typer.Option(help="How many of the most likely classes have columns.", min=1)
    ] = 3,
    coverage: Annotated[
        float,
        typer.Option(
            help="Share of the images whose prediction set shall hold the true class, 0-1.",
            rich_help_panel=_MORE,
        ),
    ] = 0.9,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Draw for each image what its answer rests on, into OUT/explanations.",
            rich_help_panel=_MORE,
        ),
    ] = False,
    embed: Annotated[
        bool,
        typer.Option(
            "--embed",
            help="Keep the network's features in OUT/embeddings.npz, and draw in the report which "
            "images are alike for it.",
            rich_help_panel=_MORE,
        ),
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Table with path, label, group and source of these images: the answers are "
            "compared with it.",
            rich_help_panel=_MORE,
        ),
    ] = None,
    device: DeviceOption = "auto",
    precision: Annotated[
        PrecisionChoice,
        typer.Option(
            help="auto: fast, with the same predicted class as fp32; its probabilities, and so its "
            "prediction sets, differ a little.",
            rich_help_panel=_HOW,
        ),
    ] = "fp32",
    runtime: RuntimeOption = "auto",
    tta: TtaOption = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing results.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON on standard output.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print failed images only, and no progress.")
    ] = False,
) -> None:
    """Classify single images: cells, patches; with probabilities and a flag to look again.

    [bold]OUT/images.csv[/] and [bold]OUT/images.parquet[/] have one row per image: its most likely
    classes with calibrated probabilities, the prediction set, [bold]review[/], or why it failed;
    [bold]OUT/report.html[/] shows the doubtful ones. An image that fails does not stop the others.
    Started again, an interrupted run continues.

    [bold]review[/] is yes where the prediction set does not hold exactly one class. Sets are made
    of validation images that the package keeps; without them review is empty.

    With labels (the folders of a folder of images, where they are named like classes; the column
    of a table; --labels) the report compares the answers with them.

    [bold]Examples[/]

    A folder, and a table with labels:

        wsi classify cells/ -o results --model my-cells

        wsi classify test.csv -o results --model my-cells --coverage 0.95

    With a picture of what each answer rests on, and a map of all images:

        wsi classify cells/ -o results --model my-cells --explain --embed

    Exit codes: 0 success, 3 some image failed, 2 wrong usage.
    """
    settings = Settings()
    if not 0 < coverage < 1:
        raise UsageError(f"--coverage {coverage:g}: it is above 0 and below 1, 0.9 for instance")
    if model is None:
        raise UsageError(f"say which model: --model PACKAGE. {_choice(settings)}")
    resolve_device(device)  # a wrong name is told before anything is loaded
    package = find_model(model, settings, quiet=quiet)
    request = RuntimeRequest(
        device, precision, settings.cache_dir, runtime=runtime, head=package.run_head, tta=tta
    )
    with model_loading(package, request, package.description.threshold.value):
        # Imported while the model loads: each takes most of a second, and so does the model.
        from wsi_pipeline.cli.classify_images import classify_images  # noqa: PLC0415
        from wsi_pipeline.images.run import ImageSettings  # noqa: PLC0415

        classify_images(
            images,
            out,
            package,
            request,
            ImageSettings(top, coverage, explain=explain, embed=embed, overwrite=overwrite),
            labels=labels,
            json=json,
            quiet=quiet,
        )


def _choice(settings: Settings) -> str:
    """Which packages could be meant: those whose output is classes."""
    catalogue = ModelCatalogue(settings.models_dir)
    found = [name for name, one in catalogue.installed() if one.description.output == "classes"]
    installed = f", or one of {', '.join(found)}" if found else ""
    return (
        f"It is a package's folder{installed}; wsi models list says what each finds, wsi train "
        "makes one of your images"
    )
