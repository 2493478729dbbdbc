"""What a cohort holds, counted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from wsi_pipeline.cohort.table import Cohort, CohortSlide


@dataclass(frozen=True, slots=True)
class Row:
    """The slides of one split and centre.

    Attributes:
        split: Empty: not decided.
        centre: Empty: not known.
        slides: How many.
        patients: Whose they are.
        normal: Slides without tumour.
        tumour: Slides with tumour of any kind.
        unlabelled: Slides of which it is not known.
        full: Tumour slides that are fully annotated.
        partial: Tumour slides of which some tumour is outlined.
    """

    split: str
    centre: str
    slides: int
    patients: int
    normal: int
    tumour: int
    unlabelled: int
    full: int
    partial: int


_ORDER = ("train", "validation", "test", "", "excluded")


def summarise(cohort: Cohort) -> list[Row]:
    """One row for each split and centre, in the order of use."""
    parts: dict[tuple[str, str], list[CohortSlide]] = {}
    for slide in cohort:
        parts.setdefault((slide.split or "", slide.centre), []).append(slide)
    ordered = sorted(parts, key=lambda part: (_ORDER.index(part[0]), part[1]))
    return [_row(split, centre, parts[split, centre]) for split, centre in ordered]


def warnings(cohort: Cohort) -> list[str]:
    """What would spoil a training or an evaluation, one sentence each."""
    found: list[str] = []
    for split in ("train", "validation", "test"):
        slides = [slide for slide in cohort if slide.split == split]
        for positive, name in ((True, "tumour"), (False, "normal")):
            if slides and not any(slide.positive is positive for slide in slides):
                found.append(f"{split} has no {name} slide")
    sizes = Counter(slide.patient_key for slide in cohort)
    if len(cohort) > 1 and max(sizes.values()) == 1:
        found.append(
            "every slide counts as another patient; if some share one, state it (--patient-from, "
            "or the column patient), or a patient may be in two splits"
        )
    used = [slide for slide in cohort if slide.split != "excluded"]
    undecided = sum(slide.split is None for slide in used)
    if 0 < undecided < len(used):
        found.append(f"{undecided} slides are in no split yet (`wsi dataset split`)")
    return found


def to_json(cohort: Cohort) -> dict[str, object]:
    """The counts, the warnings and every slide, as JSON types."""
    return {
        "slides": len(cohort),
        "patients": len({slide.patient_key for slide in cohort}),
        "parts": [asdict(row) for row in summarise(cohort)],
        "warnings": warnings(cohort),
        "cohort": [_slide_json(slide) for slide in cohort],
    }


def _row(split: str, centre: str, slides: Iterable[CohortSlide]) -> Row:
    listed = list(slides)
    tumour = [slide for slide in listed if slide.positive]
    return Row(
        split,
        centre,
        len(listed),
        len({slide.patient_key for slide in listed}),
        sum(slide.positive is False for slide in listed),
        len(tumour),
        sum(slide.positive is None for slide in listed),
        sum(slide.annotated == "full" for slide in tumour),
        sum(slide.annotated == "partial" for slide in tumour),
    )


def _slide_json(slide: CohortSlide) -> dict[str, object]:
    return {
        "slide": slide.name,
        "label": slide.label,
        "patient": slide.patient,
        "centre": slide.centre,
        "split": slide.split,
        "annotation": slide.annotated,
        "slide_path": None if slide.path is None else str(slide.path),
        "truth_path": None if slide.truth is None else str(slide.truth),
        "truth_kind": slide.truth_kind,
        "tumour_classes": list(slide.tumour_classes),
    }
