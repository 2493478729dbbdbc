"""Splits: nobody on both sides, whatever the table; shares and strata where there is a choice."""

from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from wsi_pipeline.cohort import Cohort, CohortSlide, Label, Split
from wsi_pipeline.cohort.splitting import SplitOptions, folds, split
from wsi_pipeline.errors import CohortError, UsageError

LABELS: list[Label | None] = [None, "normal", "tumour", "itc", "micro", "macro"]
SPLITS: list[Split | None] = [None, None, None, "train", "validation", "test", "excluded"]


@st.composite
def tables(draw: st.DrawFn) -> list[CohortSlide]:
    """Any slides at all: patients in several centres, spelled in several ways, splits that
    contradict each other, single slides, none.
    """
    names = ["p1", "P1", "p 2", "p  2", "p3", "p4", "p5", "p6", "ﬁ7", "fi7"]
    patients = st.sampled_from([*names, *(f"q{number}" for number in range(20))])
    # Mostly undecided tables, and some in which everything was decided by chance.
    splits = draw(st.sampled_from([st.none(), st.none(), st.sampled_from(SPLITS)]))
    return [
        CohortSlide(
            name=f"s{number}",
            label=draw(st.sampled_from(LABELS)),
            patient=draw(patients),
            centre=draw(st.sampled_from(["", "a", "b", "c"])),
            split=draw(splits),
        )
        for number in range(draw(st.integers(0, 16)))
    ]


@st.composite
def requests(draw: st.DrawFn) -> SplitOptions:
    return SplitOptions(
        validation=draw(st.sampled_from([0, 0.1, 0.2, 0.45])),
        test=draw(st.sampled_from([None, 0, 0.2, 0.5])),
        by=draw(st.sampled_from(["patient", "patient", "centre"])),
        seed=draw(st.integers(0, 5)),
        test_centres=tuple(draw(st.lists(st.sampled_from(["a", "b"]), max_size=1))),
        redraw=draw(st.booleans()),
    )


def spelled(patient: str) -> str:
    """A patient as a person would recognise it."""
    return "".join(patient.lower().split()).replace("ﬁ", "fi")


def refused_is_none(table: list[CohortSlide], options: SplitOptions) -> Cohort | None:
    try:
        return split(Cohort(tuple(table)), options)
    except CohortError:
        return None


def on_both_sides(slides: Cohort, key: str) -> set[str]:
    where = defaultdict(set)
    for slide in slides:
        if slide.split != "excluded":
            name = spelled(slide.patient) if key == "patient" else slide.centre
            where[name].add(slide.split)
    return {name for name, splits in where.items() if len(splits) > 1}


@settings(max_examples=300)
@given(tables(), requests())
def test_nobody_is_on_both_sides_of_any_table(
    table: list[CohortSlide], options: SplitOptions
) -> None:
    """It is refused, or it is safe; and what was decided stays decided."""
    divided = refused_is_none(table, options)
    event("refused" if divided is None else "divided")
    if divided is None:
        return
    assert not on_both_sides(divided, "patient")
    if options.by == "centre":
        assert not on_both_sides(divided, "centre")
    assert [slide.name for slide in divided] == [slide.name for slide in table]
    for before, after in zip(table, divided, strict=True):
        assert after.split is not None
        assert replace(after, split=before.split) == before
        kept = {"test", "excluded"} if options.redraw else {*SPLITS} - {None}
        if before.split in kept:
            assert after.split == before.split
        if before.split is None and before.centre in options.test_centres:
            assert after.split == "test"


