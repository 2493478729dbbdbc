"""Dividing a cohort so that nobody is on both sides: whole patients, or whole centres.

What is divided are *groups*: all slides of a patient, or of a centre; where one patient's slides
come from two centres and whole centres are wanted, those centres are one group. There is no finer
unit, in particular none below a slide.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from wsi_pipeline.cohort.table import Cohort, CohortSlide, Split
from wsi_pipeline.errors import CohortError, UsageError

By = Literal["patient", "centre"]
Drawn = Literal["train", "validation", "test"]

#: A split, or the name of a fold.
_Part = TypeVar("_Part", bound=str)
#: Label and centre of a slide: what every split should have its share of.
_Stratum = tuple[str, str]


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """How a cohort is divided.

    Attributes:
        validation: Share of the slides, 0 to below 1.
        test: Share of the slides; None: 0.2, or none where some slides are test slides already.
        by: What stays together.
        seed: Of the drawing; the same table and seed give the same splits.
        test_centres: Centres that are for testing, whole.
        redraw: Draw training and validation slides anew; test slides stay what they are.
    """

    validation: float = 0.2
    test: float | None = None
    by: By = "patient"
    seed: int = 0
    test_centres: tuple[str, ...] = ()
    redraw: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.validation < 1:
            raise UsageError(f"--validation must be 0 to below 1, not {self.validation}")
        if self.test is not None and not 0 <= self.test < 1:
            raise UsageError(f"--test must be 0 to below 1, not {self.test}")
        if self.validation + (self.test or 0) >= 1:
            raise UsageError("--validation and --test leave nothing to train on")


def split(cohort: Cohort, options: SplitOptions) -> Cohort:
    """Give every slide that has no split one; the order of rows changes nothing.

    What is decided stays: test and excluded slides always, the others unless ``redraw``. A group
    of which some slides are decided goes where they are.

    Raises:
        CohortError: a group's slides are decided differently, there are too few groups, or
            centres are asked for that are not there.
    """
    fixed = {"test", "excluded"} if options.redraw else {"train", "validation", "test", "excluded"}
    slides = [
        slide if slide.split in fixed else replace(slide, split=None) for slide in cohort.slides
    ]
    slides = _hold_out(cohort, slides, options)
    groups = _groups(cohort, slides, options.by)
    decided = {key: _decided(cohort, key, members) for key, members in groups.items()}
    chosen = _draw(cohort, groups, decided, slides, options)
    of_slide = {slide.name: chosen[key] for key, members in groups.items() for slide in members}
    return Cohort(
        tuple(replace(slide, split=of_slide.get(slide.name, slide.split)) for slide in slides),
        cohort.source,
    )


def folds(cohort: Cohort, count: int, *, seed: int = 0, by: By = "patient") -> list[Cohort]:
    """The training and validation slides of a cohort in ``count`` parts of whole groups.

    Args:
        cohort: Slides of other splits are in no part.
        count: How many parts, at least 2.
        seed: Of the drawing.
        by: What stays together.

    Raises:
        CohortError: there are fewer groups than parts.
    """
    if count < 2:
        raise UsageError(f"cross-validation needs at least 2 folds, not {count}")
    slides = [slide for slide in cohort if slide.split not in ("test", "excluded")]
    groups = _groups(cohort, slides, by)
    if len(groups) < count:
        raise CohortError(
            cohort.source, f"{count} folds need as many {_plural(by)}, and there are {len(groups)}"
        )
    names = [str(number) for number in range(count)]
    where = _allot(groups, dict.fromkeys(names, 1 / count), seed)
    return [
        Cohort(
            tuple(s for key, members in groups.items() if where[key] == name for s in members),
            cohort.source,
        )
        for name in names
    ]


def _hold_out(
    cohort: Cohort, slides: Sequence[CohortSlide], options: SplitOptions
) -> list[CohortSlide]:
    """Make whole centres test slides, and with them all other slides of their patients."""
    wanted = set(options.test_centres)
    missing = wanted - {slide.centre for slide in slides}
    if missing:
        known = ", ".join(sorted({slide.centre for slide in slides if slide.centre})) or "none"
        raise CohortError(
            cohort.source,
            f"no slide is of the centre {', '.join(sorted(missing))}; there are: {known}",
        )
    held = []
    for slide in slides:
        if slide.centre in wanted and slide.split in ("train", "validation"):
            raise CohortError(
                cohort.source,
                f"{slide.name} of centre {slide.centre} is in {slide.split}, and the centre cannot "
                "be held out; pass --redraw",
            )
        free = slide.centre in wanted and slide.split is None
        held.append(replace(slide, split="test") if free else slide)
    return held


def _groups(cohort: Cohort, slides: Iterable[CohortSlide], by: By) -> dict[str, list[CohortSlide]]:
    """Slides that must stay together, by the name of the first patient or centre among them."""
    used = [slide for slide in slides if slide.split != "excluded"]
    if by == "patient":
        key_of = {slide.name: slide.patient_key for slide in used}
    else:
        without = [slide.name for slide in used if not slide.centre]
        if without:
            raise CohortError(
                cohort.source,
                f"a split by centre needs every slide's, and {without[0]} has none "
                f"({len(without)} slides in all)",
            )
        key_of = _centres(used)
    groups: dict[str, list[CohortSlide]] = {}
    for slide in used:
        groups.setdefault(key_of[slide.name], []).append(slide)
    return groups


def _centres(slides: Sequence[CohortSlide]) -> dict[str, str]:
    """Each slide's centre; centres that share a patient are all called as the first of them."""
    parent = {slide.centre: slide.centre for slide in slides}

    def root(centre: str) -> str:
        while parent[centre] != centre:
            centre = parent[centre]
        return centre

    of_patient: dict[str, str] = {}
    for slide in slides:
        first = of_patient.setdefault(slide.patient_key, slide.centre)
        one, other = sorted((root(first), root(slide.centre)))
        parent[other] = one
    return {slide.name: root(slide.centre) for slide in slides}


