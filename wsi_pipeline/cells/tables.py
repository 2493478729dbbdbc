"""The tables of a run: a row for each cell, each field, and each kind of white cell."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from wsi_pipeline import durable
from wsi_pipeline.cells.differential import Share
from wsi_pipeline.cells.fields import CellRecord, FieldRecord
from wsi_pipeline.cells.measurements import SHAPES, mean_areas

CELLS, CELLS_CSV, FIELDS, DIFFERENTIAL = (
    "cells.parquet",
    "cells.csv",
    "fields.csv",
    "differential.csv",
)
#: Before the name of a class: the column of its probability.
PROBABILITY = "p_"
#: Area over the mean area of whole cells of its class in this run.
SIZE = "area_to_class_mean"
_BETWEEN = "; "


@dataclass(frozen=True, slots=True)
class FieldOutcome:
    """What became of one field.

    Attributes:
        path: Its file.
        record: What is known of it; None where it is bad.
        status: ``done``, ``skipped`` (kept from an earlier run) or ``failed``.
        reason: Why it failed; empty otherwise.
    """

    path: str
    record: FieldRecord | None
    status: str
    reason: str = ""


def write_cells(
    out: Path, fields: Sequence[FieldRecord], classes: Sequence[str], *, measured: bool
) -> None:
    """Write ``cells.parquet`` and ``cells.csv``.

    Args:
        out: The output folder.
        fields: In the order of the table.
        classes: Of the model; none without one.
        measured: Whether there are columns of measurements.
    """
    schema = _schema(classes, measured=measured)
    means = mean_areas([(c.label, c.shape[SHAPES[0]]) for c in _whole(fields)]) if measured else {}
    rows = [
        _row(one, cell, classes, means, measured=measured) for one in fields for cell in one.cells
    ]
    with durable.replacing(out / CELLS) as draft:
        pq.write_table(pa.Table.from_pylist(rows, schema), draft)
    write_csv(
        out / CELLS_CSV,
        schema.names,
        [[_text(row.get(name)) for name in schema.names] for row in rows],
    )


def write_fields(out: Path, outcomes: Sequence[FieldOutcome]) -> None:
    """Write ``fields.csv``: also the fields that failed, with the reason."""
    rows: list[list[Any]] = []
    for one in outcomes:
        record = one.record
        row: list[Any] = [one.path, one.status, one.reason]
        if record is None:
            rows.append([*row, *[""] * 10])
            continue
        counts = [record.count(kind) for kind in ("WBC", "RBC", "Platelets")]
        cut = sum(cell.cut for cell in record.cells)
        reviews = [cell.review for cell in record.cells if cell.review is not None]
        review = sum(reviews) if reviews else ""
        row += [record.name, record.width, record.height, record.red_cell_px, *counts, cut, review]
        rows.append([*row, _BETWEEN.join(record.warnings)])
    heads = ["field", "status", "reason", "name", "width", "height", "red_cell_px"]
    heads += ["wbc", "rbc", "platelets", "cut", "review", "warnings"]
    write_csv(out / FIELDS, heads, rows)


def write_differential(out: Path, shares: Sequence[Share]) -> None:
    """Write ``differential.csv``: all fields together first, their field is empty."""
    heads = ["field", "label", "count", "total", "share", "low", "high"]
    rows = [
        [one.field, one.label, one.count, one.total, *map(_text, (one.share, one.low, one.high))]
        for one in shares
    ]
    write_csv(out / DIFFERENTIAL, heads, rows)


def write_csv(path: Path, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A CSV file, whole at any time."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(heads)
    writer.writerows(rows)
    durable.write_text(path, text.getvalue())


def _schema(classes: Sequence[str], *, measured: bool) -> pa.Schema:
    columns = [
        ("field", pa.string()),
        ("cell", pa.int32()),
        ("kind", pa.string()),
        *((name, pa.float32()) for name in ("xmin", "ymin", "xmax", "ymax")),
        ("cut", pa.bool_()),
    ]
    if classes:
        columns += [("label", pa.string()), ("probability", pa.float32())]
        columns += [("set", pa.list_(pa.string())), ("review", pa.bool_())]
        columns += [(PROBABILITY + name, pa.float32()) for name in classes]
    if measured:
        columns += [(name, pa.float32()) for name in (*SHAPES, SIZE)]
    return pa.schema(columns)


def _row(
    one: FieldRecord,
    cell: CellRecord,
    classes: Sequence[str],
    means: dict[str, float],
    *,
    measured: bool,
) -> dict[str, Any]:
    box = cell.box
    row: dict[str, Any] = {"field": one.path, "cell": cell.number, "kind": cell.kind}
    row |= {"xmin": box.xmin, "ymin": box.ymin, "xmax": box.xmax, "ymax": box.ymax}
    row["cut"] = cell.cut
    if cell.probabilities:
        named = dict(zip(classes, cell.probabilities, strict=True))
        row |= {"label": cell.label, "probability": named[cell.label]}
        row |= {"set": None if cell.members is None else list(cell.members)}
        row |= {"review": cell.review}
        row |= {PROBABILITY + name: value for name, value in named.items()}
    if measured and cell.shape:
        row |= cell.shape
        mean = means.get(cell.label)
        row[SIZE] = cell.shape[SHAPES[0]] / mean if mean else None
    return row


def _whole(fields: Sequence[FieldRecord]) -> list[CellRecord]:
    return [cell for one in fields for cell in one.cells if cell.shape and not cell.cut]


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return _BETWEEN.join(value)
    return "" if value is None else value
