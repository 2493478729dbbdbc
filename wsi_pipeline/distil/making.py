"""Makes a screen of a model: learns from some slides, chooses the limits on others."""

import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.distil import STEPS
from wsi_pipeline.distil.candidates import choose, fit_candidates
from wsi_pipeline.distil.network import Examples
from wsi_pipeline.distil.slides import AnsweredSlide, answer_slide, views_of
from wsi_pipeline.errors import DamagedSlideError, SlideError, UsageError
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.package_copy import check_place, write_copy
from wsi_pipeline.model.pinning import write_npz
from wsi_pipeline.model.predictor import Predictor
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.model.screen_section import SCREEN, ScreenSection

#: Share of the slides that limits are chosen on, where the user does not choose.
_VALIDATION_SHARE = 0.5
#: Tiles of a slide that the network learns from: all that the model calls positive, up to half of
#: these, and others drawn at random.
_TILES_OF_A_SLIDE = 2_000
#: Pictures held in memory; 12 kB each.
_MOST_TILES = 60_000
_LEAST_SLIDES = 4


@dataclass(frozen=True, slots=True)
class ScreenOrder:
    """What is asked for.

    Attributes:
        slides: To learn from, and, without `validation`, to choose limits on: half of them each.
        out: Folder of the new package.
        validation: Slides to choose limits on, none of which is learned from.
        promise: Share of the tiles the model calls positive that may be lost, at most.
        confidence: Of the upper limits that are stated.
        steps: Batches that each candidate learns from.
        seed: Decides everything that is drawn.
        overwrite: Whether a package there may be replaced.
    """

    slides: Sequence[Path]
    out: Path
    validation: Sequence[Path] = ()
    promise: float = 0.001
    confidence: float = 0.95
    steps: int = STEPS
    seed: int = 1
    overwrite: bool = False


class ScreenObserver(Protocol):
    """Told of progress."""

    def slide(self, name: str, done: int, of: int) -> None:
        """A slide is looked at."""
        ...

    def learning(self, done: int, of: int) -> None:
        """Batches that were learned from."""
        ...

    def left_out(self, path: Path, reason: str) -> None:
        """A slide cannot be used."""
        ...


@dataclass(frozen=True, slots=True)
class MadeScreen:
    """What came out.

    Attributes:
        package: The new package.
        section: What it says of the screen.
        without: Why stains have no limit, in words.
        validation: Names of the slides that limits were chosen on.
    """

    package: ModelPackage
    section: ScreenSection
    without: tuple[str, ...] = field(default=())
    validation: tuple[str, ...] = field(default=())


