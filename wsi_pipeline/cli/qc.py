"""``wsi qc``: the quality of slides before anything else, as a table and a contact sheet."""

import hashlib
import io
import json as json_format
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from wsi_pipeline import durable
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.cli import EXIT_BAD, EXIT_OK
from wsi_pipeline.cli.analysis_options import QcLimitOption, SlideMppOption
from wsi_pipeline.cli.console import console
from wsi_pipeline.errors import WsiError
from wsi_pipeline.quality.assessment import METHOD, thresholds
from wsi_pipeline.quality.sheet import SHEET, TABLE, write_sheet, write_tables
from wsi_pipeline.quality.survey import SlideQuality, survey
from wsi_pipeline.run.checked_slide import check_slide
from wsi_pipeline.run.inputs import Entry, expand
from wsi_pipeline.slide.files import slide_files
from wsi_pipeline.slide.probe import Prober

log = logging.getLogger(__name__)

#: Rows and pictures of single slides, which a run that is started again does not make again.
_KEPT = ".slides"


def qc(
    slides: Annotated[
        list[str],
        typer.Argument(help="Slide files, folders (with subfolders) or glob patterns."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for table and contact sheet.")],
    slide_mpp: SlideMppOption = None,
    qc_limit: QcLimitOption = 0.5,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Look again at slides that were looked at.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the table as JSON on standard output.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print failed slides only, and no progress.")
    ] = False,
) -> None:
    """Look over slides before anything else: pen, folds, blur, bubbles, gaps, focus.

    No model is needed. [bold]OUT/quality.csv[/] and [bold]quality.json[/] have one row per slide:
    the share of its tissue that each fault covers (0-1), its focus, its resolution and a verdict,
    or the reason why it cannot be read. [bold]OUT/quality.html[/] shows every slide with its
    marked tiles, the worst first; the page needs no other file.

    Verdicts: [bold]good[/], at most 5 % of the tissue is marked; [bold]look[/], more;
    [bold]poor[/], more than --qc-limit; no tissue; unknown, nothing could be looked at; failed.
    Focus is log2 of the energy of detail at 1 µm over that at 4 µm: sharp slides have -2 and more,
    blurred ones -3 and less.

    Started again, an interrupted run continues. A slide that fails costs one row.

    [bold]Examples[/]

    An archive, before a model sees it:

        wsi qc /slides -o quality

    Slides whose files state no resolution:

        wsi qc 'old/*.tiff' -o quality --slide-mpp 0.25

    Then leave the marked tiles out of an analysis:

        wsi run /slides -o results --qc reject

    Exit codes: 0 success, 3 some slide failed, 2 wrong usage.
    """
    inputs = expand(slides)
    kept = out / _KEPT
    kept.mkdir(parents=True, exist_ok=True)
    rows = [_failed(path, why) for path, why in inputs.problems]
    pictures: dict[str, bytes] = {}
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet,
    )
    with Prober() as prober, bar:
        task = bar.add_task("slides", total=len(inputs.slides))
        for entry in inputs.slides:
            bar.update(task, description=entry.path.name)
            key = _key(entry, qc_limit, slide_mpp)
            file = kept / hashlib.sha256(str(entry.path.resolve()).encode()).hexdigest()[:24]
            row, picture = (None, None) if overwrite else _earlier(file, key)
            if row is None:
                row, picture = _look(entry.path, prober, qc_limit, slide_mpp)
                _keep(file, key, row, picture)
            rows.append(row)
            if picture is not None:
                pictures[row.slide] = picture
            if row.verdict == "failed":
                console.print(f"[red]failed[/] {row.slide}: {row.reason}", highlight=False)
            write_tables(out, rows)
            bar.advance(task)
    write_tables(out, rows)
    write_sheet(out, rows, pictures)
    if json:
        told = {"slides": [row.to_json() for row in rows]}
        sys.stdout.write(json_format.dumps(told) + "\n")
    elif not quiet:
        verdicts = sorted({row.verdict for row in rows})
        counts = ", ".join(f"{sum(row.verdict == one for row in rows)} {one}" for one in verdicts)
        console.print(
            f"{len(rows)} slides: {counts}. {out / TABLE}, {out / SHEET}", highlight=False
        )
    raise typer.Exit(EXIT_BAD if any(row.verdict == "failed" for row in rows) else EXIT_OK)


def _look(
    path: Path, prober: Prober, limit: float, override: float | None
) -> tuple[SlideQuality, bytes | None]:
    """A slide's row and picture; what is wrong with it becomes its row."""
    try:
        checked = check_slide(path, None, AnalysisSettings(slide_mpp=override), prober=prober)
        try:
            row, marks = survey(
                path,
                checked.reader,
                limit=limit,
                override=override,
                notes=checked.warnings,
                threads=len(os.sched_getaffinity(0)),
            )
        finally:
            checked.reader.close()
    except WsiError as error:
        return _failed(path, getattr(error, "cause", str(error))), None
    except OSError as error:
        return _failed(path, str(error)), None
    except Exception as error:  # one bad slide never stops the others
        log.exception("unexpected failure on %s", path)
        return _failed(path, f"unexpected {type(error).__name__}: {error}"), None
    if marks is None:
        return row, None
    stream = io.BytesIO()
    Image.fromarray(marks).save(stream, "JPEG", quality=80)
    return row, stream.getvalue()


def _failed(path: Path, why: str) -> SlideQuality:
    return SlideQuality(str(path), "failed", " ".join(str(why).split()))


def _key(entry: Entry, limit: float, override: float | None) -> str:
    """What a row depends on: the slide's files, the settings, the detectors."""
    files = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in _files(entry.path)]
    told = [files, limit, override, METHOD, thresholds()]
    return hashlib.sha256(json_format.dumps(told).encode()).hexdigest()


def _files(path: Path) -> list[Path]:
    try:
        return [file for file in slide_files(path) if file.exists()]
    except (WsiError, OSError):
        return []


def _earlier(file: Path, key: str) -> tuple[SlideQuality | None, bytes | None]:
    """What an earlier run found, if it was the same."""
    try:
        told: dict[str, Any] = json_format.loads(file.with_suffix(".json").read_text("utf-8"))
        if told["key"] != key or told["row"]["verdict"] == "failed":
            return None, None
        row = SlideQuality.from_json(told["row"])
        picture = file.with_suffix(".jpg")
        return row, picture.read_bytes() if told["picture"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None, None


def _keep(file: Path, key: str, row: SlideQuality, picture: bytes | None) -> None:
    if picture is not None:
        durable.write_bytes(file.with_suffix(".jpg"), picture)
    told = {"key": key, "row": row.to_json(), "picture": picture is not None}
    durable.write_text(file.with_suffix(".json"), json_format.dumps(told))
