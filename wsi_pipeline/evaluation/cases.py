"""Which result, score and detections belong to which slide of the cohort: by name, nothing else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from wsi_pipeline.cohort.table import Cohort, CohortSlide, Label
from wsi_pipeline.errors import CohortError, ResultError, UsageError
from wsi_pipeline.evaluation.slide_names import listed, slide_key, slide_name
from wsi_pipeline.evaluation.tables import read_labels, read_scores
from wsi_pipeline.stitch.result import Result

_STORE, _ZIPPED = ".zarr", ".zarr.zip"

SplitChoice = Literal["train", "validation", "test", "all"]
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Sources:
    """What is to be evaluated.

    Attributes:
        results: Result stores, or folders that hold some.
        scores: A table of slide scores made elsewhere.
        detections: A folder of detections made elsewhere, a CSV file per slide.
        labels: A table of slide labels predicted elsewhere, for stages.
    """

    results: tuple[Path, ...] = ()
    scores: Path | None = None
    detections: Path | None = None
    labels: Path | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A slide of the cohort and what is said of it.

    Attributes:
        slide: Its row of the table.
        result: Its result store.
        score: Its score made elsewhere.
        detections: The file of its detections made elsewhere.
        label: Its label predicted elsewhere.
    """

    slide: CohortSlide
    result: Path | None = None
    score: float | None = None
    detections: Path | None = None
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class Pairing:
    """The cases of an evaluation, and what has no partner.

    Attributes:
        split: Which slides are evaluated; ``all`` where the table has no splits.
        cases: Slides of the split of which something is said, in the table's order.
        missing: By kind of source, slides of the split it says nothing of.
        aside: By kind of source, slides it speaks of that are in another split.
        trained: Centres of the table's training slides.
    """

    split: SplitChoice
    cases: tuple[Case, ...]
    missing: Mapping[str, tuple[str, ...]]
    aside: Mapping[str, tuple[str, ...]]
    trained: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Found:
    """What the sources say, by slide key, with the slide's name; None: no such source."""

    results: dict[str, tuple[str, Path]] | None
    scores: dict[str, tuple[str, float]] | None
    detections: dict[str, tuple[str, Path]] | None
    labels: dict[str, tuple[str, Label]] | None

    def names(self) -> dict[str, dict[str, str]]:
        """By kind of source, the names of the slides it speaks of, by their keys."""
        kinds: dict[str, Mapping[str, tuple[str, object]] | None] = {
            "results": self.results,
            "scores": self.scores,
            "detections": self.detections,
            "labels": self.labels,
        }
        return {
            kind: {key: name for key, (name, _) in items.items()}
            for kind, items in kinds.items()
            if items is not None
        }

    def case(self, slide: CohortSlide) -> Case:
        """All that is said of a slide."""
        key = slide_key(slide.name)
        return Case(
            slide=slide,
            result=_second(self.results, key),
            score=_second(self.scores, key),
            detections=_second(self.detections, key),
            label=_second(self.labels, key),
        )


def pair(cohort: Cohort, sources: Sources, split: SplitChoice | None) -> Pairing:
    """Find the partners of every slide.

    Args:
        cohort: The table.
        sources: What there is to evaluate.
        split: Slides to evaluate; None: the test slides, or all where the table has no splits.

    Raises:
        UsageError: there is nothing to evaluate, or no slide of the split.
        CohortError: a source speaks of a slide that is not in the table, or twice of one.
    """
    chosen, slides = _chosen(cohort, split)
    rows = _by_key(cohort)
    wanted = {slide_key(slide.name) for slide in slides}
    found = _Found(
        results=find_results(sources.results) if sources.results else None,
        scores=None if sources.scores is None else read_scores(sources.scores),
        detections=None if sources.detections is None else find_detections(sources.detections),
        labels=None if sources.labels is None else read_labels(sources.labels),
    )
    named = found.names()
    if not named:
        raise UsageError("nothing to evaluate: name results, --scores or --detections")
    for kind, names in named.items():
        unknown = [name for key, name in names.items() if key not in rows]
        if unknown:
            raise CohortError(
                cohort.source,
                f"has no row for {listed(unknown)}, of which there are {kind}; add the missing "
                "rows (split excluded leaves a slide out), or evaluate with the right table",
            )
    known = {key for names in named.values() for key in names}
    return Pairing(
        split=chosen,
        cases=tuple(found.case(slide) for slide in slides if slide_key(slide.name) in known),
        missing={
            kind: tuple(slide.name for slide in slides if slide_key(slide.name) not in names)
            for kind, names in named.items()
        },
        aside={
            kind: tuple(sorted(rows[key].name for key in names if key not in wanted))
            for kind, names in named.items()
        },
        trained=frozenset(s.centre for s in cohort if s.split == "train" and s.centre),
    )


