"""Deals images out for training, validation and test: groups whole, classes alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsi_pipeline.errors import CohortError, UsageError
from wsi_pipeline.training.images import Example, Examples

#: Shares of training, validation and test.
_SHARES = (0.6, 0.2, 0.2)
_PARTS = ("training", "validation", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """Which image is used for what.

    Attributes:
        train: Trained on.
        validation: Chosen, calibrated and decided on.
        test: Looked at in the end.
        external: Of a source that nothing else is of; only looked at in the end.
        kept_apart: Images left out because they are of one group with an external one, or hold
            the same picture.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    external: tuple[Example, ...] = ()
    kept_apart: int = 0


def split_examples(examples: Examples, seed: int, test_source: str | None = None) -> Split:
    """Deal out 60, 20 and 20 %, the same for the same seed whatever the order of the images.

    Args:
        examples: The images.
        seed: Of the order of the groups.
        test_source: A source whose images are not dealt out but kept for the test.

    Raises:
        UsageError: there is no such source.
        CohortError: a class has too few groups to be in every part.
    """
    images = sorted(examples.images, key=lambda image: image.path)
    external = [one for one in images if test_source is not None and one.source == test_source]
    if test_source is not None and not external:
        known = ", ".join(sorted({one.source for one in images if one.source})) or "none named"
        raise UsageError(f"--test-source {test_source}: the sources are {known}")
    theirs = {image.group for image in external}
    dealt = [image for image in images if image.source != test_source or test_source is None]
    inner = [image for image in dealt if image.group not in theirs]
    by_part = _dealt(inner, examples, seed)
    train, validation, test = (
        tuple(image for image in inner if by_part[image.group] == part) for part in range(3)
    )
    return Split(train, validation, test, tuple(external), len(dealt) - len(inner))


def _dealt(images: Sequence[Example], examples: Examples, seed: int) -> dict[int, int]:
    """The part of each group. Classes with the fewest groups are dealt out first."""
    members: dict[int, list[Example]] = {}
    for image in images:
        members.setdefault(image.group, []).append(image)
    groups_of = [
        sorted(g for g, some in members.items() if any(one.label == label for one in some))
        for label in range(len(examples.classes))
    ]
    part: dict[int, int] = {}
    rng = np.random.default_rng(seed)
    # Numbers of groups depend on the order of the images; the first file of each does not.
    first = {group: some[0].path for group, some in members.items()}
    for label in sorted(range(len(groups_of)), key=lambda label: len(groups_of[label])):
        _check(label, groups_of[label], members, examples)
        left = sorted((g for g in groups_of[label] if g not in part), key=lambda g: first[g])
        shuffled = [left[index] for index in rng.permutation(len(left))]
        _deal_class(label, shuffled, members, part)
        for wanted in range(3):
            _fill(label, wanted, groups_of[label], members, part, examples)
    return part


def _deal_class(
    label: int, groups: Sequence[int], members: dict[int, list[Example]], part: dict[int, int]
) -> None:
    sizes = [sum(one.label == label for one in members[group]) for group in groups]
    total, done = sum(sizes), 0
    for group, size in zip(groups, sizes, strict=True):
        middle = (done + size / 2) / total
        part[group] = 0 if middle <= _SHARES[0] else 1 if middle <= 1 - _SHARES[2] else 2
        done += size


def _fill(
    label: int,
    wanted: int,
    groups: Sequence[int],
    members: dict[int, list[Example]],
    part: dict[int, int],
    examples: Examples,
) -> None:
    """Give a part without this class a group of another part that has two or more, the smallest."""
    of = [[group for group in groups if part[group] == number] for number in range(3)]
    if of[wanted]:
        return
    # Moving a group must take no other class away from where it is.
    spare = [
        group
        for number in range(3)
        if len(of[number]) > 1
        for group in of[number]
        if all(one.label == label for one in members[group])
    ]
    if not spare:
        raise CohortError(
            examples.origin,
            f"there is no image of {examples.classes[label]} for {_PARTS[wanted]}; more groups "
            "are needed",
        )
    part[min(spare, key=lambda group: (len(members[group]), group))] = wanted


def _check(
    label: int, groups: Sequence[int], members: dict[int, list[Example]], examples: Examples
) -> None:
    if len(groups) >= 3:
        return
    count = sum(one.label == label for group in groups for one in members[group])
    images = "1 image" if count == 1 else f"{count} images"
    of = "1 group" if len(groups) == 1 else f"{len(groups)} groups"
    raise CohortError(
        examples.origin,
        f"the class {examples.classes[label]} has {images} in {of}; three are needed, one each for "
        "training, validation and test: add images, or leave the class out",
    )
