"""How the files of a cohort are taken."""

import re
from dataclasses import dataclass
from pathlib import Path

from wsi_pipeline.annotation.truth import TruthKind
from wsi_pipeline.cohort.pairing import Prefer
from wsi_pipeline.cohort.table import Annotated
from wsi_pipeline.errors import UsageError

#: Kinds of mask by their value of tumour.
MASK_KINDS: dict[int, TruthKind] = {255: "mask-255", 2: "mask-2", 1: "mask-1"}


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How files are taken.

    Attributes:
        labels: Table of what is known of slides.
        masks: Further folders of masks.
        annotations: Further folders of annotations.
        mask_value: Value of tumour in masks; None: only masks that say so themselves are used.
        prefer: Kind of truth to use where a slide has several.
        tumour_classes: Groups or classes that are tumour; empty: the usual names.
        labels_from_annotation: Label slides by whether their annotation outlines tumour.
        annotated: How completely annotated slides are.
        allow_unannotated: Whether slides of unknown label, or with tumour, may lack a truth while
            others have one.
        patient_from: Finds the patient in a slide's path below the folder, without suffix: the
            group ``patient``, else the first group, else all that matches.
        centre_from: Likewise the centre.
        centre: Of all slides of which nothing else says it.
        plain_names: Names like CAMELYON's say nothing.
    """

    labels: Path | None = None
    masks: tuple[Path, ...] = ()
    annotations: tuple[Path, ...] = ()
    mask_value: int | None = None
    prefer: Prefer | None = None
    tumour_classes: tuple[str, ...] = ()
    labels_from_annotation: bool = False
    annotated: Annotated = "full"
    allow_unannotated: bool = False
    patient_from: str | None = None
    centre_from: str | None = None
    centre: str = ""
    plain_names: bool = False

    def __post_init__(self) -> None:
        if self.mask_value not in (None, *MASK_KINDS):
            raise UsageError(f"--mask-value must be 255, 2 or 1, not {self.mask_value}")
        for option, pattern in (
            ("--patient-from", self.patient_from),
            ("--centre-from", self.centre_from),
        ):
            try:
                re.compile(pattern or "")
            except re.error as error:
                raise UsageError(f"{option} {pattern!r} is no pattern: {error}") from error
