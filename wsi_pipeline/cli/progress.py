"""Progress on the terminal: a live bar per slide and for the run; lines where nobody watches."""

import threading
import time

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from wsi_pipeline.cli.display import BAR_WIDTH, Display
from wsi_pipeline.run.inputs import Entry
from wsi_pipeline.run.summary import Outcome
from wsi_pipeline.tiles.plan import Plan


class _Figures(ProgressColumn):
    """Tiles per second and bytes read of a slide."""

    def render(self, task: Task) -> Text:
        rate, read = task.fields.get("rate"), task.fields.get("read", 0)
        if rate is None:
            return Text("")
        return Text(f"{rate:,.0f} tiles/s  {read / 1e6:,.0f} MB read", style="progress.data.speed")


class RunDisplay(Display):
    """Shows a run; is its :class:`~wsi_pipeline.batch.BatchObserver`.

    Args:
        slides: How many there are.
        quiet: Say nothing but what failed.
    """

    def __init__(self, slides: int, *, quiet: bool = False) -> None:
        super().__init__(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(BAR_WIDTH),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
            _Figures(),
            TimeRemainingColumn(compact=True),
            quiet=quiet,
        )
        self._run = (
            self._progress.add_task(f"{slides:,} slides", total=slides, note="")
            if slides > 1
            else None
        )
        self._slides: dict[str, TaskID] = {}

    def begins(self, entry: Entry) -> "SlideDisplay":
        """A slide's turn has come."""
        task = self._progress.add_task(entry.name.name, total=None, note="", read=0)
        self._slides[str(entry.path)] = task
        return SlideDisplay(self._progress, task)

    def ended(self, outcome: Outcome) -> None:
        """A slide is through: one line for it, and its bar goes."""
        task = self._slides.pop(outcome.slide, None)
        if task is not None:
            self._progress.remove_task(task)
        if self._run is not None:
            self._progress.advance(self._run)
        if not self._quiet or outcome.status == "failed":
            self._progress.console.print(_line(outcome), soft_wrap=True)


class SlideDisplay:
    """One slide's bar; is its :class:`~wsi_pipeline.run.observer.Observer`."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task
        self._began = time.perf_counter()
        self._done = self._read = 0
        self._lock = threading.Lock()

    def stage(self, name: str) -> None:
        """Name the stage."""
        self._progress.update(self._task, note=name)

    def planned(self, plan: Plan, resumed_tiles: int) -> None:
        """Set the bar's length."""
        self._began = time.perf_counter()
        note = f"{resumed_tiles:,} tiles done earlier" if resumed_tiles else ""
        self._progress.update(self._task, total=len(plan), completed=resumed_tiles, note=note)

    def advanced(self, tiles: int, bytes_read: int) -> None:
        """Move the bar."""
        with self._lock:
            self._done += tiles
            self._read += bytes_read
            rate = self._done / max(time.perf_counter() - self._began, 1e-6)
            self._progress.update(self._task, advance=tiles, rate=rate, read=self._read)


def _found(outcome: Outcome) -> str:
    """Score and area, with a comma behind.

    Of an encoder, which has no classes, there is no area, and a score only of an answer for slides.
    """
    if not outcome.positive and outcome.slide_score is None:
        return ""
    score = "–" if outcome.slide_score is None else f"{outcome.slide_score:.3f}"
    if outcome.slide_low is not None:
        state = outcome.slide_state.replace("-", " ")
        score += f" ({outcome.slide_low:.3f}–{outcome.slide_high:.3f}), {state}"
    area = f"{outcome.positive} {outcome.tumour_area_mm2 or 0.0:.2f} mm², "
    return f"score {score}, {area if outcome.positive else ''}"


def _line(outcome: Outcome) -> Text:
    mark = {"done": ("✓", "green"), "skipped": ("·", "dim"), "failed": ("✗", "red")}
    sign, style = mark[outcome.status]
    line = Text.assemble((f"{sign} ", style))
    if outcome.status == "failed":
        # The reason begins with the file's name.
        return line.append(outcome.reason)
    line.append(f"{outcome.slide}: {_found(outcome)}{outcome.tiles:,} tiles")
    files = f"; {outcome.files}" if outcome.files else ""
    if outcome.status == "skipped":
        line.append(f" (a valid result exists{files})", style="dim")
    else:
        line.append(
            f" in {outcome.seconds:.1f} s, {outcome.reads_saved:,} full-resolution reads saved"
        )
        if outcome.resumed_tiles:
            line.append(f", {outcome.resumed_tiles:,} tiles from an earlier run")
        line.append(files)
    if outcome.warnings:
        line.append(f"\n  ! {outcome.warnings}", style="yellow")
    return line
