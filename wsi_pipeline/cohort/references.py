"""Tables that say what slides are: a challenge's reference, or a laboratory's own list."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, get_args

from wsi_pipeline.cohort.camelyon import read_name
from wsi_pipeline.cohort.table import (
    Annotated,
    Cohort,
    CohortSlide,
    Label,
    Split,
    is_cohort_table,
    read_cohort,
)
from wsi_pipeline.errors import CohortError

_Value = TypeVar("_Value", bound=str)

#: Columns by what they may be called. ``patient`` names the slide in CAMELYON17's stage table.
_NAMES = ("slide", "slide_id", "image", "image_name", "image_id", "filename", "file", "name")
_COLUMNS: dict[str, tuple[str, ...]] = {
    "slide": _NAMES,
    "label": ("label", "type", "class", "stage", "diagnosis", "tumor", "tumour"),
    "patient": ("patient", "patient_id", "case", "case_id"),
    "centre": ("centre", "center", "hospital", "site"),
    "split": ("split", "set", "fold"),
    "annotation": ("annotation", "annotated", "annotation_state"),
}
_LABELS: dict[str, Label] = {
    "normal": "normal",
    "negative": "normal",
    "0": "normal",
    "tumour": "tumour",
    "tumor": "tumour",
    "positive": "tumour",
    "metastasis": "tumour",
    "1": "tumour",
    "itc": "itc",
    "micro": "micro",
    "macro": "macro",
}
_SPLITS: dict[str, Split] = {"val": "validation", "valid": "validation", "training": "train"}
#: The size of what a tumour slide holds, where another column states it.
_SIZES: frozenset[Label] = frozenset({"itc", "micro", "macro"})
_SUFFIX = re.compile(r"\.(svs|tiff?|btf|ndpi|mrxs|scn|bif|vms|vmu|svslide|dcm|xml)$", re.IGNORECASE)
#: Rows of CAMELYON17's table that are of a patient, not of a slide.
_PATIENT_ROW = ".zip"


@dataclass(frozen=True, slots=True)
class Reference:
    """What a table says of one slide; None and empty: nothing.

    Attributes:
        name: The slide's, as the table spells it, without suffix.
        line: Of the table, for messages.
        label: Of the slide.
        patient: Whose it is.
        centre: Where it comes from.
        split: What it is used for.
        annotated: How completely its tumour is outlined.
    """

    name: str
    line: int
    label: Label | None = None
    patient: str = ""
    centre: str = ""
    split: Split | None = None
    annotated: Annotated | None = None


def read_references(path: Path) -> dict[str, Reference]:
    """Read a table; what it says by slide name in small letters.

    The challenges' tables are understood as they are: CAMELYON16's ``reference.csv``, with a
    header or without (``test_001,Tumor,IDC,Macro``), and CAMELYON17's ``stage_labels.csv``. So is
    a cohort table. Which column is which follows from its name; others are ignored, but that
    ``micro``, ``macro`` or ``itc`` anywhere in a tumour slide's row says its size.

    Raises:
        CohortError: it cannot be read, has no column of slides, says something unknown, or says
            two things of one slide.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise CohortError(path, f"cannot be read: {error}") from error
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(text.splitlines(), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise CohortError(path, f"cannot be read: {error}") from error
    if not rows:
        raise CohortError(path, "is empty")
    columns, begin = _columns(path, rows[0])
    found: dict[str, Reference] = {}
    for line, row in enumerate(rows[begin:], begin + 1):
        cells = [cell.strip() for cell in row]
        values = {key: cells[at] for key, at in columns.items() if at < len(cells)}
        if not values.get("slide") or values["slide"].lower().endswith(_PATIENT_ROW):
            continue
        reference = _reference(path, line, values, cells)
        key = reference.name.casefold()
        other = found.setdefault(key, reference)
        if replace(other, line=line, name=reference.name) != reference:
            raise CohortError(
                path,
                f"has two different rows of slide {reference.name}: lines {other.line} and {line}",
            )
    return found


def read_any_cohort(path: Path) -> Cohort:
    """Read a cohort table, or a table of labels as :func:`read_references` understands it.

    What a table of labels leaves open follows from names of the CAMELYON challenges, as in
    ``wsi dataset index``: patient, centre, split, and the slides that are in no figure.

    Raises:
        CohortError: it cannot be read, or a row is impossible; the message names it.
    """
    if is_cohort_table(path):
        return read_cohort(path)
    return Cohort(tuple(map(_slide, read_references(path).values())), path)


def plain_name(text: str) -> str:
    """A slide's name from a path or file name: ``images/Test_001.tif`` gives ``Test_001``."""
    return _SUFFIX.sub("", re.split(r"[\\/]", text.strip())[-1])


def _columns(path: Path, header: list[str]) -> tuple[dict[str, int], int]:
    """Where each column is, and the first row of data."""
    names = [cell.strip().casefold().replace(" ", "_") for cell in header]
    columns: dict[str, int] = {}
    for key, spellings in _COLUMNS.items():
        at = next((names.index(one) for one in spellings if one in names), None)
        if at is not None:
            columns[key] = at
    if "slide" not in columns and "patient" in columns:
        columns["slide"] = columns.pop("patient")
    if "slide" in columns:
        return columns, 1
    if len(names) > 1 and names[1] in _LABELS:
        return {"slide": 0, "label": 1}, 0
    raise CohortError(
        path, f"has no column of slides ({', '.join(_NAMES)}), only {', '.join(names)}"
    )


def _reference(path: Path, line: int, values: dict[str, str], cells: list[str]) -> Reference:
    label = _known(path, line, "label", values.get("label", ""), _LABELS)
    if label == "tumour":
        sizes = {_LABELS[cell.lower()] for cell in cells if cell.lower() in _SIZES}
        label = sizes.pop() if len(sizes) == 1 else label
    splits = {**_SPLITS, **{one: one for one in get_args(Split)}}
    states: dict[str, Annotated] = {one: one for one in get_args(Annotated)}
    return Reference(
        plain_name(values["slide"]),
        line,
        label,
        values.get("patient", ""),
        values.get("centre", ""),
        _known(path, line, "split", values.get("split", ""), splits),
        _known(path, line, "annotation", values.get("annotation", ""), states),
    )


def _slide(reference: Reference) -> CohortSlide:
    named = read_name(reference.name)
    return CohortSlide(
        name=reference.name,
        label=reference.label or (named.label if named else None),
        patient=reference.patient or (named.patient if named else "") or reference.name,
        centre=reference.centre or (named.centre if named else ""),
        split=reference.split or (named.split if named else None),
        annotated=reference.annotated or "none",
    )


def _known(
    path: Path, line: int, column: str, text: str, values: Mapping[str, _Value]
) -> _Value | None:
    if not text:
        return None
    value = values.get(text.lower())
    if value is None:
        raise CohortError(
            path, f"line {line}: {column} {text!r} is none of {', '.join(dict.fromkeys(values))}"
        )
    return value
