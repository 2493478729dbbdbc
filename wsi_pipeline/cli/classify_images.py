"""What ``wsi classify`` does once it knows the model: the images, the table, the last lines.

Apart from the command itself because importing all this takes as long as loading the model, and
both can happen at once.
"""

import json as json_format
import sys
from pathlib import Path
from typing import Any

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from wsi_pipeline.cli import EXIT_BAD, EXIT_OK
from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.display import BAR_WIDTH, Display
from wsi_pipeline.images.collection import read_collection
from wsi_pipeline.images.familiarity import unlike_in_words
from wsi_pipeline.images.run import ImageSettings, run_images
from wsi_pipeline.images.table import CSV
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.page.markup import counted


class ImagesDisplay(Display):
    """Shows a run over images; is its :class:`~wsi_pipeline.images.run.Observer`.

    Args:
        quiet: Say nothing but what failed.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(BAR_WIDTH),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            quiet=quiet,
        )

    def stage(self, name: str, total: int) -> None:
        """A new bar in place of the last."""
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._progress.add_task(name, total=total)

    def advanced(self, parts: int) -> None:
        """Move the bar."""
        for task in self._progress.task_ids:
            self._progress.advance(task, parts)

    def failed(self, error: str) -> None:
        """A line that stays."""
        self._progress.console.print(Text.assemble(("✗ ", "red"), error), soft_wrap=True)


def classify_images(
    images: Path,
    out: Path,
    package: ModelPackage,
    request: RuntimeRequest,
    settings: ImageSettings,
    *,
    labels: Path | None,
    json: bool,
    quiet: bool,
) -> None:
    """Classify ``images`` into ``out`` and exit with the command's code.

    Raises:
        CohortError: there is no image.
        PackageError: the model cannot be used here.
        ResultError: ``out`` holds other results.
    """
    collection = read_collection(images, labels=labels, skip_bad=True)
    with ImagesDisplay(quiet=quiet) as display:
        summary = run_images(collection, out, package, request, settings, display)
    if json:
        sys.stdout.write(json_format.dumps(summary) + "\n")
    if not quiet:
        _tell(summary, out)
    raise typer.Exit(EXIT_BAD if summary["failed"] or summary["problems"] else EXIT_OK)


def _tell(summary: dict[str, Any], out: Path) -> None:
    counts = [f"{summary['done']:,} done"]
    if summary["reused"]:
        counts[0] += f" ({summary['reused']:,} earlier)"
    if summary["failed"]:
        counts.append(f"{len(summary['failed']):,} failed")
    if summary["problems"]:
        counts.append(f"{counted(len(summary['problems']), 'row')} left out")
    review = summary["review"]
    if review is None:
        counts.append(f"no review: {summary['review_unavailable']}")
    else:
        counts.append(f"{review:,} to look at again (sets of coverage {summary['coverage']:.0%})")
    lines = [f"{', '.join(counts)}. Table: {out / CSV}"]
    if summary["spread"] is not None:
        lines.append(f"mean spread over eight orientations: {summary['spread']:.3f}")
    evaluation = summary["evaluation"]
    if evaluation is not None:
        lines += _figures(evaluation)
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    model = summary["model"]
    if model["notice"]:
        words = f"! {model['name']} {model['version']}: {model['notice']}"
        console.print(Text(words, "yellow"), soft_wrap=True)
    if not model["made_for_images"]:
        words = f"! {model['name']} was made for patches of slides, not for single images"
        console.print(Text(words, "yellow"), soft_wrap=True)
    unlike = summary.get("unlike_training")
    if unlike is not None and unlike["unlike"]:
        words = unlike_in_words(unlike["unlike"], unlike["compared"])
        console.print(Text(f"! {words}", "yellow"), soft_wrap=True)
    if summary["seen"] and summary["seen"]["told"]:
        console.print(Text(f"! {summary['seen']['told']}", "yellow"), soft_wrap=True)


def _figures(evaluation: dict[str, Any]) -> list[str]:
    lines = []
    if evaluation["unknown_labels"]:
        named = ", ".join(f"{name} ({n:,})" for name, n in evaluation["unknown_labels"].items())
        lines.append(f"labels that the model does not know, in no figure: {named}")
    if evaluation["all"] is None:
        return lines
    for name, one in {"all": evaluation["all"], **evaluation["sources"]}.items():
        baseline = one["baseline"]
        beside = f"; always {baseline['class']}: {baseline['accuracy']:.3f}" if baseline else ""
        lines.append(
            f"  {name}: {counted(one['images'], 'image')}, accuracy "
            f"{_interval(one['accuracy'])}{beside}; macro F1 {_interval(one['macro']['f1'])}"
        )
    return lines


def _interval(figure: dict[str, float | None]) -> str:
    if figure["value"] is None:
        return "–"
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
