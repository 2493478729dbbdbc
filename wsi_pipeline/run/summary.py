"""The table of a run: what became of each slide, as CSV for people and JSON for machines."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from wsi_pipeline import durable
from wsi_pipeline.stitch.result import Result

Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one slide.

    Attributes:
        slide: As found.
        status: ``done``, ``skipped`` (a valid result was there) or ``failed``.
        reason: Why it failed; empty otherwise.
        result: The result store, relative to the output folder.
        slide_score: Of a package with a fitted answer the slide's probability, else the largest
            cell probability of the positive class, 0-1.
        tumour_area_mm2: Area called positive, which is tumour for a tumour model.
        tumour_percent: Share of the classified area called positive.
        tiles: Tiles classified.
        resumed_tiles: How many of them an earlier, interrupted run had finished.
        reads_saved: Full-resolution reads the tissue overview made unnecessary.
        glass: Cells below the tissue rule.
        empty: Cells not scanned.
        unreadable: Cells of tissue that could not be decoded.
        rejected: Cells of tissue that quality control left out.
        marked_percent: Share of the tissue that quality control marks.
        quality: The reasons, with the number of tiles of each.
        seconds: Time spent on the slide in this run.
        alarms: Codes of the result's alarms, separated by semicolons.
        warnings: What a person should look at, in words, separated by semicolons.
        positive: The class that score, area and percentage are of.
        notice: What everybody must know of the model, if there is anything.
        spread: Mean over the tiles of how far the eight orientations' answers are apart; None
            where there was one.
        slide_state: ``clear``, ``suspicious`` or ``look-again``.
        slide_low: Lower end of the 95 % interval of a fitted probability.
        slide_high: Upper end of it.
        slide_method: What gave the score: ``max``, or the kind of the package's fit.
        screened: Tiles that the model's screen alone has seen; None where it was not used.
        files: What became of files that were wanted beside the result, in words.
    """

    slide: str
    status: Status
    reason: str = ""
    result: str = ""
    slide_score: float | None = None
    tumour_area_mm2: float | None = None
    tumour_percent: float | None = None
    tiles: int | None = None
    resumed_tiles: int | None = None
    reads_saved: int | None = None
    glass: int | None = None
    empty: int | None = None
    unreadable: int | None = None
    rejected: int | None = None
    marked_percent: float | None = None
    quality: str = ""
    seconds: float | None = None
    alarms: str = ""
    warnings: str = ""
    positive: str = "tumour"
    notice: str = ""
    spread: float | None = None
    slide_state: str = ""
    slide_low: float | None = None
    slide_high: float | None = None
    slide_method: str = ""
    screened: int | None = None
    files: str = ""


def outcome_of(slide: Path, result: Result, out: Path, status: Status, seconds: float) -> Outcome:
    """The row of a slide that has a result."""
    record, answer = result.record, result.record.slide_answer
    quality = record.quality
    return Outcome(
        slide=str(slide),
        status=status,
        result=str(result.path.relative_to(out)),
        slide_score=record.slide_score,
        tumour_area_mm2=record.tumour_area_mm2 if record.classes.members else None,
        tumour_percent=record.tumour_percent,
        tiles=record.tiles,
        resumed_tiles=record.timings.resumed_tiles if status == "done" else None,
        reads_saved=record.tissue.full_resolution_reads_saved,
        glass=record.counts.glass,
        empty=record.counts.empty,
        unreadable=record.counts.unreadable,
        rejected=record.counts.rejected,
        marked_percent=None if quality is None else round(100 * quality.share, 2),
        quality="" if quality is None else reasons_text(quality.reasons),
        seconds=round(seconds, 2),
        alarms="; ".join(alarm.code for alarm in record.alarms),
        warnings="; ".join((*(alarm.message for alarm in record.alarms), *record.warnings)),
        positive=record.classes.positive,
        notice=record.model.notice,
        spread=None if record.spread is None else record.spread.mean,
        slide_state="" if answer is None else answer.state,
        slide_low=None if answer is None else answer.low,
        slide_high=None if answer is None else answer.high,
        slide_method="" if answer is None else answer.method,
        screened=None if record.screen is None or record.screen.reason else record.screen.screened,
    )


def reasons_text(reasons: Mapping[str, int]) -> str:
    """Reasons that some tile has, with the number of tiles: ``pen 12; fold 3``."""
    return "; ".join(f"{key} {tiles}" for key, tiles in reasons.items() if tiles)


def write_summary(out: Path, outcomes: Sequence[Outcome], ignored: Sequence[Path]) -> None:
    """Write ``summary.csv`` and ``summary.json``, sorted by slide; each is whole at any time.

    Slides of earlier runs into the same folder stay in the table while their results are there.
    """
    rows = {outcome.slide: outcome for outcome in (*_earlier(out), *outcomes)}
    outcomes = [rows[slide] for slide in sorted(rows)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(Outcome)])
    writer.writeheader()
    writer.writerows(asdict(outcome) for outcome in outcomes)
    durable.write_text(out / "summary.csv", text.getvalue())
    durable.write_text(
        out / "summary.json", json.dumps(summary_json(outcomes, ignored), indent=1) + "\n"
    )


def _earlier(out: Path) -> list[Outcome]:
    """Rows of the table that is there whose results still are."""
    try:
        rows = json.loads((out / "summary.json").read_text(encoding="utf-8"))["slides"]
        known = [Outcome(**row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [row for row in known if row.result and (out / row.result).exists()]


def summary_json(outcomes: Sequence[Outcome], ignored: Sequence[Path]) -> dict[str, object]:
    """The run as plain JSON values."""
    counts = {
        status: sum(o.status == status for o in outcomes)
        for status in ("done", "skipped", "failed")
    }
    return {
        **counts,
        "slides": [asdict(outcome) for outcome in outcomes],
        "ignored": [str(path) for path in ignored],
    }
