"""The table of labels: a row for each slide, what is known of it, where its features are."""

import math
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from wsi_pipeline.cohort.table import Split, read_rows
from wsi_pipeline.errors import CohortError, UsageError
from wsi_pipeline.features.bag_files import FeatureFolder

#: What is predicted: one of several classes, or who lives longer.
Target = Literal["classes", "survival"]

_SPELLINGS = {"tumor": "tumour", "positive": "tumour", "1": "tumour"}
_SPELLINGS |= {"negative": "normal", "0": "normal"}
#: Kinds of metastasis: of a slide all are tumour.
_METASTASES = frozenset({"itc", "micro", "macro"})
_USUAL = frozenset({"normal", "tumour"}) | _METASTASES
#: Names by which the class that is not looked for can be told.
_NORMAL = frozenset({"normal", "benign", "healthy", "wildtype", "wild-type"})
_COLUMNS = ("slide", "label", "time", "event", "group", "patient", "split", "features")


@dataclass(frozen=True, slots=True)
class LabelledSlide:
    """One slide to train from.

    Attributes:
        name: As in the table.
        label: Number of its class; 0 where survival is predicted.
        time: Until the event or the end of observation, in any one unit; 0 where classes are.
        event: Whether the event was seen; else observation ended before it.
        group: Whose it is, as compared: slides of a group stay together.
        split: What it is used for; None: not decided.
        features: The file or store with its features.
    """

    name: str
    label: int
    time: float
    event: bool
    group: str
    split: Split | None
    features: Path


@dataclass(frozen=True, slots=True)
class LabelledSlides:
    """All slides of a table, but those that are excluded.

    Attributes:
        source: The table.
        target: What is predicted.
        classes: Names by number; of two the positive one is the last. Empty: survival.
        positive: The class of interest; empty: survival.
        slides: In the table's order.
        grouped: Whether the table says whose the slides are.
    """

    source: Path
    target: Target
    classes: tuple[str, ...]
    positive: str
    slides: tuple[LabelledSlide, ...]
    grouped: bool


def read_labels(
    path: Path, folder: Path | None, target: Target, positive: str | None = None
) -> LabelledSlides:
    """Read a table of labels.

    Columns: ``slide``; ``label``, or ``time`` and ``event`` (1 or 0) for survival; ``group`` or
    ``patient``; ``split``; ``features``, the file or store, relative to the table. Only the first
    ones are needed. A cohort table is one; its kinds of metastasis count as tumour.

    Args:
        path: The table.
        folder: Where ``SLIDE.zarr`` or ``SLIDE.h5`` lies of rows that name no file; None: beside
            the table.
        target: What is predicted.
        positive: The class of interest; None: of two the one that is not called normal or the
            like, of several the first such.

    Raises:
        CohortError: the table cannot be used; the message names the line.
        UsageError: the positive class cannot be told, or there are two files of a slide.
    """
    places = FeatureFolder(folder or path.parent)
    names, rows = read_rows(path)
    for needed in ("slide", *(("label",) if target == "classes" else ("time", "event"))):
        if needed not in names:
            raise CohortError(path, f"it has no column {needed!r}, only {names}")
    plain = [
        (number, {key: (row.get(key) or "").strip() for key in _COLUMNS}) for number, row in rows
    ]
    plain = [(number, row) for number, row in plain if row["split"].lower() != "excluded"]
    if target == "classes":
        plain = [(number, row) for number, row in plain if row["label"]]
    labels = _labels([row["label"] for _, row in plain]) if target == "classes" else []
    classes, positive = _classes(path, labels, positive) if labels else ((), "")
    slides = []
    for place, (number, row) in enumerate(plain):
        try:
            label = classes.index(labels[place]) if labels else 0
            slides.append(_slide(row, label, target, path.parent, places))
        except ValueError as error:
            raise CohortError(path, f"line {number}: {error}") from error
    found = LabelledSlides(
        path, target, classes, positive, tuple(slides), bool({"group", "patient"} & set(names))
    )
    _check(found)
    return found


def _labels(given: list[str]) -> list[str]:
    spelled = [_SPELLINGS.get(label.lower(), label.lower()) for label in given]
    if set(spelled) <= _USUAL:
        return ["tumour" if label in _METASTASES else label for label in spelled]
    return given


def _classes(path: Path, labels: list[str], positive: str | None) -> tuple[tuple[str, ...], str]:
    names = sorted(set(labels))
    if len(names) < 2:
        raise CohortError(path, f"all slides are {names[0]}; two classes or more are needed")
    others = [name for name in names if name.lower() not in _NORMAL]
    if positive is None and len(names) == 2 and len(others) != 1:
        raise UsageError(
            f"which class is to be found? Write --positive {names[0]} or --positive {names[1]}"
        )
    chosen = positive or (others or names)[0]
    if chosen not in names:
        raise UsageError(f"--positive {chosen}: the classes are {', '.join(names)}")
    # What is not looked for comes first: of two classes the positive one is the last.
    names.sort(key=lambda name: (name == chosen, name.lower() not in _NORMAL))
    return tuple(names), chosen


def _slide(
    row: dict[str, str], label: int, target: Target, beside: Path, places: FeatureFolder
) -> LabelledSlide:
    if not row["slide"]:
        raise ValueError("it names no slide")
    split = row["split"].lower()
    if split and split not in get_args(Split):
        raise ValueError(f"split {row['split']!r} is none of {', '.join(get_args(Split))}")
    time, event = 0.0, False
    if target == "survival":
        time, event = _number(row["time"], "time"), _number(row["event"], "event") == 1
        if time <= 0 or row["event"] not in ("0", "1"):
            raise ValueError("time is more than 0, and event is 1 or 0")
    features = beside / row["features"] if row["features"] else places.of(row["slide"])
    group = " ".join(
        unicodedata.normalize("NFKC", row["group"] or row["patient"] or row["slide"])
        .casefold()
        .split()
    )
    return LabelledSlide(row["slide"], label, time, event, group, split or None, features)  # type: ignore[arg-type]  # one of Split


def _number(text: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{column} {text!r} is no number") from None
    if not math.isfinite(value):
        raise ValueError(f"{column} {text!r} is no number")
    return value


def _check(found: LabelledSlides) -> None:
    twice = [name for name, count in Counter(s.name for s in found.slides).items() if count > 1]
    if twice:
        raise CohortError(found.source, f"slide {twice[0]} is there twice")
    tested = {slide.group for slide in found.slides if slide.split == "test"}
    both = sorted(tested & {slide.group for slide in found.slides if slide.split != "test"})
    if both:
        raise CohortError(
            found.source,
            f"{both[0]} has test slides and others; the slides of a patient belong together",
        )