def find_results(paths: Sequence[Path]) -> dict[str, tuple[str, Path]]:
    """Result stores by the key of the slide they are of, with its name.

    Args:
        paths: Stores (``NAME.zarr``, or a ZIP of it), or folders, which are searched through.

    Raises:
        UsageError: there is nothing at a path.
        CohortError: two results are of slides of one name.
    """
    found: dict[str, tuple[str, Path]] = {}
    for path in paths:
        stores = list(_stores(path))
        if not stores:
            raise UsageError(f"{path}: there is no result here (NAME.zarr, as `wsi run` writes)")
        for store in stores:
            name = _name_of(store)
            other = found.setdefault(slide_key(name), (name, store))[1]
            if other.resolve() != store.resolve():
                raise CohortError(
                    None,
                    f"{other} and {store} are both of slide {name}; evaluate one result per slide",
                )
    return found


def find_detections(folder: Path) -> dict[str, tuple[str, Path]]:
    """The challenge's files of a folder, by slide.

    Raises:
        UsageError: it is no folder, or holds no CSV file.
        CohortError: two files are of slides of one name.
    """
    if not folder.is_dir():
        raise UsageError(f"--detections {folder}: is not a folder")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() == ".csv")
    if not files:
        raise UsageError(f"--detections {folder}: holds no CSV file")
    found: dict[str, tuple[str, Path]] = {}
    for file in files:
        other = found.setdefault(slide_key(file.name), (slide_name(file.name), file))[1]
        if other != file:
            raise CohortError(None, f"{other} and {file} are of the same slide")
    return found


def _stores(path: Path) -> Iterator[Path]:
    if path.name.endswith(_ZIPPED) or (path.is_dir() and path.suffix == _STORE):
        if path.exists():
            yield path
    elif path.is_dir():
        for item in sorted(path.iterdir()):
            if item.name.startswith("."):
                continue  # unfinished
            if item.is_dir() or item.name.endswith(_ZIPPED):
                yield from _stores(item)


def _name_of(store: Path) -> str:
    """The slide's name as the result states it; a damaged one's by its own name."""
    try:
        return slide_name(Result(store).name)
    except ResultError:
        return slide_name(store.name)


def _chosen(
    cohort: Cohort, split: SplitChoice | None
) -> tuple[SplitChoice, tuple[CohortSlide, ...]]:
    filled = any(slide.split not in (None, "excluded") for slide in cohort)
    chosen: SplitChoice = split or ("test" if filled else "all")
    if chosen == "all":
        slides = tuple(slide for slide in cohort if slide.split != "excluded")
    else:
        slides = cohort.of(chosen).slides
    if not slides:
        raise UsageError(
            f"{cohort.source}: it has no slide in split {chosen!r}; choose another with --split"
        )
    return chosen, slides


def _by_key(cohort: Iterable[CohortSlide]) -> dict[str, CohortSlide]:
    rows: dict[str, CohortSlide] = {}
    for slide in cohort:
        other = rows.setdefault(slide_key(slide.name), slide)
        if other is not slide:
            source = cohort.source if isinstance(cohort, Cohort) else None
            raise CohortError(
                source, f"{other.name} and {slide.name} cannot be distinguished by their names"
            )
    return rows


def _second(items: Mapping[str, tuple[str, _Value]] | None, key: str) -> _Value | None:
    found = None if items is None else items.get(key)
    return None if found is None else found[1]
