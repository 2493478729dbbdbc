"""Slides whose class is known: rows of a cohort table, with its labels or with any others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wsi_pipeline.cohort.table import CohortSlide, known_labels, read_cohort, read_rows
from wsi_pipeline.errors import CohortError

#: Two classes, normal and tumour, or each label a class.
Grouping = Literal["binary", "labels"]
_COLUMNS = ("slide", "label", "patient", "split", "slide_path")
#: Names of classes of slides in which there is nothing to find, in small letters.
NEGATIVE = ("normal", "negative", "healthy", "benign", "none", "0")


@dataclass(frozen=True, slots=True)
class LabelledSlide:
    """A slide to fit to.

    Attributes:
        name: As in the table.
        label: Name of its class.
        patient: Whose it is, as compared.
        path: Its file; None where the table names none.
    """

    name: str
    label: str
    patient: str
    path: Path | None


@dataclass(frozen=True, slots=True)
class LabelledSlides:
    """What a fit is made from.

    Attributes:
        slides: Of the validation split, or all where the table has no splits.
        classes: Names of the classes.
        negative: The class of slides in which there is nothing to find.
        split: Which slides these are, in words.
    """

    slides: tuple[LabelledSlide, ...]
    classes: tuple[str, ...]
    negative: str
    split: str


def read_labelled(
    table: Path, *, grouping: Grouping | None = None, negative: str | None = None
) -> LabelledSlides:
    """Read the validation slides of a table, or all of a table without splits.

    Test slides are never taken: whoever wants to know how good the fit is needs them.

    Args:
        table: See :func:`~wsi_pipeline.cohort.table.read_cohort`; labels may also be of any other
            words, which are the classes then.
        grouping: Of labels that a cohort table knows; None: two classes. Others are classes.
        negative: Of the classes the one with nothing to find; None: the one that is called normal,
            negative or the like.

    Raises:
        CohortError: the table cannot be used, or no class is the negative one.
    """
    names, rows = read_rows(table)
    if not {"slide", "label"} <= set(names):
        raise CohortError(table, f"needs the columns slide and label, and has {names}")
    given = {(row.get("label") or "").strip() for _, row in rows} - {""}
    usual = known_labels(given)
    if usual and grouping != "labels":
        every = [_of_cohort(slide) for slide in read_cohort(table) if slide.label is not None]
    else:
        every = [_of_row(row, table) for _, row in rows if (row.get("label") or "").strip()]
    split = "validation" if any(one in ("train", "validation", "test") for one, _ in every) else ""
    chosen = tuple(slide for one, slide in every if one != "excluded" and (one or "") == split)
    classes = tuple(sorted({slide.label for slide in chosen}))
    if len(classes) < 2:
        raise CohortError(
            table,
            f"has no two classes among its {split or 'slides without a split'}"
            f"{' slides' if split else ''}; a fit needs slides of each",
        )
    usual_names = (one for name in NEGATIVE for one in classes if one.lower() == name)
    found = negative or next(usual_names, None)
    if found is None or found not in classes:
        raise CohortError(
            table,
            f"name the class with nothing to find with --negative; the classes are "
            f"{', '.join(classes)}",
        )
    ordered = (found, *(one for one in classes if one != found))
    words = "validation slides" if split else "slides of a table without splits"
    return LabelledSlides(chosen, ordered, found, words)


def _of_cohort(slide: CohortSlide) -> tuple[str | None, LabelledSlide]:
    label = "tumour" if slide.positive else "normal"
    return slide.split, LabelledSlide(slide.name, label, slide.patient_key, slide.path)


def _of_row(row: dict[str, str], table: Path) -> tuple[str | None, LabelledSlide]:
    # A row that is too short has None for what it lacks.
    text = {key: (row.get(key) or "").strip() for key in _COLUMNS}
    if not text["slide"]:
        raise CohortError(table, "a row names no slide")
    path = text["slide_path"]
    slide = LabelledSlide(
        text["slide"],
        text["label"],
        " ".join((text["patient"] or text["slide"]).casefold().split()),
        table.parent / path if path else None,
    )
    return text["split"].lower() or None, slide
