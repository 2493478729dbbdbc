"""The cohort table: one row per slide, as a CSV file a person can read and edit."""

import csv
import io
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar, get_args

from wsi_pipeline import durable
from wsi_pipeline.annotation.class_truths import open_class_truths
from wsi_pipeline.annotation.groups import join_names, split_names
from wsi_pipeline.annotation.opening import open_truth
from wsi_pipeline.annotation.truth import Truth, TruthKind
from wsi_pipeline.errors import CohortError
from wsi_pipeline.geometry import Size

_Text = TypeVar("_Text", bound=str)

#: What is known of a slide as a whole. The last three are CAMELYON17's kinds of metastasis.
Label = Literal["normal", "tumour", "itc", "micro", "macro"]
#: ``full``: every tumour is outlined. ``partial``: there is tumour that is not. ``none``: nothing
#: is outlined; of a normal slide that says all there is.
Annotated = Literal["full", "partial", "none"]
#: ``excluded`` slides are in no figure: duplicates, for instance.
Split = Literal["train", "validation", "test", "excluded"]

#: Columns as written; a table to evaluate needs the first two only.
COLUMNS = (
    "slide",
    "label",
    "patient",
    "centre",
    "split",
    "annotation",
    "slide_path",
    "truth_path",
    "truth_kind",
    "tumour_classes",
)
_SPELLINGS = {"center": "centre", "annotated": "annotation", "annotation_state": "annotation"}
_LABELS: dict[str, Label] = {
    "tumor": "tumour",
    "positive": "tumour",
    "1": "tumour",
    "negative": "normal",
    "0": "normal",
}


@dataclass(frozen=True, slots=True)
class CohortSlide:
    """One slide of a cohort.

    Attributes:
        name: Its file's name without the ending; tells slides apart.
        label: What is known of the slide as a whole; None: nothing.
        patient: Whose it is; where nothing is known, every slide is its own patient's.
        centre: Hospital or scanner; empty where unknown.
        split: What it is used for; None: not decided.
        annotated: How completely its tumour is outlined.
        path: The slide; None where only its scores are looked at.
        truth: Annotation or mask; None where there is none.
        truth_kind: Its format.
        tumour_classes: Groups or classes of it that are tumour; empty: the usual names.
    """

    name: str
    label: Label | None
    patient: str
    centre: str = ""
    split: Split | None = None
    annotated: Annotated = "none"
    path: Path | None = None
    truth: Path | None = None
    truth_kind: TruthKind | None = None
    tumour_classes: tuple[str, ...] = ()

    def open_truth(self, size: Size | None = None) -> Truth | None:
        """Its annotation or mask, opened; None where it has none.

        Args:
            size: The slide's level 0, px, which the truth must lie on.

        Raises:
            AnnotationError: see :func:`wsi_pipeline.annotation.open_truth`.
        """
        if self.truth is None or self.truth_kind is None:
            return None
        return open_truth(self.truth, self.truth_kind, size, tumour=self.tumour_classes)

    def open_class_truths(
        self, classes: Sequence[str], size: Size | None = None
    ) -> dict[str, Truth]:
        """What its annotation or mask says of classes, by their names; empty where it has none.

        Raises:
            AnnotationError: see :func:`~wsi_pipeline.annotation.class_truths.open_class_truths`.
        """
        if self.truth is None or self.truth_kind is None:
            return {}
        return open_class_truths(
            self.truth, self.truth_kind, size, classes, tumour=self.tumour_classes
        )

    @property
    def positive(self) -> bool | None:
        """Whether it holds tumour; None where that is not known."""
        return None if self.label is None else self.label != "normal"

    @property
    def patient_key(self) -> str:
        """The patient as compared: neither capitals, nor spacing, nor Unicode's variants matter.

        Whoever writes one patient in two ways must not get them into two splits.
        """
        return " ".join(unicodedata.normalize("NFKC", self.patient).casefold().split())

    @property
    def exhaustive(self) -> bool:
        """Whether what is not outlined as tumour is none: normal, or fully annotated."""
        return self.label == "normal" or self.annotated == "full"


