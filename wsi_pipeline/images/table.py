"""The table of a run: a row for each image, as Parquet for programs and CSV for people.

The Parquet file also says what it was made with, so that a later run knows which answers hold.
"""

import csv
import io
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from wsi_pipeline import durable
from wsi_pipeline.errors import ResultError
from wsi_pipeline.images.classification import Answer, Outcome
from wsi_pipeline.images.verdict import Verdict

log = logging.getLogger(__name__)

PARQUET, CSV = "images.parquet", "images.csv"
#: Features of the images, beside the table where they were wanted.
EMBEDDINGS = "embeddings.npz"
_KEY = b"wsi_pipeline"
#: Before the name of a class: the column of its probability.
PROBABILITY = "p_"
#: Between several values in a field of the CSV file.
_BETWEEN = "; "


@dataclass(frozen=True, slots=True)
class Row:
    """One image of the table.

    Attributes:
        outcome: What became of it.
        verdict: What is told of it; None where the image is bad.
        explanation: File of its explanation, relative to the table; empty if there is none.
    """

    outcome: Outcome
    verdict: Verdict | None
    explanation: str = ""


def write_tables(
    out: Path, rows: Sequence[Row], classes: Sequence[str], top: int, key: dict[str, Any]
) -> None:
    """Write both files; each is whole at any time.

    Args:
        out: The output folder.
        rows: In the order of the table.
        classes: Names of all, in the order of the probabilities.
        top: How many of the most likely classes have columns of their own.
        key: Everything that decided the answers.

    Raises:
        OSError: it cannot be written.
    """
    top = min(top, len(classes))
    flat = [_flat(row, classes, top) for row in rows]
    spread = any(row.get("spread") is not None for row in flat)
    schema = _schema(classes, top, spread=spread)
    columns = {name: [row.get(name) for row in flat] for name in schema.names}
    table = pa.table(columns, schema.with_metadata({_KEY: json.dumps(key, sort_keys=True)}))
    with durable.replacing(out / PARQUET) as draft:
        pq.write_table(table, draft)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(schema.names)
    writer.writerows([_field(row.get(name)) for name in schema.names] for row in flat)
    durable.write_text(out / CSV, text.getvalue())


def earlier_answers(out: Path, key: dict[str, Any]) -> tuple[dict[str, Answer], list[str]]:
    """The answers of the table that is there, by SHA-256, and the images it names.

    Nothing where there is no table, or none that can be read.

    Args:
        out: The output folder.
        key: Everything that decides the answers now.

    Raises:
        ResultError: the table was made with another model or runtime.
    """
    path = out / PARQUET
    if not path.exists():
        return {}, []
    try:
        table = pq.read_table(path)
        stated = json.loads((table.schema.metadata or {})[_KEY])
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        log.warning("%s cannot be read (%s); it is made again", path, " ".join(str(error).split()))
        return {}, []
    if stated != key:
        raise ResultError(
            path,
            f"was made with {_told(stated)}, not with {_told(key)}; use another -o, or "
            "--overwrite to replace it",
        )
    names = [name for name in table.schema.names if name.startswith(PROBABILITY)]
    answers = {}
    rows = table.to_pylist()
    for row in rows:
        if row["state"] == "done":
            values = tuple(row[name] for name in names)
            answers[row["sha256"]] = Answer(
                row["sha256"],
                row["width"],
                row["height"],
                values,
                tuple(row["warnings"]),
                row.get("distance"),
                row.get("distance_p"),
                row.get("unlike_training") or "",
                row.get("spread"),
            )
    return answers, [row["image"] for row in rows]


def _told(key: dict[str, Any]) -> str:
    return f"{key.get('name')} {str(key.get('model'))[:12]} on {key.get('runtime')}"


def _schema(classes: Sequence[str], top: int, *, spread: bool) -> pa.Schema:
    several = pa.list_(pa.string())
    fields: list[tuple[str, pa.DataType]] = [
        ("image", pa.string()),
        ("state", pa.string()),
        ("predicted", several),
        ("review", pa.bool_()),
        ("review_reason", pa.string()),
        ("set", several),
    ]
    for place in range(1, top + 1):
        fields += [(f"class_{place}", pa.string()), (f"probability_{place}", pa.float64())]
    fields += [(name, pa.string()) for name in ("label", "group", "source")]
    fields += [("width", pa.int32()), ("height", pa.int32())]
    fields += [(f"{PROBABILITY}{name}", pa.float64()) for name in classes]
    fields += [("distance", pa.float64()), ("distance_p", pa.float64())]
    fields += [("unlike_training", pa.string())]
    fields += [("warnings", several), ("error", pa.string()), ("explanation", pa.string())]
    fields.append(("sha256", pa.string()))
    if spread:
        fields.append(("spread", pa.float64()))
    return pa.schema(fields)


def _flat(row: Row, classes: Sequence[str], top: int) -> dict[str, Any]:
    image, answer, verdict = row.outcome.image, row.outcome.answer, row.verdict
    flat: dict[str, Any] = {
        "image": str(image.path),
        "label": image.label,
        "group": image.group,
        "source": image.source,
        "error": row.outcome.error,
        "explanation": row.explanation or None,
    }
    if answer is None or verdict is None:
        return {**flat, "state": "failed"}
    for place, index in enumerate(verdict.ranked[:top], start=1):
        flat[f"class_{place}"] = classes[index]
        flat[f"probability_{place}"] = answer.probabilities[index]
    for name, value in zip(classes, answer.probabilities, strict=True):
        flat[f"{PROBABILITY}{name}"] = value
    return {
        **flat,
        "state": "done",
        "predicted": list(verdict.called),
        "review": verdict.review,
        "review_reason": verdict.reason or None,
        "set": None if verdict.members is None else list(verdict.members),
        "width": answer.width,
        "height": answer.height,
        "distance": answer.distance,
        "distance_p": answer.p_value,
        "unlike_training": answer.unlike or None,
        "warnings": list(answer.warnings),
        "sha256": answer.sha256,
        "spread": answer.spread,
    }


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return _BETWEEN.join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    # Seven digits say a float32; what made it a double is noise.
    return f"{value:.7g}" if isinstance(value, float) else str(value)
