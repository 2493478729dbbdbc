"""Making a cohort table from folders of slides, masks and annotations."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wsi_pipeline.annotation.mask_file import open_mask
from wsi_pipeline.annotation.truth import TruthKind
from wsi_pipeline.cohort.attribution import Attribution
from wsi_pipeline.cohort.camelyon import read_name
from wsi_pipeline.cohort.inspection import (
    contradictions,
    inspect_slide,
    inspect_truth,
    look_at,
)
from wsi_pipeline.cohort.options import MASK_KINDS, IndexOptions
from wsi_pipeline.cohort.origin import synthetic_stain
from wsi_pipeline.cohort.pairing import Pair, pair, same_contents
from wsi_pipeline.cohort.references import Reference, read_references
from wsi_pipeline.cohort.search import Search, search
from wsi_pipeline.cohort.table import Cohort, CohortSlide
from wsi_pipeline.errors import AnnotationError, CohortError, SlideError

Progress = Callable[[int, int], None]


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
        problems.append(f"{folder}: contains no slides")
    looked = look_at(
        lambda one: _tried(folder, one, references.get(one.slide.key), options),
        pairing.pairs,
        progress,
    )
    slides = [one.slide for one in looked if one.slide is not None]
    problems += (problem for one in looked for problem in one.problems)
    notes = Counter(note for one in looked for note in one.notes)
    if any(one.truth for one in pairing.pairs) and not options.allow_unannotated:
        problems += (problem for slide in slides for problem in _unpaired(slide))
    problems += _copies(slides)
    return Indexed(
        tuple(slides),
        tuple(problems),
        (*_counted(notes), *_absent(references, pairing.pairs), *_unlabelled(slides)),
        _worth_saying(found),
    )


@dataclass(frozen=True, slots=True)
class _Looked:
    """What came of looking at one slide: a row of the table, or why there is none."""

    slide: CohortSlide | None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def _tried(folder: Path, one: Pair, reference: Reference | None, options: IndexOptions) -> _Looked:
    try:
        return _look(folder, one, reference, options)
    except (SlideError, CohortError) as error:
        return _Looked(None, (str(error),))


def _look(folder: Path, one: Pair, reference: Reference | None, options: IndexOptions) -> _Looked:
    """One row of the table, after opening what it is about."""
    path = one.slide.path
    info, stain = inspect_slide(path), synthetic_stain(path)
    named = None if options.plain_names else read_name(one.slide.name, info.mpp)
    kind = _kind(one, options, synthetic=stain is not None)
    known = Attribution(folder, path, options, reference, named, stain)
    slide = CohortSlide(
        name=one.slide.name,
        label=None,
        patient=known.patient or one.slide.name,
        centre=known.centre,
        split=(reference.split if reference else None) or (named.split if named else None),
        path=path,
        truth=one.truth.path if one.truth else None,
        truth_kind=kind,
        tumour_classes=options.tumour_classes if kind in ("asap", "geojson") else (),
    )
    facts = inspect_truth(slide, info)
    slide = replace(
        slide,
        label=known.label(facts),
        annotated=known.annotated(facts),
    )
    notes = [f"{slide.truth}: {note}" for note in facts.notes] if facts is not None else []
    if one.others:
        notes.append(f"the {kind} is used where there is also {_kinds(one)}")
    if stain is not None:
        notes.append("drawn by `wsi synth`: synthetic")
    if named and named.note:
        notes.append(f"{slide.name}: {named.note}")
    problems = contradictions(slide, facts) if facts is not None else []
    return _Looked(slide, tuple(problems), tuple(notes))


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
    if value not in MASK_KINDS:
        raise AnnotationError(
            one.truth.path,
            "does not say which value is tumour; declare it with --mask-value 255, 2 or 1",
        )
    return MASK_KINDS[value]


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
        f"{other}: has the same contents as {one}; remove one, or give it the split 'excluded' in "
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
    return [f"{len(absent)} slides of the table of labels are not in the folder: {shown}"]


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
