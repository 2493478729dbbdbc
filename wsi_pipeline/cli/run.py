"""``wsi run``: one slide or thousands, resumable, with one table at the end."""

import functools
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from wsi_pipeline.analysis_settings import DEFAULT_MODEL, AnalysisSettings, PrecisionChoice
from wsi_pipeline.cli.analysis_options import (
    HOW,
    WHERE,
    AllowUnreadableOption,
    DeviceOption,
    GridOption,
    JsonOption,
    LevelOption,
    MinTissueOption,
    MppOption,
    OverwriteOption,
    ProfileOption,
    QcLimitOption,
    QcOption,
    QuietOption,
    RuntimeOption,
    SchedulerOption,
    ScreenOption,
    SlideMppOption,
    StrideOption,
    TissueOption,
    TtaOption,
    WorkersOption,
    analysis_settings,
    check_classes,
    check_stride,
)
from wsi_pipeline.cli.crash_guard import guard_of
from wsi_pipeline.cli.model_search import find_model
from wsi_pipeline.cli.profile_table import profiled
from wsi_pipeline.cli.quick_imports import quick_imports
from wsi_pipeline.model.loaded import model_loading
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest, resolve_device
from wsi_pipeline.settings import Settings


def run(
    context: typer.Context,
    slides: Annotated[
        list[str],
        typer.Argument(help="Slide files, folders (with subfolders) or glob patterns."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")],
    model: Annotated[
        str, typer.Option(help="Model package: its folder, or a name; see `wsi models list`.")
    ] = DEFAULT_MODEL,
    mpp: MppOption = None,
    level: LevelOption = None,
    stride: StrideOption = None,
    grid: GridOption = "cover",
    min_tissue: MinTissueOption = 0.3,
    tissue: TissueOption = "fast",
    qc: QcOption = "flag",
    qc_limit: QcLimitOption = 0.5,
    slide_mpp: SlideMppOption = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Probability from which a cell is of a class. [dim]\\[default: the model's][/]",
            rich_help_panel=WHERE,
        ),
    ] = None,
    allow_unreadable: AllowUnreadableOption = 0.0,
    device: DeviceOption = "auto",
    precision: Annotated[
        PrecisionChoice,
        typer.Option(
            help="auto: fast, with the same decision of each tile at the threshold as fp32. bf16 "
            "anywhere, but never faster than fp32 on CPUs without instructions for it; int8 on "
            "CPUs, fp16 on GPUs.",
            rich_help_panel=HOW,
        ),
    ] = "auto",
    runtime: RuntimeOption = "auto",
    tta: TtaOption = False,
    screen: ScreenOption = "auto",
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    profile: ProfileOption = None,
) -> None:
    """Analyse slides: find tissue, classify its tiles, write a mask with checksums.

    Each slide becomes [bold]OUT/NAME.zarr[/] (OME-Zarr), and [bold]OUT/summary.csv[/] has one row
    per slide: done, skipped (a valid result exists) or failed with the reason. A slide that fails,
    or that crashes the program, does not stop the others. Started again, an interrupted run
    continues.

    [bold]Examples[/]

    One slide, with the model of real lymph-node tissue that comes with the program:

        wsi run slide.svs -o results

    A directory, at 0.5 µm/px with half-overlapping tiles:

        wsi run /slides -o results --model lab-model --mpp 0.5 --stride 150

    A slide whose file states no resolution, on the first GPU:

        wsi run old.tiff -o results --slide-mpp 0.25 --device cuda:0

    A region of interest kept as PNG, which states no spacing:

        wsi run 'rois/*.png' -o results --slide-mpp 0.5

    The tiles and numbers of WSInfer, of a model that was imported from there:

        wsi run slide.svs -o results --model breast --grid wsinfer --precision fp32
        wsi export results/slide.zarr wsinfer-csv

    Each tile in eight orientations, with the spread of the answers in tiles/spread:

        wsi run slide.svs -o results --tta

    Slides with pen marks, which must not be taken for tumour:

        wsi run /slides -o results --qc reject

    Where the time goes, as a table and as a trace for Perfetto:

        wsi run /slides -o results --profile

    In folders, files named NAME_mask.tiff are taken for masks, not slides, and PNG and JPEG files
    for pictures of slides: those are analysed where they are named or match a pattern.

    Exit codes: 0 success, 3 some slide failed, 2 wrong usage.
    """
    analysis = analysis_settings(
        mpp=mpp,
        level=level,
        stride=stride,
        grid=grid,
        min_tissue=min_tissue,
        tissue=tissue,
        qc=qc,
        qc_limit=qc_limit,
        slide_mpp=slide_mpp,
        threshold=threshold,
        allow_unreadable=allow_unreadable,
        device=device,
        precision=precision,
        runtime=runtime,
        tta=tta,
        screen=screen,
    )
    settings = Settings()
    resolve_device(device)  # a wrong name is told before anything is loaded
    guard = guard_of(context.obj)
    with ExitStack() as stack:
        recorder = stack.enter_context(profiled(profile, out, guard, quiet=quiet))
        with recorder.span("start-up", "import what reads slides"), quick_imports():
            from wsi_pipeline.slide.probe import Prober  # noqa: PLC0415
        prober = stack.enter_context(Prober(sandbox=guard.sandbox))
        with recorder.span("start-up", "find the model"):
            package = find_model(model, settings, quiet=quiet)
        check_classes(package)
        check_stride(stride, package.description.tile_px, package.description.cell_px)
        request = RuntimeRequest(
            device, precision, settings.cache_dir, runtime=runtime, head=package.run_head, tta=tta
        )
        threshold = threshold or package.description.threshold.value
        if not scheduler:
            loading = recorder.span("start-up", "load the model")
            beside = functools.partial(_load_screen, package, analysis)
            stack.enter_context(model_loading(package, request, threshold, loading, beside))
        # While the model loads: each takes most of a second.
        alone = guard.sandbox is not None
        with recorder.span("start-up", "import the pipeline"), quick_imports(for_good=alone):
            from wsi_pipeline.cli.batch import run_slides  # noqa: PLC0415
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
            profile=recorder,
            prober=prober,
            journal=guard.journal,
        )


def _load_screen(package: ModelPackage, analysis: AnalysisSettings) -> None:
    """So that the first slide need not wait for it."""
    if package.description.screen is not None and analysis.screen != "off":
        # It loads what most packages need not.
        from wsi_pipeline.screen.loaded import screen_of  # noqa: PLC0415

        screen_of(package)
