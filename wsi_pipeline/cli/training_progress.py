"""A training on the terminal: a bar for what is done now, lines for what was found."""

import sys
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from wsi_pipeline.cli.display import BAR_WIDTH, Display


class TrainingDisplay(Display):
    """Shows a training; is its :class:`~wsi_pipeline.training.run.Observer`.

    Args:
        quiet: Say nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(BAR_WIDTH),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(compact=True),
            quiet=quiet,
        )

    def stage(self, name: str, total: int | None = None, done: int = 0) -> None:
        """A new bar in place of the last."""
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._progress.add_task(name, total=total, completed=done, note="")

    def advanced(self, parts: int, note: str = "") -> None:
        """Move the bar."""
        for task in self._progress.task_ids:
            more = {"note": note} if note else {}
            self._progress.update(task, advance=parts, **more)  # type: ignore[arg-type]  # fields of our own

    def says(self, line: str) -> None:
        """A line that stays."""
        if not self._quiet:
            self._progress.console.print(line, highlight=False, soft_wrap=True, markup=False)


def print_report(report: dict[str, Any]) -> None:
    """The figures a person wants first, on standard output."""
    lines = [] if "folds" in report else [f"{report['package']}"]
    if "folds" in report:
        lines.append(f"{report['folds']} folds, by patient; mean (standard deviation)")
        for name, figure in report["validation"].items():
            lines.append(
                f"  {name.replace('_', ' '):<20}{_number(figure['mean'])} ({_number(figure['sd'])})"
            )
    else:
        for part in ("validation", "test"):
            if report[part] is not None:
                lines += _figures(part, report[part])
        calibration, threshold = report["calibration"], report["threshold"]
        lines.append(
            f"  temperature {calibration['temperature']:g}, expected calibration error "
            f"{_number(calibration['before']['ece'])} before, "
            f"{_number(calibration['after']['ece'])} after"
        )
        lines.append(f"  threshold {threshold['value']:g} ({threshold['rule']})")
    if report["synthetic"]:
        lines.append("  trained on synthetic tissue: this says nothing about real tissue")
    sys.stdout.write("\n".join(lines) + "\n")


def _figures(part: str, figures: dict[str, Any]) -> list[str]:
    baseline = figures["majority_baseline"]
    lines = [
        f"  {part}: {figures['patches']:,} patches of {figures['units']:,} slides or images, "
        f"{figures['tumour']:,} positive"
    ]
    for name in ("auc", "accuracy", "recall", "specificity"):
        figure = figures[name]
        beside = f"; majority baseline {baseline[name]:.3f}" if name in baseline else ""
        interval = "too few for an interval"
        if figure["low"] is not None:
            interval = f"95 % {_number(figure['low'])} to {_number(figure['high'])}"
        lines.append(f"    {name:<12}{_number(figure['value'])} ({interval}{beside})")
    return lines


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
