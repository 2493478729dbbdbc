"""Making a cohort table from folders of slides, masks and annotations."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wsi_pipeline.annotation.mask_file import open_mask
from wsi_pipeline.annotation.truth import TruthKind
from wsi_pipeline.cohort.camelyon import Named, read_name
from wsi_pipeline.cohort.inspection import (
    TruthFacts,
    contradictions,
    inspect_slide,
    inspect_truth,
)
from wsi_pipeline.cohort.origin import synthetic_stain
from wsi_pipeline.cohort.pairing import Pair, Prefer, pair, same_contents
from wsi_pipeline.cohort.references import Reference, read_references
from wsi_pipeline.cohort.search import Search, search
from wsi_pipeline.cohort.table import Annotated, Cohort, CohortSlide, Label
from wsi_pipeline.errors import AnnotationError, CohortError, SlideError, UsageError

_MASKS: dict[int, TruthKind] = {255: "mask-255", 2: "mask-2", 1: "mask-1"}
#: ``center_3`` and the like in the folders of a slide.
_CENTRE_FOLDER = re.compile(r"cent(?:re|er)[_ -]?\w+", re.IGNORECASE)

Progress = Callable[[int, int], None]


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
        if self.mask_value not in (None, *_MASKS):
            raise UsageError(f"--mask-value must be 255, 2 or 1, not {self.mask_value}")
        for option, pattern in (
            ("--patient-from", self.patient_from),
            ("--centre-from", self.centre_from),
        ):
            try:
                re.compile(pattern or "")
            except re.error as error:
                raise UsageError(f"{option} {pattern!r} is no pattern: {error}") from error


@dataclass(frozen=True, slots=True)
class Indexed:
    """What an index came to.

    Attributes:
        slides: One for each sound slide.
        problems: One sentence for each thing that has to be put right.
        notes: What a person should know.
        ignored: Files that are neither slides nor truth, with the reason where it is worth one.
    """

    slides: tuple[CohortSlide, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    ignored: tuple[tuple[Path, str], ...]

    def cohort(self) -> Cohort:
        """The cohort.

        Raises:
            CohortError: there are problems, or no slides.
        """
        if self.problems:
            more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
            raise CohortError(None, self.problems[0] + more)
        return Cohort(self.slides)


def index(
    folder: Path, options: IndexOptions | None = None, progress: Progress | None = None
) -> Indexed:
    """Find slides and truth in a folder, pair them by name, and look at every one of them.

    Args:
        folder: Searched with all folders below it.
        options: How files are taken.
        progress: Called as ``progress(done, total)`` in slides.

    Raises:
        CohortError: a folder or the table of labels cannot be read.
    """
    options = options or IndexOptions()
    references = read_references(options.labels) if options.labels else {}
    found = search(folder, masks=options.masks, annotations=options.annotations)
    pairing = pair(found.files, options.prefer)
    problems = list(pairing.problems)
    if not pairing.pairs:
        problems.append(f"{folder}: holds no slides")
    notes: Counter[str] = Counter()
    slides: list[CohortSlide] = []
    any_truth = any(one.truth for one in pairing.pairs)
    for done, one in enumerate(pairing.pairs, 1):
        reference = references.get(one.slide.key)
        try:
            slide = _look(folder, one, reference, options, notes, problems)
        except (SlideError, CohortError) as error:
            problems.append(str(error))
        else:
            slides.append(slide)
            if any_truth and not options.allow_unannotated:
                problems += _unpaired(slide)
        if progress:
            progress(done, len(pairing.pairs))
    problems += _copies(slides)
    return Indexed(
        tuple(slides),
        tuple(problems),
        (*_counted(notes), *_absent(references, pairing.pairs), *_unlabelled(slides)),
        _worth_saying(found),
    )


def _look(
    folder: Path,
    one: Pair,
    reference: Reference | None,
    options: IndexOptions,
    notes: Counter[str],
    problems: list[str],
) -> CohortSlide:
    """One row of the table, after opening what it is about."""
    path = one.slide.path
    info, stain = inspect_slide(path), synthetic_stain(path)
    named = None if options.plain_names else read_name(one.slide.name, info.mpp)
    kind = _kind(one, options, synthetic=stain is not None)
    slide = CohortSlide(
        name=one.slide.name,
        label=None,
        patient=_patient(folder, path, reference, named, options) or one.slide.name,
        centre=_centre(folder, path, reference, named, stain or "", options),
        split=(reference.split if reference else None) or (named.split if named else None),
        path=path,
        truth=one.truth.path if one.truth else None,
        truth_kind=kind,
        tumour_classes=options.tumour_classes if kind in ("asap", "geojson") else (),
    )
    facts = inspect_truth(slide, info)
    slide = replace(
        slide,
        label=_label(reference, named, options, facts, synthetic=stain is not None),
        annotated=_annotated(reference, named, options, facts),
    )
    if facts is not None:
        problems += contradictions(slide, facts)
        notes.update(f"{slide.truth}: {note}" for note in facts.notes)
    if one.others:
        notes[f"the {kind} is used where there is also {_kinds(one)}"] += 1
    if stain is not None:
        notes["drawn by `wsi synth`: synthetic"] += 1
    if named and named.note:
        notes[f"{slide.name}: {named.note}"] += 1
    return slide


def _kind(one: Pair, options: IndexOptions, *, synthetic: bool) -> TruthKind | None:
    if one.truth is None:
        return None
    kind = one.truth.kind
    if kind in ("asap", "geojson", "ncrf"):
        return kind
    value = options.mask_value
    if value is None:
        stated = (open_mask(one.truth.path).statement or {}).get("value")
        value = 255 if synthetic and stated is None else stated
    if value not in _MASKS:
        raise AnnotationError(
            one.truth.path,
            "does not say which value is tumour; declare it with --mask-value 255, 2 or 1",
        )
    return _MASKS[value]


def _label(
    reference: Reference | None,
    named: Named | None,
    options: IndexOptions,
    facts: TruthFacts | None,
    *,
    synthetic: bool,
) -> Label | None:
    if reference and reference.label:
        return reference.label
    if named and named.label:
        return named.label
    # An annotation says what a slide is only where everything is known to be outlined.
    if facts is not None and (synthetic or options.labels_from_annotation):
        return "tumour" if facts.tumour else "normal"
    return None


def _annotated(
    reference: Reference | None,
    named: Named | None,
    options: IndexOptions,
    facts: TruthFacts | None,
) -> Annotated:
    if facts is None:
        return "none"
    if reference and reference.annotated:
        return reference.annotated
    if named and named.annotated:
        return named.annotated
    return options.annotated


def _patient(
    folder: Path,
    path: Path,
    reference: Reference | None,
    named: Named | None,
    options: IndexOptions,
) -> str:
    if reference and reference.patient:
        return reference.patient
    if options.patient_from is not None:
        return _matched(folder, path, options.patient_from, "--patient-from", "patient")
    return named.patient if named else ""


def _centre(
    folder: Path,
    path: Path,
    reference: Reference | None,
    named: Named | None,
    stain: str,
    options: IndexOptions,
) -> str:
    if reference and reference.centre:
        return reference.centre
    if options.centre_from is not None:
        return _matched(folder, path, options.centre_from, "--centre-from", "centre")
    if options.centre:
        return options.centre
    folders = path.relative_to(folder).parts[:-1] if path.is_relative_to(folder) else ()
    in_folder = next((part for part in folders if _CENTRE_FOLDER.fullmatch(part)), "")
    return in_folder or (named.centre if named else "") or stain


def _matched(folder: Path, path: Path, pattern: str, option: str, group: str) -> str:
    inside = path.relative_to(folder) if path.is_relative_to(folder) else path
    text = (inside if path.is_dir() else inside.with_suffix("")).as_posix()
    match = re.search(pattern, text)
    if match is None:
        raise CohortError(None, f"{path}: {option} {pattern!r} does not match {text!r}")
    groups = match.groupdict()
    found = groups.get(group) or (match[1] if match.re.groups else match[0])
    if not found:
        raise CohortError(None, f"{path}: {option} {pattern!r} finds nothing in {text!r}")
    return found


def _unpaired(slide: CohortSlide) -> list[str]:
    known = slide.label == "normal" or slide.truth is not None or slide.split == "excluded"
    # Only 50 of CAMELYON17's slides are annotated, and nobody expects more.
    stage = slide.label in ("itc", "micro", "macro") and read_name(slide.name) is not None
    if known or stage:
        return []
    what = "no label" if slide.label is None else f"the label {slide.label}"
    return [
        f"{slide.path}: has {what}, and neither an annotation nor a mask; add what is missing "
        "(--labels TABLE), or pass --allow-unannotated"
    ]


def _copies(slides: Sequence[CohortSlide]) -> list[str]:
    used = {slide.path: slide for slide in slides if slide.split != "excluded" and slide.path}
    return [
        f"{other}: holds the same bytes as {one}; remove one, or give it the split 'excluded' in "
        "the table of labels"
        for one, other in same_contents(used)
    ]


def _counted(notes: Counter[str]) -> list[str]:
    return [f"{count} slides: {note}" if count > 1 else note for note, count in notes.items()]


def _absent(references: dict[str, Reference], pairs: Sequence[Pair]) -> list[str]:
    here = {one.slide.key for one in pairs}
    absent = [reference.name for key, reference in references.items() if key not in here]
    if not absent:
        return []
    shown = ", ".join(absent[:3]) + (", …" if len(absent) > 3 else "")
    return [f"{len(absent)} slides of the table of labels are not here: {shown}"]


def _unlabelled(slides: Sequence[CohortSlide]) -> list[str]:
    names = [slide.name for slide in slides if slide.label is None]
    if not names:
        return []
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return [
        f"{len(names)} slides have no label: {shown}; give --labels TABLE, or "
        "--labels-from annotation"
    ]


def _kinds(one: Pair) -> str:
    return " and ".join(sorted({f"a {other.kind}" for other in one.others}))


def _worth_saying(found: Search) -> tuple[tuple[Path, str], ...]:
    return tuple((path, reason) for path, reason in found.ignored)
