"""``wsi run``: one slide or thousands, resumable, with one table at the end."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from wsi_pipeline.cli.console import console
from wsi_pipeline.config import AnalysisConfig
from wsi_pipeline.demo import find_or_build
from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.loaded import model_loading
from wsi_pipeline.model.runtime import RuntimeRequest, resolve_device
from wsi_pipeline.settings import Settings

_WHERE = "Resolution and tiles"
_HOW = "Computing"


def run(
    slides: Annotated[
        list[str],
        typer.Argument(help="Slide files, folders (with subfolders) or glob patterns."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")],
    model: Annotated[
        str, typer.Option(help="Model package: its folder, or a name such as [bold]demo[/].")
    ],
    mpp: Annotated[
        float | None,
        typer.Option(
            help="Analyse at this many µm per px. [dim]\\[default: the model's][/]",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    level: Annotated[
        int | None,
        typer.Option(help="Analyse this pyramid level without rescaling.", rich_help_panel=_WHERE),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            help="Distance between tiles in analysis px. [dim]\\[default: the patch's side][/]",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    min_tissue: Annotated[
        float,
        typer.Option(help="Least share of tissue in a tile, 0-1.", rich_help_panel=_WHERE),
    ] = 0.3,
    tissue: Annotated[
        Literal["fast", "exact"],
        typer.Option(
            help="Find tissue from a coarse level, or from every tile's own px.",
            rich_help_panel=_WHERE,
        ),
    ] = "fast",
    slide_mpp: Annotated[
        float | None,
        typer.Option(
            help="µm per level-0 px of every slide of this run, instead of what the files state.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Probability from which a cell is tumour. [dim]\\[default: the model's][/]",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    allow_unreadable: Annotated[
        float,
        typer.Option(
            help="Share of the tissue tiles that may be unreadable, 0-1.", rich_help_panel=_WHERE
        ),
    ] = 0.0,
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda:N.", rich_help_panel=_HOW)
    ] = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16", "int8"],
        typer.Option(
            help="auto: fast, with the same decision of each tile at the threshold as fp32. bf16 "
            "anywhere, int8 on CPUs, fp16 on GPUs.",
            rich_help_panel=_HOW,
        ),
    ] = "auto",
    runtime: Annotated[
        Literal["auto", "openvino", "torch"],
        typer.Option(help="torch on the CPU is the slow reference.", rich_help_panel=_HOW),
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            help="Regions computed at once. [dim]\\[default: 2, on a GPU one per core][/]",
            min=1,
            rich_help_panel=_HOW,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler, tcp://HOST:PORT; its workers must see the slides "
            "and the model under the same paths. Use TLS or a private network.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing results.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON on standard output.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print failed slides only, and no progress.")
    ] = False,
) -> None:
    """Analyse slides: find tissue, classify its tiles, write a tumour mask with checksums.

    Each slide becomes [bold]OUT/NAME.zarr[/] (OME-Zarr), and [bold]OUT/summary.csv[/] has one row
    per slide: done, skipped (a valid result exists) or failed with the reason. A slide that fails
    does not stop the others. Started again, an interrupted run continues.

    [bold]Examples[/]

    One slide, with the demo model:

        wsi run slide.svs -o results --model demo

    A directory, at 0.5 µm/px with half-overlapping tiles:

        wsi run /slides -o results --model lab-model --mpp 0.5 --stride 150

    A slide whose file states no resolution, on the first GPU:

        wsi run old.tiff -o results --model demo --slide-mpp 0.25 --device cuda:0

    In folders, files named NAME_mask.tiff count as masks, not as slides.

    Exit codes: 0 success, 3 some slide failed, 2 wrong usage.
    """
    try:
        config = AnalysisConfig(
            mpp=mpp,
            level=level,
            stride=stride,
            min_tissue=min_tissue,
            tissue=tissue,
            slide_mpp=slide_mpp,
            threshold=threshold,
            allow_unreadable=allow_unreadable,
            device=device,
            precision=precision,
            runtime=runtime,
        )
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"--{option}: {first['msg']}") from error
    if mpp is not None and level is not None:
        raise UsageError("give --mpp or --level, not both")
    settings = Settings()
    resolve_device(device)  # a wrong name is told before anything is loaded
    with nullcontext() if quiet else console.status("loading the model") as status:
        package = find_or_build(
            model,
            settings,
            lambda what: status.update(f"building the demo model: {what}") if status else None,
        )
    if stride is not None and stride > package.description.patch_px:
        raise UsageError(
            f"--stride {stride} is larger than the model's patch of "
            f"{package.description.patch_px} px and would leave tissue unclassified"
        )
    request = RuntimeRequest(device, precision, settings.cache_dir, runtime=runtime)
    threshold = threshold or package.description.threshold.value
    local = nullcontext() if scheduler else model_loading(package, request, threshold)
    with local:
        # Imported while the model loads: each takes most of a second, and so does the model.
        from wsi_pipeline.cli.batch import run_slides  # noqa: PLC0415

        run_slides(
            slides,
            out,
            package,
            config,
            request,
            scheduler=scheduler,
            workers=workers,
            overwrite=overwrite,
            json=json,
            quiet=quiet,
        )
