"""``wsi evaluate``: how good results are, with intervals, as numbers and as a page."""

import json as json_format
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from wsi_pipeline.cli import EXIT_BAD, EXIT_OK
from wsi_pipeline.cli.compare import compare_models
from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.display import StepDisplay
from wsi_pipeline.cohort.references import read_any_cohort
from wsi_pipeline.errors import UsageError
from wsi_pipeline.evaluation.cases import Sources, pair
from wsi_pipeline.evaluation.evaluation import Evaluation, notices
from wsi_pipeline.evaluation.evaluation import evaluate as run_evaluation
from wsi_pipeline.evaluation.report_folder import PAGE, check_folder, write_folder
from wsi_pipeline.evaluation.settings import EvaluationSettings, FrocRule, TileRule
from wsi_pipeline.evaluation.slide_names import listed

_ELSEWHERE = "Made elsewhere"
_RULES = "Rules"
_TITLES = {
    "slide_auc": "slide AUC",
    "froc": "FROC",
    "dice": "Dice",
    "iou": "IoU",
    "patch_auc": "patch AUC",
    "patch_recall": "patch recall",
    "patch_precision": "patch precision",
    "patch_accuracy": "patch accuracy",
    "majority_baseline_accuracy": "  majority baseline",
    "expected_calibration_error": "calibration error",
    "tumour_not_analysed": "tumour not analysed",
}


def evaluate(
    results: Annotated[
        list[Path] | None,
        typer.Argument(help="Result stores, or folders of them, as [bold]wsi run[/] writes."),
    ] = None,
    *,
    cohort: Annotated[
        Path,
        typer.Option(
            help="Table of slides and their truth; slide,label are enough. CAMELYON's "
            "reference.csv is taken, too."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the report.")],
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Folders of results of two models: the same slides side by side, with paired "
            "tests, in place of a report of one.",
            metavar="A B",
        ),
    ] = None,
    split: Annotated[
        Literal["train", "validation", "test", "all"] | None,
        typer.Option(
            help="Slides to evaluate. [dim]\\[default: test; all where the table has no splits][/]"
        ),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="CSV of slide, score.", rich_help_panel=_ELSEWHERE),
    ] = None,
    detections: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the challenge's files NAME.csv: probability, x, y in level-0 px. An "
            "empty file is a slide without any.",
            rich_help_panel=_ELSEWHERE,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="CSV of slide, label: negative, itc, micro or macro; for --stages.",
            rich_help_panel=_ELSEWHERE,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Score from which a cell and a slide are of the class of interest. "
            "[dim]\\[default: each result's][/]",
            rich_help_panel=_RULES,
        ),
    ] = None,
    tile_label: Annotated[
        str,
        typer.Option(
            help="When a tile is tumour: any px is, any of the [bold]central:PX[/] is, or a "
            "[bold]fraction:SHARE[/] is.",
            metavar="RULE",
            rich_help_panel=_RULES,
        ),
    ] = "central:128",
    detection_threshold: Annotated[
        float,
        typer.Option(help="Least probability of a detection, 0-1.", rich_help_panel=_RULES),
    ] = 0.5,
    detection_radius: Annotated[
        float,
        typer.Option(
            help="µm around a detection in which weaker cells are part of it.",
            rich_help_panel=_RULES,
        ),
    ] = 187.0,
    froc_mpp: Annotated[
        str,
        typer.Option(
            help="µm per level-0 px for the challenge's lengths: a number for all slides, "
            "[bold]slide[/] for each slide's own, or [bold]auto[/]: its script's 0.243 where the "
            "slide's is within 10 % of that, as the challenge's are, else the slide's own.",
            metavar="MPP",
            rich_help_panel=_RULES,
        ),
    ] = "auto",
    froc_downsample: Annotated[
        float,
        typer.Option(
            help="Level-0 px per px of the truth for FROC; 32 is the challenge's level 5.",
            rich_help_panel=_RULES,
        ),
    ] = 32.0,
    interpolation: Annotated[
        Literal["linear", "first-at-least", "last-at-most"],
        typer.Option(
            help="How sensitivity is read between points of the FROC curve.",
            rich_help_panel=_RULES,
        ),
    ] = "linear",
    stages: Annotated[
        bool,
        typer.Option(
            "--stages", help="Stage patients by CAMELYON17's rules.", rich_help_panel=_RULES
        ),
    ] = False,
    resamples: Annotated[int, typer.Option(help="Bootstrap draws of slides.", min=1)] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.", min=0)] = 1,
    gallery: Annotated[
        int, typer.Option(help="Number of errors of each kind to show.", min=0, max=100)
    ] = 12,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Slides at the same time. [dim]\\[default: one per core, at most 4][/]", min=1
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing report.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print metrics.json on standard output.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print missing and failed slides only.")
    ] = False,
) -> None:
    """Measure how good results are: slides, lesions, masks and tiles, with 95 % intervals.

    Writes [bold]OUT/report.html[/], a self-contained page, [bold]OUT/metrics.json[/]
    with every number, and [bold]OUT/detections/NAME.csv[/] in the challenge's form. Slides are
    paired by name. FROC is by CAMELYON16's rule; slides whose tumour is not fully annotated are
    left out of it.

    [bold]Examples[/]

    The held-out slides of a cohort:

        wsi evaluate results --cohort cohort.csv -o report

    Slide scores of another program; the table needs slide,label only:

        wsi evaluate --scores scores.csv --cohort labels.csv -o report

    Detections of another program, with the challenge's own constant:

        wsi evaluate --detections csv --cohort cohort.csv --froc-mpp 0.243 -o report

    Stages of CAMELYON17's patients:

        wsi evaluate results --cohort cohort.csv --stages -o report

    Two models on the same slides:

        wsi evaluate --compare results-a results-b --cohort cohort.csv -o comparison

    Exit codes: 0 success; 2 wrong usage, or a table that cannot be used: there is no report;
    3 some slide is missing or bad: there is a report of the others, which names it.
    """
    settings = EvaluationSettings(
        threshold=threshold,
        detection_threshold=detection_threshold,
        detection_radius_um=detection_radius,
        froc=FrocRule(
            downsample=froc_downsample, mpp=_froc_mpp(froc_mpp), interpolation=interpolation
        ),
        tile_rule=TileRule.parse(tile_label),
        resamples=resamples,
        seed=seed,
        stages=stages,
        pictures=gallery,
    )
    if compare is not None:
        if results or scores or detections or labels or stages:
            raise UsageError("--compare takes two folders of results, and no other source")
        compare_models(
            cohort, compare, split, settings, out, overwrite=overwrite, json=json, quiet=quiet
        )
        return
    check_folder(out, overwrite=overwrite)
    table = read_any_cohort(cohort)
    sources = Sources(tuple(results or ()), scores, detections, labels)
    pairing = pair(table, sources, split)
    if not pairing.cases:
        raise UsageError(
            f"{cohort}: there is no result, score or detection of any of its {pairing.split} slides"
        )
    with StepDisplay(quiet=quiet) as display:
        evaluation = run_evaluation(
            table, pairing, settings, workers=workers, progress=display.step
        )
        # The page draws pictures: its libraries are loaded when there is something to draw.
        from wsi_pipeline.evaluation.report.page import report_page  # noqa: PLC0415

        write_folder(
            out, evaluation, report_page(evaluation, settings, display.step), overwrite=overwrite
        )
    if json:
        sys.stdout.write(json_format.dumps(evaluation.metrics, allow_nan=False) + "\n")
    _say(evaluation, out, quiet=quiet)
    raise typer.Exit(EXIT_OK if evaluation.complete else EXIT_BAD)


