"""Looks at every slide of a cohort before anything is trained: an error now, not at night."""

import hashlib
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from wsi_pipeline.annotation.truth import Truth
from wsi_pipeline.cohort import Cohort, CohortSlide
from wsi_pipeline.cohort.inspection import inspect_slide
from wsi_pipeline.errors import CohortError, SlideError, TrainingError
from wsi_pipeline.slide import SlideReader, open_slide
from wsi_pipeline.slide.synthetic import declares_synthetic
from wsi_pipeline.tiles.patches import read_patch
from wsi_pipeline.tiles.plan import spread
from wsi_pipeline.training.candidates import Tiles, grids, survey
from wsi_pipeline.training.patch_source import SlideTiles
from wsi_pipeline.training.recipe import Recipe
from wsi_pipeline.training.run import Observer
from wsi_pipeline.training.stain import fit_training_slide

#: Candidates of a slide that are read to see whether they can be.
_SAMPLED = 8
_HOW_FAR = {"full": "fully", "partial": "partly"}
#: Bytes that tell files of equal length apart.
_HEAD = 2**20
#: What a truth file's name has beyond its slide's.
_ENDINGS = ("_mask", "_annotation", "_annotations", "_tumor", "_tumour", "_evaluation_mask")


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A slide that can be trained on.

    Attributes:
        slide: Its row of the cohort.
        tiles: Its candidates.
        synthetic: Whether it was drawn by ``wsi synth``.
        warnings: What a person should know of it.
    """

    slide: CohortSlide
    tiles: SlideTiles
    synthetic: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Why a slide cannot be used, and whether its row in the table is the cause."""

    cause: str
    by_table: bool


def check_slides(
    cohort: Cohort,
    recipe: Recipe,
    *,
    threads: int,
    observer: Observer,
    skip_bad: bool = False,
) -> list[Surveyed]:
    """Open, check and survey every slide of a cohort.

    Args:
        cohort: The slides to use; patients lie in one split each, as a cohort ensures.
        recipe: Says which tiles are candidates and what they are called.
        threads: Slides looked at at once.
        observer: Is told.
        skip_bad: Leave out slides that cannot be used, and say so, instead of raising.

    Raises:
        CohortError: slides are paired wrongly, or rows of the table cannot be used; the message
            names each.
        TrainingError: a file of a slide cannot be used; the message names each.
    """
    slides = list(cohort)
    check_pairing(slides, cohort.source)
    observer.stage("checking slides", len(slides))
    found: list[Surveyed] = []
    bad: list[_Unusable] = []

    def look(slide: CohortSlide) -> Surveyed | _Unusable:
        try:
            return _look(slide, recipe)
        except (SlideError, CohortError) as error:
            text = str(error)
            text = text if slide.name in text else f"{slide.name}: {text}"
            return _Unusable(text, by_table=isinstance(error, CohortError))
        except OSError as error:
            cause = f"{error.filename or slide.path}: {error.strerror or error}"
            return _Unusable(f"{slide.name}: {cause}", by_table=False)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        for slide, answer in zip(slides, pool.map(look, slides), strict=True):
            observer.advanced(1, slide.name)
            if isinstance(answer, _Unusable):
                bad.append(answer)
            else:
                found.append(answer)
                for warning in answer.warnings:
                    observer.says(f"{slide.name}: {warning}")
    if bad and not skip_bad:
        count = "1 slide" if len(bad) == 1 else f"{len(bad)} slides"
        causes = "; ".join(one.cause for one in bad)
        message = (
            f"{count} cannot be used: {causes}. Correct the table or the files, or leave them out "
            "with --skip-bad"
        )
        if all(one.by_table for one in bad):
            raise CohortError(cohort.source, message)
        raise TrainingError(cohort.source or "the cohort", message)
    for one in bad:
        observer.says(f"left out: {one.cause}")
    return found


def check_pairing(slides: Sequence[CohortSlide], table: Path | None) -> None:
    """Check that no file stands for two slides and no annotation is another slide's.

    Raises:
        CohortError: one is.
    """
    names = {slide.name.casefold(): slide.name for slide in slides}
    for what in ("path", "truth"):
        seen: dict[Path, str] = {}
        for slide in slides:
            path: Path | None = getattr(slide, what)
            if path is None:
                continue
            other = seen.setdefault(path.resolve(), slide.name)
            if other != slide.name:
                raise CohortError(table, f"{other} and {slide.name} name the same file: {path}")
    for slide in slides:
        if slide.truth is None:
            continue
        stem = slide.truth.stem.casefold()
        owners = {stem, *(stem.removesuffix(ending) for ending in _ENDINGS)}
        strangers = [name for key, name in names.items() if key in owners]
        if strangers and slide.name.casefold() not in owners:
            raise CohortError(
                table,
                f"slide {slide.name} is paired with the annotation of {strangers[0]}: "
                f"{slide.truth}; pair by name, as `wsi dataset index` does",
            )
    heads: dict[tuple[int, bytes], CohortSlide] = {}
    for slide in slides:
        if slide.path is None or not slide.path.is_file():
            continue
        with slide.path.open("rb") as file:
            head = hashlib.sha256(file.read(_HEAD)).digest()
        first = heads.setdefault((slide.path.stat().st_size, head), slide)
        if first.patient_key != slide.patient_key:
            raise CohortError(
                table,
                f"{first.name} and {slide.name} are the same slide under two patients; exclude one",
            )