@dataclass(frozen=True, slots=True)
class Cohort:
    """Slides with different names, in order.

    Raises:
        CohortError: two slides have one name or one file, or a patient's slides are in different
            splits.
    """

    slides: tuple[CohortSlide, ...]
    source: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        names: set[str] = set()
        files: dict[Path, str] = {}
        splits: dict[str, CohortSlide] = {}
        for slide in self.slides:
            if slide.name in names:
                raise CohortError(self.source, f"slide {slide.name} is there twice")
            names.add(slide.name)
            if slide.path is not None:
                first = files.setdefault(Path(os.path.abspath(slide.path)), slide.name)  # noqa: PTH100 - resolve() asks the disk, and may ask it for thousands
                if first != slide.name:
                    raise CohortError(
                        self.source, f"{slide.path} is there twice, as {first} and {slide.name}"
                    )
            if slide.split in (None, "excluded"):
                continue
            other = splits.setdefault(slide.patient_key, slide)
            if other.split != slide.split:
                raise CohortError(
                    self.source,
                    f"patient {slide.patient} is in two splits: {other.name} in {other.split}, "
                    f"{slide.name} in {slide.split}; a patient's slides belong together",
                )

    def __iter__(self) -> Iterator[CohortSlide]:
        return iter(self.slides)

    def __len__(self) -> int:
        return len(self.slides)

    def of(self, *splits: Split) -> "Cohort":
        """The slides of some splits."""
        chosen = tuple(slide for slide in self.slides if slide.split in splits)
        return Cohort(chosen, self.source)

    def get(self, name: str) -> CohortSlide:
        """A slide by its name.

        Raises:
            CohortError: there is none.
        """
        for slide in self.slides:
            if slide.name == name:
                return slide
        raise CohortError(self.source, f"there is no slide {name}")


def is_cohort_table(path: Path) -> bool:
    """Whether a file's first line names the two columns that a cohort table needs.

    Raises:
        CohortError: it cannot be read.
    """
    names, _ = read_rows(path)
    return {"slide", "label"} <= set(names)


def read_cohort(path: Path) -> Cohort:
    """Read a table. Relative paths in it are relative to its folder.

    Comma, semicolon or tab separate; the first line tells which. ``slide`` and ``label`` are
    needed, every other column may be missing; others are ignored.

    Raises:
        CohortError: it cannot be read, or a row says something impossible; the message names it.
    """
    names, rows = read_rows(path)
    for needed in ("slide", "label"):
        if needed not in names:
            raise CohortError(path, f"it has no column {needed!r}, only {names}")
    slides = []
    for number, row in rows:
        try:
            slides.append(_slide({key: (row.get(key) or "").strip() for key in COLUMNS}, path))
        except ValueError as error:
            raise CohortError(path, f"line {number}: {error}") from error
    return Cohort(tuple(slides), path)


def write_cohort(cohort: Cohort, path: Path) -> None:
    """Write a table, whole or not at all; paths below its folder are written relative to it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_row(slide, path.parent) for slide in cohort)
    durable.write_text(path, text.getvalue())


def read_rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The names of the columns, and the rows with the number of their line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter=max(",;\t", key=first.count))
            names = [_SPELLINGS.get(name.strip(), name.strip()) for name in reader.fieldnames or ()]
            reader.fieldnames = names
            return names, [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CohortError(path, f"cannot be read: {error}") from error


def _slide(row: dict[str, str], table: Path) -> CohortSlide:
    if not row["slide"]:
        raise ValueError("it names no slide")
    label = row["label"].lower()
    return CohortSlide(
        name=row["slide"],
        label=_one_of(_LABELS.get(label, label), get_args(Label), "label"),
        patient=row["patient"] or row["slide"],
        centre=row["centre"],
        split=_one_of(row["split"].lower(), get_args(Split), "split"),
        annotated=_one_of(row["annotation"].lower(), get_args(Annotated), "annotation") or "none",
        path=_path(row["slide_path"], table),
        truth=_path(row["truth_path"], table),
        truth_kind=_one_of(row["truth_kind"], get_args(TruthKind), "truth_kind"),
        tumour_classes=split_names(row["tumour_classes"]),
    )


def _one_of(value: str, allowed: Sequence[_Text], column: str) -> _Text | None:
    if not value:
        return None
    for one in allowed:
        if value == one:
            return one
    raise ValueError(f"{column} {value!r} is none of {', '.join(allowed)}")


def _path(text: str, table: Path) -> Path | None:
    return table.parent / text if text else None


def _row(slide: CohortSlide, folder: Path) -> list[str]:
    return [
        slide.name,
        slide.label or "",
        slide.patient,
        slide.centre,
        slide.split or "",
        slide.annotated,
        _relative(slide.path, folder),
        _relative(slide.truth, folder),
        slide.truth_kind or "",
        join_names(slide.tumour_classes),
    ]


def _relative(path: Path | None, folder: Path) -> str:
    if path is None:
        return ""
    absolute, base = path.absolute(), folder.absolute()
    return str(absolute.relative_to(base) if absolute.is_relative_to(base) else absolute)
