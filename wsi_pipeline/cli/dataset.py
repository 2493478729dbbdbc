"""``wsi dataset``: cohorts of slides, what is known of them, and who is trained on."""

import sys
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer
from rich.console import Console

from wsi_pipeline.annotation.drawing import Canvas, canvas, write_mask
from wsi_pipeline.annotation.opening import open_truth
from wsi_pipeline.annotation.truth import TruthKind
from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.dataset_display import bar, plain, print_json, say_written, show_counts
from wsi_pipeline.cli.dataset_index import index
from wsi_pipeline.cohort.inspection import inspect_cohort
from wsi_pipeline.cohort.search import truth_kind
from wsi_pipeline.cohort.splitting import SplitOptions
from wsi_pipeline.cohort.splitting import split as split_cohort
from wsi_pipeline.cohort.summary import to_json
from wsi_pipeline.cohort.table import Split, read_cohort, write_cohort
from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import Size
from wsi_pipeline.slide.opening import open_slide
from wsi_pipeline.synth.spec import parse_size

app = typer.Typer(
    help="Pair slides with annotations and labels, draw annotations as masks, divide data sets.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.command()(index)

_EXIT_BAD = 3

_Cohort = Annotated[Path, typer.Argument(help="A cohort table (CSV).", metavar="COHORT.csv")]
_Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command()
def rasterize(
    annotation: Annotated[
        Path,
        typer.Argument(help="ASAP XML, GeoJSON, NCRF's JSON, or a mask.", metavar="ANNOTATION"),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The mask.", metavar="MASK.tiff")],
    *,
    like: Annotated[
        Path | None,
        typer.Option(help="Its slide: gives the levels and their sizes.", metavar="SLIDE"),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Or the size of the slide's level 0; level n is then 2ⁿ times smaller.",
            metavar="WIDTHxHEIGHT",
        ),
    ] = None,
    level: Annotated[int, typer.Option(help="First level of the mask.", min=0)] = 0,
    value: Annotated[int, typer.Option(help="Value of tumour px.", min=1, max=255)] = 255,
    kind: Annotated[
        TruthKind | None,
        typer.Option(
            help="Format of ANNOTATION. [dim]\\[default: by its contents; a mask's value has to be "
            "declared][/]",
            show_default=False,
        ),
    ] = None,
    tumour_class: Annotated[
        list[str] | None,
        typer.Option(
            help="A group or class that is tumour; may be repeated.",
            metavar="NAME",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the mask.")] = False,
    json: _Json = False,
) -> None:
    """Draw an annotation as a mask: a tiled, compressed TIFF pyramid for OpenSlide and viewers.

    A px is tumour if its centre lies in a tumour outline and in no exclusion, at every level.

    [bold]Examples[/]

        wsi dataset rasterize tumor_001.xml --like tumor_001.tif -o tumor_001_mask.tiff

        wsi dataset rasterize Tumor_017.json --size 97792x221184 --level 5 -o mask.tiff

    Exit codes: 0 written, 2 wrong usage, 3 the annotation is bad, or lies outside the slide.
    """
    on = _canvas(like, size, level)
    truth = open_truth(
        annotation, kind or truth_kind(annotation), on.size, tumour=tumour_class or ()
    )
    with bar("tiles") as progress:
        tumour_px = write_mask(
            truth, output, on, value=value, overwrite=overwrite, progress=progress
        )
    first = on.levels[0]
    notes = list(getattr(truth, "notes", ()))
    if json:
        print_json(
            {
                "mask": str(output),
                "levels": [[one.size.width, one.size.height] for one in on.levels],
                "downsample": first.downsample,
                "value": value,
                "tumour_px": tumour_px,
                "notes": notes,
            }
        )
        return
    for note in notes:
        console.print(f"[dim]· {plain(note)}[/]", highlight=False, soft_wrap=True)
    Console().print(
        f"{plain(output)}  {first.size} px ({first.downsample:g}× level 0), {len(on.levels)} "
        f"levels, {tumour_px:,} px of tumour ({tumour_px / first.size.area:.3%})",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def split(
    cohort: _Cohort,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to write. [dim]\\[default: the table itself][/]",
            metavar="COHORT.csv",
            show_default=False,
        ),
    ] = None,
    validation: Annotated[
        float, typer.Option(help="Share of slides for validation.", metavar="SHARE")
    ] = 0.2,
    test: Annotated[
        float | None,
        typer.Option(
            help="Share of slides for testing. [dim]\\[default: 0.2; none where there are test "
            "slides already][/]",
            metavar="SHARE",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        Literal["patient", "centre"],
        typer.Option(help="What stays together; centre for CAMELYON17, whose patients are mixed."),
    ] = "patient",
    test_centre: Annotated[
        list[str] | None,
        typer.Option(
            "--test-centre",
            "--test-center",
            help="A centre that is only for testing; may be repeated.",
            metavar="NAME",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random split.", min=0)] = 0,
    redraw: Annotated[
        bool, typer.Option("--redraw", help="Draw training and validation slides again.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace another table that is there.")
    ] = False,
    json: _Json = False,
) -> None:
    """Divide a cohort into training, validation and test slides, by whole patients or centres.

    Labels and centres are spread evenly. Slides that are already test or excluded keep that. All
    slides of a patient are in one split.

    [bold]Examples[/]

        wsi dataset split cohort.csv

    Train in one centre; test there on other patients, and on all of another centre:

        wsi dataset split cohort.csv --test 0.25 --test-centre b

    CAMELYON17:

        wsi dataset split cohort.csv --by centre --validation 0.2 --test 0.2

    Exit codes: 0 written, 2 wrong usage, or the table cannot be read or divided so.
    """
    options = SplitOptions(
        validation=validation,
        test=test,
        by=by,
        seed=seed,
        test_centres=tuple(test_centre or ()),
        redraw=redraw,
    )
    target = output or cohort
    if target.exists() and not (overwrite or target.resolve() == cohort.resolve()):
        raise UsageError(f"{target} already exists; pass --overwrite to replace it")
    divided = split_cohort(read_cohort(cohort), options)
    write_cohort(divided, target)
    if json:
        print_json(to_json(divided))
        return
    show_counts(divided)
    say_written(target, len(divided))


@app.command()
def show(
    cohort: _Cohort,
    *,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Open every slide and compare its annotation or mask with it."
        ),
    ] = False,
    paths: Annotated[
        str | None,
        typer.Option(
            help="Print the slides of a split instead, one path per line.",
            metavar="SPLIT",
            show_default=False,
        ),
    ] = None,
    json: _Json = False,
) -> None:
    """Count a cohort's slides by split, centre and label, and name what makes it unusable.

    [bold]Examples[/]

        wsi dataset show cohort.csv

        wsi dataset show cohort.csv --check

    Analyse the test slides:

        wsi run $(wsi dataset show cohort.csv --paths test) -o results --model models/lab

    Exit codes: 0 success, 2 wrong usage or an unusable table, 3 --check found something.
    """
    table = read_cohort(cohort)
    if paths is not None:
        if paths not in get_args(Split):
            raise UsageError(f"--paths {paths!r} is none of {', '.join(get_args(Split))}")
        found = [str(slide.path) for slide in table if slide.split == paths and slide.path]
        if not found:
            raise UsageError(f"{cohort} has no slides in the split {paths}; see wsi dataset split")
        sys.stdout.write("".join(f"{path}\n" for path in found))
        return
    problems: list[str] = []
    if check:
        with bar("slides") as progress:
            problems = inspect_cohort(table, progress)
    if json:
        print_json({**to_json(table), "problems": problems if check else None})
    else:
        show_counts(table)
        if check and not problems:
            Console().print(f"[green]✓[/] {len(table)} slides and their annotations are valid")
    for problem in problems:
        console.print(f"[red]✗[/] {plain(problem)}", highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(_EXIT_BAD)


def _canvas(like: Path | None, size: str | None, level: int) -> Canvas:
    if (like is None) == (size is None):
        raise UsageError("give either the slide (--like SLIDE) or its size (--size WIDTHxHEIGHT)")
    if like is None:
        assert size is not None
        return canvas(parse_size(size), level)
    reader = open_slide(like)
    info = reader.info
    reader.close()
    return canvas(Size(info.size.width, info.size.height), level, info.levels, info.mpp)
