"""Small CSV tables other programs write: per slide a score, or a label."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from wsi_pipeline.cohort.table import Label
from wsi_pipeline.errors import CohortError
from wsi_pipeline.evaluation.slide_names import slide_key, slide_name

_SLIDE = (
    "slide", "name", "image", "file", "filename", "slide_name", "slide_id", "image_name",
    "image_id", "id", "case", "wsi",
)  # fmt: skip
_SCORE = (
    "score", "probability", "prob", "slide_score", "p", "prediction", "pred", "tumour_probability",
    "tumor_probability", "p_tumour", "p_tumor", "confidence", "tumour", "tumor", "value", "output",
)  # fmt: skip
_LABEL = ("label", "stage", "class", "prediction", "pred", "type", "kind")
_LABELS: dict[str, Label] = {"negative": "normal", "itcs": "itc", "tumor": "tumour"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A row: a slide's name, as :func:`slide_key` has it and as it is written, and its value."""

    key: str
    name: str
    value: str
    line: int


def read_scores(path: Path) -> dict[str, tuple[str, float]]:
    """Read one score per slide.

    The header may be missing or spell its columns in many ways; names may carry folders and the
    endings of slide files. The columns ``slide`` and ``slide_score`` of `wsi run`'s
    ``summary.csv`` are understood too.

    Returns:
        Name and score by :func:`~wsi_pipeline.evaluation.slide_names.slide_key`.

    Raises:
        CohortError: it cannot be read, a score is no finite number, or a slide is there twice.
    """
    scores: dict[str, tuple[str, float]] = {}
    for entry in _entries(path, _SCORE):
        try:
            value = float(entry.value)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise CohortError(
                path, f"line {entry.line}: {entry.name} has the score {entry.value!r}, not a number"
            )
        scores[entry.key] = entry.name, value
    return scores


def read_labels(path: Path) -> dict[str, tuple[str, Label]]:
    """Read one predicted label per slide, as CAMELYON17's submissions have them.

    Rows of patients (``patient_000.zip, pN0``) are left aside: stages are made from the labels.

    Raises:
        CohortError: it cannot be read, a label is unknown, or a slide is there twice.
    """
    labels: dict[str, tuple[str, Label]] = {}
    for entry in _entries(path, _LABEL):
        if entry.name.lower().endswith(".zip"):
            continue
        text = entry.value.lower()
        known = {one: one for one in get_args(Label)} | _LABELS
        if text not in known:
            raise CohortError(
                path,
                f"line {entry.line}: {entry.name} has the label {entry.value!r}; "
                "known are negative, itc, micro and macro",
            )
        labels[entry.key] = entry.name, known[text]
    return labels


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Lines of a table that are not empty, with their numbers; cells without white space.

    Comma, semicolon or tab separate; the first line that holds one of them tells which.

    Raises:
        CohortError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = next((line for line in text.splitlines() if line.strip()), "")
        separator = max(",;\t", key=first.count)
        rows = list(csv.reader(text.splitlines(), delimiter=separator))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CohortError(path, f"cannot be read: {error}") from error
    cells = ((number, [cell.strip() for cell in row]) for number, row in enumerate(rows, start=1))
    return [(number, row) for number, row in cells if any(row)]


def is_number(text: str) -> bool:
    """Whether a cell holds a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _entries(path: Path, wanted: tuple[str, ...]) -> list[Entry]:
    rows = read_rows(path)
    if not rows:
        raise CohortError(path, "is empty")
    header = [cell.lower().replace(" ", "_").replace("-", "_") for cell in rows[0][1]]
    slide, value = _column(header, _SLIDE), _column(header, wanted)
    if slide is not None and value is not None and slide != value:
        rows = rows[1:]
    elif len(header) == 2:  # two columns explain themselves: the slide, then its value
        if slide is not None or value is not None or _is_heading(rows, wanted):
            rows = rows[1:]
        slide, value = 0, 1
    else:
        raise CohortError(
            path,
            f"has the columns {', '.join(rows[0][1])}; it needs slide and {wanted[0]}",
        )
    entries: dict[str, Entry] = {}
    for number, row in rows:
        if len(row) <= max(slide, value) or not row[slide]:
            raise CohortError(path, f"line {number} has too few cells")
        text = row[slide]
        entry = Entry(slide_key(text), slide_name(text), row[value], number)
        if entry.key in entries:
            raise CohortError(path, f"line {number}: slide {entry.name} is there twice")
        entries[entry.key] = entry
    return list(entries.values())


def _column(header: list[str], spellings: tuple[str, ...]) -> int | None:
    """The column with one of these names; else the only one with the first of them in its name."""
    for name in spellings:
        if name in header:
            return header.index(name)
    part = [place for place, cell in enumerate(header) if any(s in cell for s in spellings[:3])]
    return part[0] if len(part) == 1 else None


def _is_heading(rows: list[tuple[int, list[str]]], wanted: tuple[str, ...]) -> bool:
    """Whether the first of two-cell rows is a heading: of numbers, the one that is none."""
    first = rows[0][1][1]
    return wanted is _SCORE and len(rows) > 1 and not is_number(first) and is_number(rows[1][1][1])