def check_classes(surveyed: Sequence[Surveyed], use: str, table: Path | None) -> None:
    """Check that slides hold patches of both classes.

    Args:
        surveyed: The slides.
        use: What for, in a message: ``training``.
        table: The cohort's file.

    Raises:
        CohortError: a class is empty.
    """
    names = ", ".join(one.slide.name for one in surveyed) or "none"
    if not surveyed:
        raise CohortError(
            table,
            f"no slide is there for {use}; fill the column split (`wsi dataset split`), or use "
            "--folds",
        )
    for label, count in (
        ("tumour", sum(one.tiles.tumour for one in surveyed)),
        ("normal", sum(one.tiles.normal for one in surveyed)),
    ):
        if count == 0:
            raise CohortError(
                table,
                f"there is no {label} patch for {use} (slides: {names}); add such slides, or "
                "change labels, level or stride",
            )


def check_apart(train: Sequence[Surveyed], validation: Sequence[Surveyed]) -> None:
    """Check that no patient is trained on and validated on.

    Raises:
        CohortError: one is.
    """
    trained = {one.slide.patient_key for one in train}
    for one in validation:
        if one.slide.patient_key in trained:
            raise CohortError(None, f"patient {one.slide.patient} is trained on and validated on")


def check_space(folder: Path, needed: int) -> None:
    """Check that a disk has room.

    Args:
        folder: On the disk; it exists.
        needed: Bytes.

    Raises:
        TrainingError: it has not.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise TrainingError(
            folder,
            f"checkpoints and package need about {needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are "
            "free; clear some space or choose another disk with -o",
        )


def _look(slide: CohortSlide, recipe: Recipe) -> Surveyed:
    if slide.path is None:
        raise CohortError(None, f"{slide.name}: the table has no slide_path of it")
    if slide.label is None:
        raise CohortError(None, f"{slide.name}: its label is unknown; give one, or exclude it")
    inspect_slide(slide.path)
    reader = open_slide(slide.path)
    try:
        truth = _truth(slide, reader)
        threads = 2
        tiles = tuple(
            survey(reader, grid, truth, recipe, exhaustive=slide.exhaustive, threads=threads)
            for grid in grids(reader, recipe)
        )
        for level in tiles:
            _read_some(reader, level)
        stain = fit_training_slide(reader, recipe, threads)
    finally:
        reader.close()
    whole = SlideTiles(slide.name, slide.path, tiles, stain)
    warnings = []
    if stain is not None and stain.reason:
        warnings.append(f"its stain is not normalised: {stain.reason}")
    if truth is not None and truth.bounds is not None and whole.tumour == 0:
        if all(len(level.cells) == 0 for level in tiles):
            warnings.append("has no tile with enough tissue")
        else:
            warnings.append(
                "no tissue tile meets its annotated tumour: too small at this resolution, or "
                "another slide's annotation"
            )
    if whole.tumour + whole.normal == 0:
        warnings.append("gives no patch: it is not fully annotated, or has too little tissue")
    return Surveyed(slide, whole, declares_synthetic(slide.path), tuple(warnings))


def _truth(slide: CohortSlide, reader: SlideReader) -> Truth | None:
    """The slide's annotation, checked against what the table says of it."""
    if slide.truth is None:
        if slide.positive and slide.annotated != "none":
            raise CohortError(
                None,
                f"{slide.name}: it is {slide.label} and {_HOW_FAR[slide.annotated]} annotated, but "
                "the table names no annotation of it (truth_path)",
            )
        return None
    if slide.truth_kind is None:
        raise CohortError(None, f"{slide.name}: the table does not say its truth_kind")
    truth = slide.open_truth(reader.info.size)
    assert truth is not None  # both of what it needs are there
    if slide.label == "normal" and truth.bounds is not None:
        raise CohortError(
            None, f"{slide.name}: it is labelled normal, but {slide.truth} outlines tumour in it"
        )
    if slide.positive and slide.annotated == "full" and truth.bounds is None:
        raise CohortError(
            None,
            f"{slide.name}: it is {slide.label} and fully annotated, but {slide.truth} outlines "
            "no tumour",
        )
    # Where nothing is said to be outlined, nothing is taken from an outline.
    return None if slide.annotated == "none" else truth


def _read_some(reader: SlideReader, tiles: Tiles) -> None:
    for index in spread(len(tiles.cells), _SAMPLED):
        column, row = (int(value) for value in tiles.cells[index])
        read_patch(reader, tiles.grid, column, row)
