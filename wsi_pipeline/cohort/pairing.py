"""Pairing truth with slides, by name and by nothing else."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wsi_pipeline.cohort.search import Found

#: The kinds of truth one may prefer where a slide has several.
Prefer = Literal["asap", "geojson", "ncrf", "mask"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A slide and its truth.

    Attributes:
        slide: The slide.
        truth: What is known of its tumour; None: no file is.
        others: Truth of it that is not used.
    """

    slide: Found
    truth: Found | None = None
    others: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class Pairing:
    """Pairs, and what stands against them.

    Attributes:
        pairs: One for each slide name, ordered by it.
        problems: One sentence for each file that is there twice, or belongs to nothing.
    """

    pairs: tuple[Pair, ...]
    problems: tuple[str, ...]


def pair(files: Iterable[Found], prefer: Prefer | None = None) -> Pairing:
    """Pair each slide with the annotation or mask of its name; capitals do not matter.

    A slide may have an annotation and a mask: the annotation is used, which is exact at every
    scale. Two annotations, two masks or two slides of one name are a problem, unless ``prefer``
    settles which annotation is meant.
    """
    slides: dict[str, list[Found]] = {}
    truths: dict[str, list[Found]] = {}
    for found in files:
        group = slides if found.kind == "slide" else truths
        group.setdefault(found.key, []).append(found)
    problems: list[str] = []
    pairs: list[Pair] = []
    for key in sorted(slides):
        first, *more = slides[key]
        if more:
            problems.append(f"two slides are called {first.name}: {_named(slides[key])}")
        candidates = truths.pop(key, [])
        truth = _choose(first.name, candidates, prefer, problems)
        others = tuple(one for one in candidates if one is not truth)
        pairs.append(Pair(first, truth, others))
    for left in truths.values():
        problems += [f"{one.path}: there is no slide called {one.name}" for one in left]
    return Pairing(tuple(pairs), tuple(problems))


def _choose(
    name: str, candidates: Sequence[Found], prefer: Prefer | None, problems: list[str]
) -> Found | None:
    masks = [one for one in candidates if one.kind == "mask"]
    annotations = [one for one in candidates if one.kind != "mask"]
    for kind in ("asap", "geojson", "ncrf", "mask"):
        same = [one for one in candidates if one.kind == kind]
        if len(same) > 1:
            problems.append(
                f"slide {name} has two annotations or masks of one kind: {_named(same)}"
            )
    preferred = [one for one in candidates if one.kind == prefer]
    if preferred:
        return preferred[0]
    if len({one.kind for one in annotations}) > 1:
        problems.append(
            f"slide {name} has two annotations: {_named(annotations)}; "
            "remove one, or say which is meant with --prefer"
        )
    return next(iter(annotations or masks), None)


def _named(files: Sequence[Found]) -> str:
    return " and ".join(str(one.path) for one in files)


def same_contents(paths: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Pairs of files that are equal byte for byte; only files of equal length are read."""
    by_size: dict[int, list[Path]] = {}
    for path in paths:
        if path.is_file():
            by_size.setdefault(path.stat().st_size, []).append(path)
    pairs: list[tuple[Path, Path]] = []
    for group in by_size.values():
        firsts: list[Path] = []
        for path in group:
            same = next((one for one in firsts if _equal(one, path)), None)
            if same is None:
                firsts.append(path)
            else:
                pairs.append((same, path))
    return pairs


def _equal(one: Path, other: Path) -> bool:
    block = 2**20
    with one.open("rb") as first, other.open("rb") as second:
        while True:
            left, right = first.read(block), second.read(block)
            if left != right:
                return False
            if not left:
                return True
