"""Looking at a cohort's files, and counting it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from wsi_pipeline.cohort import Cohort, CohortSlide
from wsi_pipeline.cohort.inspection import inspect_cohort
from wsi_pipeline.cohort.pairing import same_contents
from wsi_pipeline.cohort.summary import summarise, to_json, warnings
from wsi_pipeline.testing.annotations import square, write_asap

MakeSlide = Callable[..., Path]


def test_what_is_wrong_with_files_is_named_in_order(make_slide: MakeSlide, tmp_path: Path) -> None:
    good, short = make_slide("a.tiff"), make_slide("b.tiff")
    with short.open("r+b") as file:
        file.truncate(short.stat().st_size // 2)
    inside = write_asap(tmp_path / "in.xml", square(10, 10, 40))
    outside = write_asap(tmp_path / "out.xml", square(900, 900, 40))
    row = CohortSlide("a", "tumour", "p", annotated="full", path=good, truth_kind="asap")
    rows = [
        replace(row, truth=inside),
        replace(row, name="b", path=short),
        replace(row, name="c", truth=outside),
        replace(row, name="d", truth=inside, label="normal"),
        replace(row, name="e", path=tmp_path / "absent.tiff"),
        replace(row, name="f", path=None),
        replace(row, name="g", truth=write_asap(tmp_path / "none.xml")),
    ]
    seen: list[tuple[int, int]] = []
    found = inspect_cohort(rows, lambda done, total: seen.append((done, total)))
    wanted = ["truncated", "outside the slide", "labelled normal", "no such file", "no file"]
    assert len(found) == 6
    for text, said in zip(found, [*wanted, "holds no tumour"], strict=True):
        assert said in text
    assert str(outside) in found[1]
    assert str(good) in found[1]
    assert seen[-1] == (7, 7)


def test_equal_files_are_found_by_their_bytes(tmp_path: Path) -> None:
    for name, content in (("a", b"xy"), ("b", b"xz"), ("c", b"xy"), ("d", b"xyz"), ("e", b"xy")):
        (tmp_path / name).write_bytes(content)
    found = same_contents(tmp_path / name for name in "abcde")
    assert found == [(tmp_path / "a", tmp_path / "c"), (tmp_path / "a", tmp_path / "e")]
    assert same_contents([tmp_path]) == []


ROWS = Cohort(
    (
        CohortSlide("a", "tumour", "p1", "w", "train", "full"),
        CohortSlide("b", "macro", "P1", "w", "train", "partial"),
        CohortSlide("c", "normal", "p2", "w", "train"),
        CohortSlide("d", None, "p3", "e", "test"),
        CohortSlide("e", "normal", "p4", "e"),
        CohortSlide("f", "normal", "p5", "e", "excluded"),
    )
)


def test_slides_are_counted_by_split_and_centre() -> None:
    first, *rest = summarise(ROWS)
    assert (first.split, first.centre) == ("train", "w")
    assert (first.slides, first.patients, first.normal, first.tumour) == (3, 2, 1, 2)
    assert (first.full, first.partial, first.unlabelled) == (1, 1, 0)
    assert [row.split for row in rest] == ["test", "", "excluded"]
    assert rest[0].unlabelled == 1


def test_what_would_spoil_a_training_is_said() -> None:
    said = "; ".join(warnings(ROWS))
    assert "test has no tumour slide" in said
    assert "test has no normal slide" in said
    assert "1 slides are in no split yet" in said
    assert "train has no" not in said
    assert "its own patient" not in said
    alone = Cohort(tuple(replace(slide, patient=slide.name) for slide in ROWS))
    assert "every slide counts as another patient" in "; ".join(warnings(alone))
    assert warnings(Cohort(())) == []


def test_the_counts_are_json() -> None:
    facts = to_json(ROWS)
    assert (facts["slides"], facts["patients"]) == (6, 5)