def _froc_mpp(text: str) -> float | Literal["auto", "slide"]:
    if text == "auto":
        return "auto"
    if text == "slide":
        return "slide"
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--froc-mpp {text!r}: write a number, auto or slide") from None


def _say(evaluation: Evaluation, out: Path, *, quiet: bool) -> None:
    """The headline, and what is missing; of a quiet command only what is missing."""
    metrics = evaluation.metrics
    if not quiet:
        _say_headline(metrics)
    for kind, names in metrics["missing"].items():
        if names:
            console.print(
                f"[yellow]! without {kind}, so not in the figures: {escape(listed(names, 20))}[/]",
                soft_wrap=True,
                highlight=False,
            )
    for name, why in metrics["failed"].items():
        console.print(f"[red]✗[/] {escape(f'{name}: {why}')}", soft_wrap=True, highlight=False)
    if quiet:
        return
    if metrics["synthetic"]:
        console.print("[yellow]! synthetic: these figures say nothing about real slides[/]")
    for words in notices(metrics):
        console.print(Text(f"! {words}", "yellow"), soft_wrap=True)
    count = metrics["cohort"]["slides"]
    console.print(f"{count} slides. Report: {out / PAGE}", soft_wrap=True, highlight=False)


def _say_headline(metrics: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for key, title in _TITLES.items():
        one = metrics["headline"][key]
        value = one["value"] if isinstance(one, dict) else one
        if value is None:
            continue
        interval = ""
        if isinstance(one, dict) and one["low"] is not None:
            interval = f"95 % {one['low']:.4f}–{one['high']:.4f}"
        table.add_row(title.replace("tumour", metrics["positive"]), f"{value:.4f}", interval)
    if metrics["stages"] is not None and metrics["stages"]["kappa"]["value"] is not None:
        kappa = metrics["stages"]["kappa"]
        table.add_row(
            "stages, kappa", f"{kappa['value']:.4f}", f"95 % {kappa['low']:.4f}–{kappa['high']:.4f}"
        )
    console.print(table, highlight=False)
    if metrics["classes"] is not None:
        console.print(_classes_table(metrics["classes"]), highlight=False)


def _classes_table(level: dict[str, Any]) -> Table:
    """The figures of every class."""
    table = Table(box=None, pad_edge=False)
    table.add_column("class", style="bold")
    for name in ("cells", "Dice", "IoU", "AUC"):
        table.add_column(name, justify="right")
    for one in level["classes"]:
        values = (one["dice"]["pooled"], one["iou"]["pooled"], one["auc"])
        shown = ["–" if it["value"] is None else f"{it['value']:.4f}" for it in values]
        interest = " (of interest)" if one["name"] == level["positive"] else ""
        table.add_row(Text(one["name"] + interest), f"{one['cells']:,}", *shown)
    return table
