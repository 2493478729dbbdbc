"""``wsi synth``: draws synthetic slides with planted tumour and exact truth."""

import json as json_format
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from wsi_pipeline.errors import UsageError
from wsi_pipeline.synth.planting import Plant, Where, parse_plants, parse_tumour
from wsi_pipeline.synth.spec import SynthSpec, parse_size
from wsi_pipeline.synth.wanted import parse_artefacts
from wsi_pipeline.synth.writer import (
    SynthSlide,
    artefacts_path,
    class_mask_path,
    truth_paths,
    write_slide,
)

_ARTEFACTS = "Artefacts"
_FILE = "File format"


def synth(
    out: Annotated[
        Path, typer.Argument(help="Folder for the slides; made if it is missing.", metavar="OUT")
    ],
    *,
    count: Annotated[int, typer.Option(help="Number of slides.", min=1)] = 1,
    size: Annotated[
        str, typer.Option(help="Size of level 0 in px.", metavar="WIDTHxHEIGHT")
    ] = "20000x18000",
    tumour: Annotated[
        list[str] | None,
        typer.Option(
            help="Share of the tissue that is tumour (0.12), or [bold]none[/], or exact "
            "rectangles in level-0 px: [bold]rect:X,Y,W,H[/], several with ';' or by repeating "
            "the option. [dim]\\[default: 0.12][/]",
            metavar="SPEC",
            show_default=False,
        ),
    ] = None,
    plant: Annotated[
        list[str] | None,
        typer.Option(
            help="Another kind of tissue and where it goes, as for --tumour: "
            "[bold]necrosis:0.05[/], [bold]mucin:rect:X,Y,W,H[/]. Kinds: tumour, necrosis, mucin. "
            "Kinds are planted in the order given, after the tumour; where two overlap, the later "
            "one counts. May be repeated.",
            metavar="KIND:SPEC",
        ),
    ] = None,
    stain: Annotated[
        str,
        typer.Option(help="Laboratory: a: balanced, b: bluer, cool glass, c: redder, warm glass."),
    ] = "a",
    seed: Annotated[
        int, typer.Option(help="Seed of the first slide; the next ones count up.", min=0)
    ] = 1,
    file_format: Annotated[
        Literal["tiff", "svs-like"],
        typer.Option(
            "--format",
            help="tiff: generic tiled TIFF. svs-like: recognised as Aperio.",
            rich_help_panel=_FILE,
        ),
    ] = "tiff",
    mpp: Annotated[
        float, typer.Option(help="Resolution to declare, µm/px.", rich_help_panel=_FILE)
    ] = 0.25,
    levels: Annotated[
        int | None,
        typer.Option(
            help="Pyramid levels. [dim]\\[default: down to about 256 px, at most 8][/]",
            rich_help_panel=_FILE,
        ),
    ] = None,
    tile: Annotated[
        int, typer.Option(help="Side of a file tile in px: 256 or 512.", rich_help_panel=_FILE)
    ] = 512,
    quality: Annotated[int, typer.Option(help="JPEG quality, 1-100.", rich_help_panel=_FILE)] = 80,
    pen: Annotated[
        bool, typer.Option("--pen", help="Draw marker strokes.", rich_help_panel=_ARTEFACTS)
    ] = False,
    folds: Annotated[
        int, typer.Option(help="Number of tissue folds.", min=0, rich_help_panel=_ARTEFACTS)
    ] = 0,
    blur: Annotated[
        int, typer.Option(help="Number of blurred patches.", min=0, rich_help_panel=_ARTEFACTS)
    ] = 0,
    debris: Annotated[
        int,
        typer.Option(help="Number of dust grains and fibres.", min=0, rich_help_panel=_ARTEFACTS),
    ] = 0,
    padding: Annotated[
        bool,
        typer.Option(
            "--padding",
            help="Black scanner padding at the right and bottom.",
            rich_help_panel=_ARTEFACTS,
        ),
    ] = False,
    artefacts: Annotated[
        list[str] | None,
        typer.Option(
            help="Artefacts of given strength, on tissue: [bold]KIND:STRENGTH[/], "
            "several with ',' or by repeating the option; [bold]all[/] is one of each. "
            "[bold]pen:COLOUR:SHARE[/] (blue, green, black, red, orange, yellow; share of the "
            "ink, 0.1-1, or opaque), [bold]blur:3um[/] and [bold]defocus:3um[/] (standard "
            "deviation; a patch, or a lane of the whole slide), [bold]fold:110um[/] (width), "
            "[bold]bubble:1200um[/] (diameter), [bold]coverslip:60um[/] and "
            "[bold]gap:white:60um[/] or gap:black (width).",
            metavar="LIST",
            rich_help_panel=_ARTEFACTS,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace slides of the same names.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the slides and their truth as JSON.")
    ] = False,
) -> None:
    """Draw synthetic H&E lymph nodes with planted tumour and other kinds, and exact truth.

    Each slide comes as [bold]synth_SEED.tiff[/], [bold]synth_SEED_mask.tiff[/] (255 where there
    is tumour, same pyramid) and [bold]synth_SEED.xml[/] (ASAP annotations as CAMELYON's). With
    --plant, [bold]synth_SEED_classes_mask.tiff[/] has the index of what is planted: 0 normal,
    1 tumour, 2 necrosis, 3 mucin. With artefacts, [bold]synth_SEED_artefacts.geojson[/] has their
    outlines. The same options give the same bytes.

    [bold]Examples[/]

    One slide of 20,000 × 18,000 px, in seconds:

        wsi synth slides

    Ten slides of another laboratory, without tumour:

        wsi synth slides --count 10 --seed 100 --stain b --tumour none

    A real slide's size, with everything that goes wrong:

        wsi synth slides --size 62000x54000 --pen --folds 4 --blur 3 --debris 200 --padding

    Two pens, a blurred patch and a fold of known strength, to test quality control:

        wsi synth slides --artefacts pen:blue:0.8,pen:black:opaque,blur:3um,fold:120um

    Tumour exactly where a test needs it:

        wsi synth slides --size 4096x4096 --tumour "rect:1024,1024,512,512;rect:2048,2048,299,299"

    Three kinds of tissue on one slide, for a model of several classes:

        wsi synth slides --tumour 0.1 --plant necrosis:0.08 --plant mucin:0.08
    """
    console = Console(stderr=True)
    try:
        where, plants = _planting(tumour or [], plant or [])
        specs = [
            SynthSpec(
                size=parse_size(size),
                seed=seed + index,
                tumour=where,
                plants=plants,
                stain=stain,
                format=file_format,
                mpp=mpp,
                levels=levels,
                tile=tile,
                quality=quality,
                folds=folds,
                blur=blur,
                debris=debris,
                pen=pen,
                padding=padding,
                artefacts=parse_artefacts(artefacts or []),
            )
            for index in range(count)
        ]
        slides = _write(specs, out, console, overwrite=overwrite)
    except UsageError as error:
        console.print(f"[red]error:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except OSError as error:
        console.print(f"[red]error:[/] cannot write to {out}: {error}", soft_wrap=True)
        raise typer.Exit(2) from None
    if json:
        sys.stdout.write(json_format.dumps([slide.to_json() for slide in slides]) + "\n")
        return
    for slide in slides:
        Console().print(
            f"{slide.path}  {slide.spec.size} px, {len(slide.levels)} levels, "
            f"{', '.join(_amount(slide, kind) for kind in slide.planted)}",
            highlight=False,
            soft_wrap=True,
        )


def _planting(tumour: list[str], plants: list[str]) -> tuple[Where, tuple[Plant, ...]]:
    """Where the tumour goes, and the further kinds; ``--plant tumour:X`` is ``--tumour X``."""
    parsed = parse_plants(plants)
    named = [one.where for one in parsed if one.kind == "tumour"]
    if named and tumour:
        raise UsageError("--tumour and --plant tumour:… mean the same; use one of them")
    further = tuple(one for one in parsed if one.kind != "tumour")
    if tumour:
        return parse_tumour(tumour), further
    return named[0] if named else 0.12, further


def _amount(slide: SynthSlide, kind: str) -> str:
    """How much of a kind there is, for people."""
    area_mm2 = slide.kind_px[kind] * (slide.spec.mpp / 1000) ** 2
    foci = len(slide.planted[kind])
    return f"{kind} {area_mm2:.3g} mm² in {foci} {'focus' if foci == 1 else 'foci'}"


def _write(
    specs: list[SynthSpec], out: Path, console: Console, *, overwrite: bool
) -> list[SynthSlide]:
    """Write all slides under a progress bar; refuse before the first if one is in the way."""
    paths = [out / f"synth_{spec.seed:04d}{spec.suffix}" for spec in specs]
    if not overwrite:
        taken = [
            file
            for path in paths
            for file in (path, *truth_paths(path), class_mask_path(path), artefacts_path(path))
            if file.exists()
        ]
        if taken:
            raise UsageError(f"{taken[0]} already exists; pass --overwrite to replace it")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TextColumn("Mpx"), TimeRemainingColumn())  # fmt: skip
    slides: list[SynthSlide] = []
    with Progress(*columns, console=console, transient=True) as bar:
        for spec, path in zip(specs, paths, strict=True):
            task = bar.add_task(path.name, total=spec.size.area // 1_000_000)
            slides.append(write_slide(spec, path, _reporter(bar, task), overwrite=overwrite))
    return slides


def _reporter(bar: Progress, task: TaskID) -> Callable[[int, int], None]:
    """A progress callback that moves one bar, in megapixels."""

    def report(done: int, total: int) -> None:
        bar.update(task, completed=done // 1_000_000, total=max(1, total // 1_000_000))

    return report
