"""Looking at a cohort's files before anybody relies on them for hours."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wsi_pipeline.cohort.table import CohortSlide
from wsi_pipeline.errors import AnnotationError, SlideError
from wsi_pipeline.geometry import Region
from wsi_pipeline.slide.files import slide_files
from wsi_pipeline.slide.info import SlideInfo
from wsi_pipeline.slide.integrity import check_integrity
from wsi_pipeline.slide.opening import open_slide
from wsi_pipeline.slide.stored_reader import COMPUTED

_SPOT_PX = 32
#: Slides looked at together: most of the time goes by waiting for drives, which may be far.
_AT_ONCE = 8

Progress = Callable[[int, int], None]
Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class TruthFacts:
    """What an annotation or mask holds.

    Attributes:
        tumour: Whether there is any.
        notes: What was left out of it.
    """

    tumour: bool
    notes: tuple[str, ...] = ()


def inspect_slide(path: Path) -> SlideInfo:
    """Open a slide, check that all its parts are there, and read a spot of each level.

    Raises:
        SlideError: something is wrong with it.
    """
    try:
        files = slide_files(path)
        check_integrity(files)
        reader = open_slide(path)
        try:
            for index, level in enumerate(reader.info.levels):
                if reader.path_of(index) == COMPUTED:
                    continue  # would decode the whole slide
                x, y = level.size.width // 2, level.size.height // 2
                reader.read(Region(index, x, y, _SPOT_PX, _SPOT_PX))
        finally:
            reader.close()
    except OSError as error:
        raise SlideError(path, f"cannot be read: {error.strerror or error}") from error
    return reader.info


def inspect_truth(slide: CohortSlide, info: SlideInfo) -> TruthFacts | None:
    """Open a slide's truth and lay it on the slide; None where there is none.

    Raises:
        AnnotationError: it cannot be read, or is not of this slide; the message names both.
    """
    try:
        truth = slide.open_truth(info.size)
        if truth is None:
            return None
        return TruthFacts(truth.bounds is not None, getattr(truth, "notes", ()))
    except AnnotationError as error:
        raise AnnotationError(error.path, f"{error.cause} (slide {slide.path})") from error


def inspect_cohort(slides: Iterable[CohortSlide], progress: Progress | None = None) -> list[str]:
    """What is wrong with the files of a cohort: one sentence each, in order; nothing is nothing.

    Args:
        slides: Those to look at; one without a file is a problem.
        progress: Called as ``progress(done, total)`` in slides.
    """
    return [problem for found in look_at(problems_of, list(slides), progress) for problem in found]


def look_at(
    look: Callable[[Item], Found], items: Sequence[Item], progress: Progress | None = None
) -> list[Found]:
    """Look at several at once, on threads; what was found, in the order of the items.

    Args:
        look: Called with each item.
        items: Slides, say.
        progress: Called as ``progress(done, total)``.
    """
    found: list[Found] = []
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="look") as threads:
        try:
            for one in threads.map(look, items):
                found.append(one)
                if progress:
                    progress(len(found), len(items))
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def problems_of(slide: CohortSlide) -> list[str]:
    """What is wrong with the files of one slide."""
    if slide.path is None:
        return [f"slide {slide.name} has no file (slide_path)"]
    try:
        info = inspect_slide(slide.path)
        facts = inspect_truth(slide, info)
    except SlideError as error:
        return [str(error)]
    return [] if facts is None else contradictions(slide, facts)


def contradictions(slide: CohortSlide, facts: TruthFacts) -> list[str]:
    """Where label and truth say different things."""
    if slide.positive is False and facts.tumour:
        return [
            f"{slide.truth}: outlines tumour, but slide {slide.name} is labelled {slide.label}; "
            "is it of another slide?"
        ]
    if slide.positive and not facts.tumour:
        return [
            f"{slide.truth}: holds no tumour, but slide {slide.name} is labelled {slide.label}; is "
            "it of another slide, or are its class (--tumour-class) or value (--mask-value) others?"
        ]
    return []