def make_screen(
    package: ModelPackage, order: ScreenOrder, request: RuntimeRequest, observer: ScreenObserver
) -> MadeScreen:
    """Make a screen and write the package with it.

    What the model says of a slide is kept beside ``order.out`` until the package is written, so
    that a run that was ended goes on.

    Args:
        package: The model.
        order: What is asked for.
        request: What the model is computed with.
        observer: Told of progress.

    Raises:
        UsageError: the model can have none, slides are too few, or no stain has enough.
        PackageError: the package cannot be written.
    """
    about = package.description
    _check(package)
    check_place(order.out, overwrite=order.overwrite)
    work = order.out.with_name(f"{order.out.name}.answers")
    learn, choose_on = divide(order)
    loaded: list[Predictor] = []

    def predictor() -> Predictor:
        if not loaded:
            loaded.append(load_predictor(package, request, threshold=about.threshold.value))
        return loaded[0]

    total, done = len(learn) + len(choose_on), 0
    rng = np.random.default_rng(order.seed)
    views: list[NDArray[np.uint8]] = []
    answers: list[NDArray[np.float32]] = []
    each = min(_TILES_OF_A_SLIDE, max(64, _MOST_TILES // max(1, len(learn))))

    def answered(path: Path) -> AnsweredSlide | None:
        nonlocal done
        done += 1
        observer.slide(path.name, done, total)
        try:
            return answer_slide(path, package, predictor, work)
        except SlideError as error:
            observer.left_out(path, error.cause)
            return None

    try:
        for path in learn:
            slide = answered(path)
            if slide is None:
                continue
            drawn = _drawn(slide.probabilities >= about.threshold.value, each, rng)
            seen = _seen(slide, drawn)
            if seen is None:
                observer.left_out(path, "its coarse level cannot be read")
                continue
            views.append(seen)
            answers.append(slide.probabilities[drawn])
        examples = _examples(package, views, answers)
        views.clear()
        candidates = fit_candidates(
            package, examples, steps=order.steps, seed=order.seed, told=observer.learning
        )
        used: list[str] = []
        for path in choose_on:
            slide = answered(path)
            if slide is None:
                continue
            for candidate in candidates:
                candidate.look(slide)
            used.append(slide.name)
            slide.reader.close()
    finally:
        for one in loaded:
            one.close()
    chosen = choose(candidates, about.threshold.value, order.promise, order.confidence)
    section = ScreenSection(
        promise=order.promise,
        confidence=order.confidence,
        threshold=about.threshold.value,
        fitted=f"{len(learn)} slides, {order.steps:,} batches; limits on {len(used)} others",
        stains=chosen.stains,
    )
    made = write_copy(
        package,
        order.out,
        SCREEN,
        lambda folder: write_npz(folder / SCREEN, **chosen.arrays),
        {"screen": section.model_dump(mode="json")},
        overwrite=order.overwrite,
    )
    shutil.rmtree(work, ignore_errors=True)
    return MadeScreen(made, section, chosen.without, tuple(used))


def _check(package: ModelPackage) -> None:
    """Refuse a model that can have no screen.

    Raises:
        UsageError: it is not binary, or answers otherwise than with a number.
    """
    if package.description.task != "binary" or package.description.output != "classes":
        raise UsageError(
            f"{package.name} cannot have a screen: only a binary model that answers with a number "
            "for each tile can"
        )


def divide(order: ScreenOrder) -> tuple[list[Path], list[Path]]:
    """Slides to learn from, and others to choose limits on.

    By names, so that more slides do not move those that were there.

    Raises:
        UsageError: they are too few, or one is in both.
    """
    if order.validation:
        both = {path.resolve() for path in order.slides} & {
            path.resolve() for path in order.validation
        }
        if both:
            raise UsageError(
                f"{min(both).name} is given to learn from and to validate on; limits need slides "
                "that nothing was learned from"
            )
        return list(order.slides), list(order.validation)
    if len(order.slides) < _LEAST_SLIDES:
        raise UsageError(
            f"{len(order.slides)} slides are too few: name at least {_LEAST_SLIDES}, half of which "
            "limits are chosen on"
        )
    ordered = sorted(order.slides, key=lambda path: (zlib.crc32(path.name.encode()), path.name))
    count = round(_VALIDATION_SHARE * len(ordered))
    return ordered[count:], ordered[:count]


def _drawn(positive: NDArray[np.bool_], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Tiles of a slide to learn from, ``(k,)``."""
    kinds = [np.flatnonzero(positive), np.flatnonzero(~positive)]
    first = rng.permutation(kinds[0])[: most // 2]
    second = rng.permutation(kinds[1])[: most - len(first)]
    return np.sort(np.concatenate([first, second]))


def _seen(slide: AnsweredSlide, chosen: NDArray[np.int64]) -> NDArray[np.uint8] | None:
    """Pictures of some tiles; None where one cannot be read. The slide is closed."""
    try:
        return views_of(slide, chosen)
    except DamagedSlideError:
        return None
    finally:
        slide.reader.close()


def _examples(
    package: ModelPackage, views: list[NDArray[np.uint8]], answers: list[NDArray[np.float32]]
) -> Examples:
    if not views:
        raise UsageError("none of the slides to learn from can be used")
    examples = Examples(np.concatenate(views), np.concatenate(answers))
    positive = examples.probabilities >= np.float32(package.description.threshold.value)
    if not positive.any() or positive.all():
        which = "no" if not positive.any() else "every"
        raise UsageError(
            f"{package.name} calls {which} tile of the slides to learn from positive; name slides "
            "of both kinds"
        )
    return examples