@given(tables(), requests(), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_changes_a_split(
    table: list[CohortSlide], options: SplitOptions, shuffle: object
) -> None:
    divided = refused_is_none(table, options)
    assume(divided is not None)
    assert divided is not None
    shuffled = table[:]
    shuffle.shuffle(shuffled)  # type: ignore[attr-defined] # random.Random, which has no strategy type
    again = split(Cohort(tuple(shuffled)), options)
    assert {s.name: s.split for s in again} == {s.name: s.split for s in divided}
    once_more = split(divided, replace(options, redraw=False, test=None, test_centres=()))
    assert once_more == divided


@given(tables(), st.integers(2, 4), st.sampled_from(["patient", "centre"]))
def test_folds_share_no_patient(table: list[CohortSlide], count: int, by: str) -> None:
    undecided = [replace(slide, split=None) for slide in table if slide.split != "test"]
    try:
        parts = folds(Cohort(tuple(undecided)), count, by="centre" if by == "centre" else "patient")
    except CohortError:
        return
    assert len(parts) == count
    assert all(len(part) for part in parts)
    names = [slide.name for part in parts for slide in part]
    assert sorted(names) == sorted(slide.name for slide in undecided)
    for key in ("patient", by):
        owners = Counter(
            name
            for part in parts
            for name in {spelled(s.patient) if key == "patient" else s.centre for s in part}
        )
        assert set(owners.values()) <= {1}


def table_of(patients: int, per_patient: int = 2) -> Cohort:
    """Half of the patients in each centre; in each, half of them with tumour."""
    return Cohort(
        tuple(
            CohortSlide(
                f"p{p:03}_{n}",
                "tumour" if p // 2 % 2 else "normal",
                f"p{p:03}",
                "ab"[p % 2],
            )
            for p in range(patients)
            for n in range(per_patient)
        )
    )


@pytest.mark.parametrize("seed", range(5))
def test_every_split_has_its_share_of_every_label_and_centre(seed: int) -> None:
    divided = split(table_of(40), SplitOptions(validation=0.2, test=0.2, seed=seed))
    counts = Counter((s.split, s.positive, s.centre) for s in divided)
    for centre in "ab":
        for positive in (True, False):
            assert counts["train", positive, centre] == 12
            assert counts["validation", positive, centre] == 4
            assert counts["test", positive, centre] == 4


def test_the_seed_decides() -> None:
    drawn = {tuple(s.split for s in split(table_of(40), SplitOptions(seed=n))) for n in range(4)}
    assert len(drawn) == 4


def test_patients_of_many_slides_stay_together_and_shares_hold_roughly() -> None:
    rows = [
        CohortSlide(f"p{p}_{n}", "tumour" if n % 2 else "normal", f"p{p}", "a")
        for p in range(30)
        for n in range(1 + p % 7)
    ]
    divided = split(Cohort(tuple(rows)), SplitOptions(validation=0.2, test=0.3))
    shares = Counter(slide.split for slide in divided)
    assert shares["validation"] / len(rows) == pytest.approx(0.2, abs=0.05)
    assert shares["test"] / len(rows) == pytest.approx(0.3, abs=0.05)


def test_a_test_split_that_is_there_stays_and_no_other_is_drawn() -> None:
    rows = [replace(s, split="test" if s.patient < "p010" else None) for s in table_of(40)]
    divided = split(Cohort(tuple(rows)), SplitOptions())
    assert {s.patient for s in divided.of("test")} == {f"p{n:03}" for n in range(10)}
    assert len(divided.of("validation")) == pytest.approx(0.2 * 60, abs=2)
    more = split(Cohort(tuple(rows)), SplitOptions(test=0.5))
    assert len(more.of("test")) == pytest.approx(40, abs=2)


def test_redrawing_leaves_test_slides_alone() -> None:
    first = split(table_of(40), SplitOptions(seed=1))
    assert split(first, SplitOptions(seed=2)) == first
    second = split(first, SplitOptions(seed=2, redraw=True))
    assert second.of("test") == first.of("test")
    assert second.of("validation") != first.of("validation")


def test_a_centre_may_be_for_testing_only() -> None:
    divided = split(table_of(40), SplitOptions(test=0.2, test_centres=("b",)))
    assert {s.centre for s in divided.of("train", "validation")} == {"a"}
    within = [s for s in divided.of("test") if s.centre == "a"]
    assert len(within) == 8  # a fifth of centre a's slides, beside all of b's
    assert len(divided.of("test")) == 48
    only = split(table_of(40), SplitOptions(test_centres=("b",)))
    assert {s.centre for s in only.of("test")} == {"b"}


def test_whole_centres_for_camelyon17() -> None:
    rows = [
        CohortSlide(f"patient_{p:03}_node_{n}", "normal", f"patient_{p:03}", f"centre_{p // 20}")
        for p in range(100)
        for n in range(5)
    ]
    divided = split(Cohort(tuple(rows)), SplitOptions(by="centre"))
    assert not on_both_sides(divided, "centre")
    assert [len(divided.of(one)) for one in ("train", "validation", "test")] == [300, 100, 100]


def test_centres_that_share_a_patient_stay_together() -> None:
    rows = [CohortSlide(f"s{n}", "normal", f"p{n}", f"c{n % 4}") for n in range(20)]
    rows.append(CohortSlide("bridge", "normal", "p0", "c3"))
    for seed in range(5):
        divided = split(Cohort(tuple(rows)), SplitOptions(by="centre", seed=seed))
        where = {slide.centre: slide.split for slide in divided}
        assert where["c0"] == where["c3"]


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (table_of(2), SplitOptions(), "2 patients cannot fill test, train, validation"),
        (table_of(40), SplitOptions(by="centre"), "2 centres cannot fill"),
        (
            table_of(4),
            SplitOptions(test_centres=("x",)),
            "no slide is of the centre x; there are: a",
        ),
        (
            Cohort((CohortSlide("s", "normal", "p"),)),
            SplitOptions(by="centre"),
            "needs every slide's, and s has none",
        ),
        (
            Cohort(tuple(replace(s, split="train") for s in table_of(4))),
            SplitOptions(test_centres=("b",)),
            "is in train, and the centre cannot be held out",
        ),
    ],
)
def test_what_cannot_be_divided_is_refused(rows: Cohort, options: SplitOptions, said: str) -> None:
    with pytest.raises(CohortError, match=said):
        split(rows, options)


def test_shares_that_leave_nothing_are_refused() -> None:
    for validation, test in ((1.0, None), (-0.1, None), (0.2, 1.0), (0.5, 0.5)):
        with pytest.raises(UsageError):
            SplitOptions(validation=validation, test=test)
    with pytest.raises(UsageError, match="nothing to train on"):
        split(table_of(40), SplitOptions(validation=0.85))
    with pytest.raises(UsageError, match="at least 2 folds"):
        folds(table_of(4), 1)


def test_nothing_to_divide_is_no_error() -> None:
    decided = Cohort(tuple(replace(s, split="test") for s in table_of(4)))
    assert split(decided, SplitOptions()) == decided
    assert split(Cohort(()), SplitOptions()) == Cohort(())


def test_five_folds_are_even() -> None:
    parts = folds(table_of(40), 5, seed=3)
    assert [len(part) for part in parts] == [16] * 5
    assert {sum(bool(s.positive) for s in part) for part in parts} == {8}
