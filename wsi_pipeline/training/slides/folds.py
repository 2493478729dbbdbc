"""Dealing groups of slides out: to folds, and within a fold to the inner part.

A group, a patient, is in one part only. Groups of each class are dealt out apart, so that every
part has all classes.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from wsi_pipeline.errors import CohortError
from wsi_pipeline.training.slides.table import LabelledSlide, LabelledSlides

#: Keys of the random numbers, so that no two uses draw the same.
_FOLDS, _INNER = 1, 2


def fold_of(found: LabelledSlides, chosen: Sequence[int], folds: int, seed: int) -> list[int]:
    """The fold in which each of the chosen slides is held out, from 0 on.

    Raises:
        CohortError: there are fewer groups of a class than folds.
    """
    slides = [found.slides[index] for index in chosen]
    kinds = _kind_of_groups(slides)
    names = found.classes or ("without event", "with event")
    rng = np.random.default_rng([seed, _FOLDS, folds])
    fold: dict[str, int] = {}
    for kind, name in enumerate(names):
        members = sorted(group for group, one in kinds.items() if one == kind)
        if len(members) < folds:
            raise CohortError(
                found.source,
                f"{len(members)} groups of {name} cannot fill {folds} folds; write --folds "
                f"{max(2, len(members))} or add slides",
            )
        # Each kind is dealt on from where the last one ended, so that folds are of equal size.
        start = len(fold)
        for place, index in enumerate(rng.permutation(len(members))):
            fold[members[index]] = (start + place) % folds
    return [fold[slide.group] for slide in slides]


def inner_split(
    slides: Sequence[LabelledSlide], share: float, key: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Places of the slides that are trained on, and of those that decide when it ends.

    Args:
        slides: Of the folds that are not held out.
        share: Of the groups of each class that decide; at least one, never all of several.
        key: Of the random numbers.
    """
    kinds = _kind_of_groups(slides)
    rng = np.random.default_rng([*key, _INNER])
    deciding: set[str] = set()
    for kind in sorted(set(kinds.values())):
        members = sorted(group for group, one in kinds.items() if one == kind)
        count = min(math.ceil(share * len(members)), len(members) - 1)
        deciding |= {members[index] for index in rng.permutation(len(members))[:count]}
    train = [place for place, slide in enumerate(slides) if slide.group not in deciding]
    return train, [place for place, slide in enumerate(slides) if slide.group in deciding]


def _kind_of_groups(slides: Sequence[LabelledSlide]) -> dict[str, int]:
    """Of each group the commonest class, of equally common ones the last; or whether of events."""
    counts: dict[str, Counter[int]] = {}
    for slide in slides:
        counts.setdefault(slide.group, Counter())[slide.label + int(slide.event)] += 1
    return {
        group: max(count, key=lambda kind: (count[kind], kind)) for group, count in counts.items()
    }
