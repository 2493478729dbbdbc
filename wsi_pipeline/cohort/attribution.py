"""Whose a slide is and what it shows, from whatever says so: the most trusted first."""

import re
from dataclasses import dataclass
from pathlib import Path

from wsi_pipeline.cohort.camelyon import Named
from wsi_pipeline.cohort.inspection import TruthFacts
from wsi_pipeline.cohort.options import IndexOptions
from wsi_pipeline.cohort.references import Reference
from wsi_pipeline.cohort.table import Annotated, Label
from wsi_pipeline.errors import CohortError

#: ``center_3`` and the like in the folders of a slide.
_CENTRE_FOLDER = re.compile(r"cent(?:re|er)[_ -]?\w+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Attribution:
    """All that says something of a slide; the table of labels is believed before all else.

    Attributes:
        folder: The one that is indexed.
        path: The slide's file.
        options: What was asked for.
        reference: The slide's row in the table of labels.
        named: What its name says, if names count.
        stain: Of a slide that ``wsi synth`` drew; None of any other.
    """

    folder: Path
    path: Path
    options: IndexOptions
    reference: Reference | None
    named: Named | None
    stain: str | None

    @property
    def patient(self) -> str:
        """Whose it is; empty where nothing says so.

        Raises:
            CohortError: ``patient_from`` finds nothing in the path.
        """
        if self.reference and self.reference.patient:
            return self.reference.patient
        if self.options.patient_from is not None:
            return self._matched(self.options.patient_from, "--patient-from", "patient")
        return self.named.patient if self.named else ""

    @property
    def centre(self) -> str:
        """Where it was made; empty where nothing says so.

        Raises:
            CohortError: ``centre_from`` finds nothing in the path.
        """
        if self.reference and self.reference.centre:
            return self.reference.centre
        if self.options.centre_from is not None:
            return self._matched(self.options.centre_from, "--centre-from", "centre")
        if self.options.centre:
            return self.options.centre
        folders = self._inside.parts[:-1] if self.path.is_relative_to(self.folder) else ()
        in_folder = next((part for part in folders if _CENTRE_FOLDER.fullmatch(part)), "")
        return in_folder or (self.named.centre if self.named else "") or self.stain or ""

    def label(self, facts: TruthFacts | None) -> Label | None:
        """What it shows; None where nothing says so.

        Args:
            facts: What its annotation or mask holds, if it has one.
        """
        if self.reference and self.reference.label:
            return self.reference.label
        if self.named and self.named.label:
            return self.named.label
        # An annotation says what a slide is only where everything is known to be outlined.
        all_outlined = self.stain is not None or self.options.labels_from_annotation
        if facts is not None and all_outlined:
            return "tumour" if facts.tumour else "normal"
        return None

    def annotated(self, facts: TruthFacts | None) -> Annotated:
        """How completely its tumour is outlined."""
        if facts is None:
            return "none"
        if self.reference and self.reference.annotated:
            return self.reference.annotated
        if self.named and self.named.annotated:
            return self.named.annotated
        return self.options.annotated

    @property
    def _inside(self) -> Path:
        inside = self.path.is_relative_to(self.folder)
        return self.path.relative_to(self.folder) if inside else self.path

    def _matched(self, pattern: str, option: str, group: str) -> str:
        text = (self._inside if self.path.is_dir() else self._inside.with_suffix("")).as_posix()
        match = re.search(pattern, text)
        if match is None:
            raise CohortError(None, f"{self.path}: {option} {pattern!r} does not match {text!r}")
        groups = match.groupdict()
        found = groups.get(group) or (match[1] if match.re.groups else match[0])
        if not found:
            raise CohortError(None, f"{self.path}: {option} {pattern!r} finds nothing in {text!r}")
        return found
