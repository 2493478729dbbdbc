"""``wsi evaluate --compare``: two models on the same slides."""

import json as json_format
import sys
from pathlib import Path
from typing import Any

from rich.table import Table

from wsi_pipeline import durable
from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.display import StepDisplay
from wsi_pipeline.cohort.references import read_any_cohort
from wsi_pipeline.errors import UsageError
from wsi_pipeline.evaluation.cases import SplitChoice
from wsi_pipeline.evaluation.comparison import compare
from wsi_pipeline.evaluation.report.comparison import comparison_page
from wsi_pipeline.evaluation.settings import EvaluationSettings
from wsi_pipeline.evaluation.slide_names import listed

PAGE, NUMBERS = "comparison.html", "comparison.json"


def compare_models(
    cohort: Path,
    paths: tuple[Path, Path],
    split: SplitChoice | None,
    settings: EvaluationSettings,
    out: Path,
    *,
    overwrite: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Compare, and write ``comparison.html`` and ``comparison.json`` into the folder.

    Raises:
        UsageError: a comparison is there and may not be replaced, or nothing can be compared.
    """
    for name in (PAGE, NUMBERS):
        if (out / name).exists() and not overwrite:
            raise UsageError(f"{out / name} already exists; pass --overwrite to replace it")
    table = read_any_cohort(cohort)
    with StepDisplay(quiet=quiet) as display:
        comparison = compare(table, paths, split, settings, progress=display.step)
    out.mkdir(parents=True, exist_ok=True)
    numbers = json_format.dumps(comparison, indent=1, ensure_ascii=False, allow_nan=False)
    durable.write_text(out / PAGE, comparison_page(comparison))
    durable.write_text(out / NUMBERS, numbers + "\n")
    if json:
        sys.stdout.write(json_format.dumps(comparison, allow_nan=False) + "\n")
    if not quiet:
        _say(comparison, out)


def _say(comparison: dict[str, Any], out: Path) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("", style="bold")
    for name in ("A", "B", "B less A", "95 %", "p"):
        table.add_column(name, justify="right")
    table.add_column("", style="dim")
    for one in comparison["figures"]:
        difference, p = one["difference"], one["p"]
        interval = ""
        if difference["low"] is not None:
            interval = f"{difference['low']:+.3f} to {difference['high']:+.3f}"
        table.add_row(
            one["title"],
            *(_number(one[key]["value"], ".3f") for key in ("a", "b")),
            _number(difference["value"], "+.3f"),
            interval,
            _number(p, ".2g"),
            one["test"],
        )
    console.print(table, highlight=False)
    for key, name in (("a", "A"), ("b", "B")):
        if comparison["only"][key]:
            words = listed(comparison["only"][key], 20)
            console.print(f"! only in {name}, so not compared: {words}", style="yellow")
        for slide, why in comparison["failed"][key].items():
            console.print(f"✗ {name}: {slide}: {why}", style="red", markup=False)
    console.print(f"{len(comparison['slides'])} slides. Report: {out / PAGE}", highlight=False)


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}"
