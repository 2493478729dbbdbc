"""``wsi features``: what an encoder makes of each tile of tissue, for slide-level models."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

import typer

from wsi_pipeline.analysis_settings import PrecisionChoice
from wsi_pipeline.cli.analysis_options import (
    HOW,
    AllowUnreadableOption,
    DeviceOption,
    JsonOption,
    LevelOption,
    MinTissueOption,
    MppOption,
    OverwriteOption,
    QuietOption,
    RuntimeOption,
    SchedulerOption,
    SlideMppOption,
    StrideOption,
    TissueOption,
    WorkersOption,
    analysis_settings,
    check_stride,
)
from wsi_pipeline.cli.crash_guard import guard_of
from wsi_pipeline.cli.model_search import find_model
from wsi_pipeline.errors import ResultError, UsageError
from wsi_pipeline.model.loaded import model_loading
from wsi_pipeline.model.runtime import RuntimeRequest, resolve_device
from wsi_pipeline.settings import Settings


def features(
    context: typer.Context,
    slides: Annotated[
        list[str],
        typer.Argument(help="Slide files, folders (with subfolders) or glob patterns."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")],
    encoder: Annotated[
        str,
        typer.Option(
            help="Package of an encoder, or of a classifier, whose input of the last layer is "
            "taken; its folder, or a name; see `wsi models list`.",
            metavar="PACKAGE",
        ),
    ],
    dtype: Annotated[
        Literal["float16", "float32"],
        typer.Option(help="Numbers that are stored; float16 takes half the room."),
    ] = "float16",
    h5: Annotated[
        bool,
        typer.Option("--h5", help="Also write OUT/NAME.h5, as CLAM and TRIDENT read it."),
    ] = False,
    h5ad: Annotated[
        bool, typer.Option("--h5ad", help="Also write OUT/NAME.h5ad, AnnData for scverse.")
    ] = False,
    mpp: MppOption = None,
    level: LevelOption = None,
    stride: StrideOption = None,
    min_tissue: MinTissueOption = 0.3,
    tissue: TissueOption = "fast",
    slide_mpp: SlideMppOption = None,
    allow_unreadable: AllowUnreadableOption = 0.0,
    device: DeviceOption = "auto",
    precision: Annotated[
        PrecisionChoice,
        typer.Option(
            help="auto: the fastest whose features are as near to fp32 as the package allows. bf16 "
            "anywhere, but never faster than fp32 on CPUs without instructions for it; int8 on "
            "CPUs, fp16 on GPUs.",
            rich_help_panel=HOW,
        ),
    ] = "auto",
    runtime: RuntimeOption = "auto",
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compute features: find tissue, give each tile to an encoder, keep its numbers.

    Each slide becomes [bold]OUT/NAME.zarr[/] with one row of numbers for each tile in
    [bold]features/values[/], and its place in [bold]tiles[/]. Tiles are of the encoder's own size
    and resolution. As with [bold]wsi run[/], an interrupted run continues, and
    [bold]wsi verify[/] checks what is there. With a classifier the result has its classes, too.

    [bold]Examples[/]

    Make a package of a published encoder once, then compute:

        wsi models import uni/ --name uni --mpp 0.5
        wsi features /slides -o features --encoder uni --h5

    Numbers that are exactly those computed, in fp32:

        wsi features slide.svs -o features --encoder uni --dtype float32 --precision fp32

    Of a result that is there, files for other programs:

        wsi export features/slide.zarr h5 h5ad

    Exit codes: 0 success, 3 some slide failed, 2 wrong usage.
    """
    analysis = analysis_settings(
        mpp=mpp,
        level=level,
        stride=stride,
        min_tissue=min_tissue,
        tissue=tissue,
        slide_mpp=slide_mpp,
        allow_unreadable=allow_unreadable,
        device=device,
        precision=precision,
        runtime=runtime,
        features=dtype,
    )
    settings = Settings()
    resolve_device(device)  # a wrong name is told before anything is loaded
    guard = guard_of(context.obj)
    package = find_model(encoder, settings, quiet=quiet)
    if package.description.map is not None:
        raise UsageError(
            f"{package.name} answers with maps and has no features of a tile; choose an encoder, "
            "or a model that answers with a number for each class"
        )
    check_stride(stride, package.description.tile_px)
    head = package.head(features=True)
    request = RuntimeRequest(device, precision, settings.cache_dir, runtime=runtime, head=head)
    threshold = package.description.threshold.value
    formats = [name for name, wanted in (("h5", h5), ("h5ad", h5ad)) if wanted]
    with nullcontext() if scheduler else model_loading(package, request, threshold):
        # Imported while the model loads: each takes most of a second, and so does the model.
        from wsi_pipeline.cli.batch import run_slides  # noqa: PLC0415
        from wsi_pipeline.slide.probe import Prober  # noqa: PLC0415

        run_slides(
            slides,
            out,
            package,
            analysis,
            request,
            scheduler=scheduler,
            workers=workers,
            overwrite=overwrite,
            json=json,
            quiet=quiet,
            finish=lambda result: _export(result, formats),
            prober=Prober(sandbox=guard.sandbox) if guard.sandbox else None,
            journal=guard.journal,
        )


def _export(path: Path, formats: list[str]) -> str:
    """Write what is wanted beside a result, in the place of files of earlier ones.

    Returns:
        What became of each file, in words.

    Raises:
        ResultError: a file cannot be written; the result is kept.
    """
    # Imported here: few runs need them.
    from wsi_pipeline.export.destination import default_path  # noqa: PLC0415
    from wsi_pipeline.export.formats import FORMATS  # noqa: PLC0415
    from wsi_pipeline.export.options import ExportOptions  # noqa: PLC0415
    from wsi_pipeline.stitch.result import Result  # noqa: PLC0415

    result, told = Result(path), []
    for name in formats:
        chosen = FORMATS[name]
        file = default_path(path, chosen.suffix)
        if chosen.is_up_to_date(result, file):
            told.append(f"{file.name} is up to date")
            continue
        try:
            chosen.write(result, file, ExportOptions(overwrite=True))
            told.append(f"{file.name} written")
        # HDF5 tells of a full disk with one or the other, depending on when it meets it.
        except (OSError, RuntimeError, UsageError) as error:
            cause = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise ResultError(
                path,
                f"is complete, but {file.name} cannot be written ({cause}); mend that and start "
                "the same command again, or use wsi export",
            ) from error
    return ", ".join(told)
