"""One run over fields: cells found, classified, measured, drawn, counted."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline import durable
from wsi_pipeline.cells.analysis import Analysis
from wsi_pipeline.cells.differential import Share, differential
from wsi_pipeline.cells.drawing import draw_field, png, preview
from wsi_pipeline.cells.fields import (
    FOLDER,
    MEASURED,
    Field,
    FieldRecord,
    Fields,
    keep,
    kept,
    key_of,
)
from wsi_pipeline.cells.report import report_page
from wsi_pipeline.cells.tables import (
    FieldOutcome,
    write_cells,
    write_differential,
    write_fields,
)
from wsi_pipeline.cells.truth import Truth, agreement
from wsi_pipeline.errors import ImageError
from wsi_pipeline.images.picture import decode_picture, read_content

SUMMARY, REPORT = "summary.json", "report.html"
#: Most fields that are drawn in the page: each adds some 100 kB.
_DRAWN = 60


class Observer(Protocol):
    """Told of a run."""

    def begins(self, fields: int) -> None:
        """So many fields are to be done."""
        ...

    def ended(self, outcome: FieldOutcome) -> None:
        """A field is through."""
        ...


@dataclass(frozen=True, slots=True)
class Boxes:
    """Drawn boxes to compare with.

    Attributes:
        table: Their file.
        truth: What is in it.
    """

    table: Path
    truth: Truth


def run_fields(
    fields: Fields,
    out: Path,
    analysis: Analysis,
    observer: Observer,
    *,
    boxes: Boxes | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Analyse fields into ``out``; what an earlier run finished is not done again.

    ``out/fields`` has what is known of each field (JSON) and the field drawn (PNG),
    ``out/measured`` the measured cells drawn; tables and page are written at the end.

    Args:
        fields: Which.
        out: Folder for the results; made if it is missing.
        analysis: What is done with each.
        observer: Told of what happens.
        boxes: Compared with, if given.
        overwrite: Whether what an earlier run finished counts for nothing.

    Returns:
        The contents of ``summary.json``.
    """
    out.mkdir(parents=True, exist_ok=True)
    observer.begins(len(fields.fields))
    outcomes = []
    previews: list[NDArray[np.uint8] | None] = []
    for problem in fields.problems:
        outcomes.append(FieldOutcome(problem.split(": ")[0], None, "failed", problem))
        observer.ended(outcomes[-1])
    for field in fields.fields:
        outcome = _one(field, out, analysis, overwrite=overwrite)
        outcomes.append(outcome)
        if outcome.record is not None:
            drawn = None
            if len(previews) < _DRAWN:
                with Image.open(out / FOLDER / f"{field.name}.png") as image:
                    drawn = preview(image.convert("RGB"))
            previews.append(drawn)
        observer.ended(outcome)
    records = [one.record for one in outcomes if one.record is not None]
    shares = differential(records, analysis.classes) if analysis.classes else []
    write_cells(out, records, analysis.classes, measured=analysis.measured)
    write_fields(out, outcomes)
    if shares:
        write_differential(out, shares)
    summary = _summary(outcomes, records, shares, analysis, boxes)
    durable.write_text(out / REPORT, report_page(summary, records, shares, previews))
    durable.write_text(out / SUMMARY, json.dumps(summary, indent=1, allow_nan=False) + "\n")
    return summary


def _one(field: Field, out: Path, analysis: Analysis, *, overwrite: bool) -> FieldOutcome:
    file = out / FOLDER / f"{field.name}.json"
    drawn = out / FOLDER / f"{field.name}.png"
    try:
        content = read_content(field.path)
        key = key_of(content, analysis.key)
        earlier = None if overwrite or not drawn.exists() else kept(file, key)
        if earlier is not None:
            return FieldOutcome(str(field.path), earlier, "skipped")
        picture = decode_picture(content, field.path)
        record, measured = analysis(field, picture)
        for number, image in measured.items():
            path = out / MEASURED / f"{field.name}-{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            durable.write_bytes(path, png(image))
        drawn.parent.mkdir(parents=True, exist_ok=True)
        durable.write_bytes(drawn, png(draw_field(picture.pixels, record.cells)))
        keep(file, key, record)
    except ImageError as error:
        return FieldOutcome(str(field.path), None, "failed", str(error))
    return FieldOutcome(str(field.path), record, "done")


def _summary(
    outcomes: Sequence[FieldOutcome],
    records: Sequence[FieldRecord],
    shares: Sequence[Share],
    analysis: Analysis,
    boxes: Boxes | None,
) -> dict[str, Any]:
    truth = None
    if boxes is not None:
        kinds, left_out = agreement(records, boxes.truth)
        truth = {
            "table": str(boxes.table),
            "fields": len(records) - len(left_out),
            "left_out": left_out,
            "kinds": [one.to_json() for one in kinds],
        }
    reviews = [c.review for one in records for c in one.cells if c.review is not None]
    return {
        "program": f"wsi-pipeline {metadata.version('wsi-pipeline')}",
        **{status: sum(one.status == status for one in outcomes) for status in ("done", "skipped")},
        "failed": [one.reason for one in outcomes if one.status == "failed"],
        "cells": {
            kind: sum(one.count(kind) for one in records) for kind in ("WBC", "RBC", "Platelets")
        },
        "review": sum(reviews) if reviews else None,
        "differential": [
            {"label": s.label, "count": s.count, "share": s.share, "low": s.low, "high": s.high}
            for s in shares
            if not s.field
        ],
        "truth": truth,
        "finder": analysis.finder.description,
        "model": analysis.model,
    }
