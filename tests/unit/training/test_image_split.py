"""Images are dealt out whole by group, with every class in every part."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.errors import CohortError, UsageError
from wsi_pipeline.training.image_split import split_examples
from wsi_pipeline.training.images import Example, Examples


def examples(groups: list[tuple[int, int]], sources: dict[int, str] | None = None) -> Examples:
    """Groups of a size and a class; the source of some by their number."""
    images = tuple(
        Example(Path(f"{g:03d}-{copy}"), label, g, (sources or {}).get(g), "", "", (8, 8))
        for g, (size, label) in enumerate(groups)
        for copy in range(size)
    )
    count = 1 + max(label for _, label in groups)
    names = tuple(f"class {number}" for number in range(count))
    return Examples(Path("images"), names, names[-1], images, True, 0, (), ())


@given(
    groups=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), max_size=40),
    seed=st.integers(0, 5),
)
def test_a_group_is_in_one_part_and_a_class_in_all(
    groups: list[tuple[int, int]], seed: int
) -> None:
    given_ = examples([*groups, *((1, label) for label in (0, 1, 2) for _ in range(3))])
    split = split_examples(given_, seed)
    parts = (split.train, split.validation, split.test)
    named = [{image.group for image in part} for part in parts]
    assert sum(map(len, parts)) == len(given_.images)
    assert len(named[0] | named[1] | named[2]) == sum(map(len, named))
    assert all({image.label for image in part} == {0, 1, 2} for part in parts)
    other = Examples(*(getattr(given_, name) for name in given_.__slots__))
    object.__setattr__(other, "images", given_.images[::-1])
    assert split_examples(other, seed) == split


def test_shares_are_as_stated() -> None:
    split = split_examples(examples([(1, number % 2) for number in range(200)]), 1)
    parts = (split.train, split.validation, split.test)
    assert [[sum(one.label for one in part), len(part)] for part in parts] == [
        [60, 120],
        [20, 40],
        [20, 40],
    ]


def test_a_class_too_small_to_be_split() -> None:
    many = [(1, 0)] * 9
    with pytest.raises(CohortError, match="the class class 1 has 2 images in 2 groups; three"):
        split_examples(examples([*many, (1, 1), (1, 1)]), 1)
    with pytest.raises(CohortError, match="has 5 images in 1 group;"):
        split_examples(examples([*many, (5, 1)]), 1)


def test_a_source_is_kept_for_the_test() -> None:
    groups = [(2, number % 2) for number in range(20)]
    sources = {number: "here" if number < 14 else "far" for number in range(20)}
    given_ = examples(groups, sources)
    # An image from here holds the same picture as one from far.
    alike = Example(Path("x"), 0, 15, "here", "", "", (8, 8))
    object.__setattr__(given_, "images", (*given_.images, alike))
    split = split_examples(given_, 1, "far")
    assert {one.source for one in split.external} == {"far"}
    assert len(split.external) == 12
    inner = (*split.train, *split.validation, *split.test)
    assert {one.source for one in inner} == {"here"}
    assert (len(inner), split.kept_apart) == (28, 1)
    with pytest.raises(UsageError, match="the sources are far, here"):
        split_examples(given_, 1, "moon")