def _decided(cohort: Cohort, key: str, members: Sequence[CohortSlide]) -> Drawn | None:
    """The split that some of a group's slides are in."""
    found: dict[Split, str] = {}
    for slide in members:
        if slide.split is not None:
            found.setdefault(slide.split, slide.name)
    if len(found) > 1:
        said = ", ".join(f"{name} in {where}" for where, name in sorted(found.items()))
        raise CohortError(cohort.source, f"{key} belongs together, but has {said}")
    where = next(iter(found), None)
    return None if where == "excluded" else where


def _shares(slides: Sequence[CohortSlide], options: SplitOptions) -> dict[Drawn, float]:
    test = options.test
    if test is None:
        test = 0.0 if any(slide.split == "test" for slide in slides) else 0.2
    if options.validation + test >= 1:
        raise UsageError("--validation and --test leave nothing to train on")
    return {"train": 1 - options.validation - test, "validation": options.validation, "test": test}


def _draw(
    cohort: Cohort,
    groups: Mapping[str, Sequence[CohortSlide]],
    decided: Mapping[str, Drawn | None],
    slides: Sequence[CohortSlide],
    options: SplitOptions,
) -> dict[str, Drawn]:
    """Where each group goes: its decided split, or a drawn one."""
    shares = _shares(slides, options)
    chosen: dict[str, Drawn] = {key: where for key, where in decided.items() if where is not None}
    wanted = {where: share for where, share in shares.items() if share}
    # What was decided for a part of which no share is wanted, such as test slides that were there,
    # is beside the shares of the rest; so are whole centres for testing.
    beside = {
        key
        for key, where in chosen.items()
        if where not in wanted
        or (where == "test" and any(s.centre in options.test_centres for s in groups[key]))
    }
    free = len(groups) - len(chosen)
    if not free:
        return chosen
    used = {key: where for key, where in chosen.items() if key not in beside}
    empty = set(wanted) - set(used.values())
    if free < len(empty):
        raise CohortError(
            cohort.source,
            f"{free} {_plural(options.by)} cannot fill {', '.join(sorted(empty))}; lower "
            "--validation or --test, or divide by smaller units",
        )
    chosen.update(
        _allot(
            {key: members for key, members in groups.items() if key not in beside},
            wanted,
            options.seed,
            used,
        )
    )
    return chosen


def _allot(
    groups: Mapping[str, Sequence[CohortSlide]],
    shares: Mapping[_Part, float],
    seed: int,
    fixed: Mapping[str, _Part] | None = None,
) -> dict[str, _Part]:
    """Give each group a part, so that each part has its share of every stratum.

    Large groups first, in drawn order, each where it leaves the least squared distance from the
    shares. A part that is still empty is filled before the groups run out.

    Args:
        groups: All of them.
        shares: Of each part; they add up to 1.
        seed: Of the drawing.
        fixed: Groups whose part is settled.
    """
    where = dict(fixed or {})
    total: Counter[_Stratum] = Counter()
    has: dict[_Part, Counter[_Stratum]] = {part: Counter() for part in shares}
    for key, members in groups.items():
        strata = _strata(members)
        total += strata
        if key in where:
            has[where[key]] += strata
    # By name, so that the order of a table's rows changes nothing.
    free = sorted(key for key in groups if key not in where)
    random.Random(seed).shuffle(free)
    free.sort(key=lambda key: -len(groups[key]))
    for index, key in enumerate(free):
        strata = _strata(groups[key])
        empty = [part for part in shares if not has[part]]
        allowed = empty if len(empty) >= len(free) - index else list(shares)
        best = min(allowed, key=lambda part: _distance(has, part, strata, total, shares))
        where[key] = best
        has[best] += strata
    return where


def _distance(
    has: Mapping[_Part, Counter[_Stratum]],
    part: _Part,
    added: Counter[_Stratum],
    total: Counter[_Stratum],
    shares: Mapping[_Part, float],
) -> float:
    """By how much the distance from the shares changes if ``part`` is given ``added``."""
    change = 0.0
    for stratum, count in added.items():
        wanted = shares[part] * total[stratum]
        before = has[part][stratum] - wanted
        # Relative to what is wanted: a small part is as full with one group as a large with five.
        change += ((before + count) ** 2 - before**2) / max(wanted, 1e-9)
    size, whole = sum(has[part].values()), sum(total.values()) * shares[part]
    return change + ((size + sum(added.values()) - whole) ** 2 - (size - whole) ** 2) / whole


def _strata(members: Sequence[CohortSlide]) -> Counter[_Stratum]:
    known = {None: "?", True: "positive", False: "negative"}
    return Counter((known[slide.positive], slide.centre) for slide in members)


def _plural(by: By) -> str:
    return "patients" if by == "patient" else "centres"
