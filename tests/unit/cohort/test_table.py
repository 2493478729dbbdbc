"""The table as a file: what it says comes back, what it cannot say is refused."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.cohort import Cohort, CohortSlide, read_cohort, write_cohort
from wsi_pipeline.errors import CohortError
from wsi_pipeline.geometry import Size
from wsi_pipeline.testing.annotations import asap_annotation, asap_xml, square

texts = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters=";"), min_size=1, max_size=8
)


@st.composite
def slides(draw: st.DrawFn) -> CohortSlide:
    name = draw(texts)
    truth = draw(st.booleans())
    return CohortSlide(
        name=name,
        label=draw(st.sampled_from([None, "normal", "tumour", "itc", "micro", "macro"])),
        patient=draw(texts),
        centre=draw(st.one_of(st.just(""), texts)),
        split=draw(st.sampled_from([None, "excluded"])),
        annotated=draw(st.sampled_from(["full", "partial", "none"])),
        path=draw(st.sampled_from([None, Path("/slides") / f"{len(name)}" / f"{name}.svs"])),
        truth=Path(f"/truth/{name}.xml") if truth else None,
        truth_kind=draw(st.sampled_from(["asap", "mask-2"])) if truth else None,
        tumour_classes=tuple(draw(st.lists(texts, max_size=2))),
    )


def distinct(made: list[CohortSlide]) -> list[CohortSlide]:
    by_name = {slide.name: slide for slide in made if "/" not in slide.name}
    return list(by_name.values())


@given(st.lists(slides(), max_size=5).map(distinct))
def test_a_table_that_is_written_says_the_same_when_read(
    tmp_path_factory: pytest.TempPathFactory, made: list[CohortSlide]
) -> None:
    path = tmp_path_factory.mktemp("table") / "cohort.csv"
    cohort = Cohort(tuple(made))
    write_cohort(cohort, path)
    assert read_cohort(path).slides == cohort.slides


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cohort.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_below_the_table_are_relative_to_it(tmp_path: Path) -> None:
    inside, outside = tmp_path / "data" / "a.svs", tmp_path.parent / "elsewhere" / "b.svs"
    rows = (
        CohortSlide("a", "normal", "p", path=inside),
        CohortSlide("b", "normal", "q", path=outside),
    )
    table = tmp_path / "cohort.csv"
    write_cohort(Cohort(rows), table)
    assert "data/a.svs" in table.read_text().replace(str(tmp_path), "?")
    moved = tmp_path / "moved"
    moved.mkdir()
    table.rename(moved / "cohort.csv")
    found = read_cohort(moved / "cohort.csv")
    assert found.get("a").path == moved / "data" / "a.svs"
    assert found.get("b").path == outside


def test_a_table_by_hand_needs_two_columns(tmp_path: Path) -> None:
    cohort = read_cohort(written(tmp_path, "slide,label\na,Tumor\nb,0\nc,\n"))
    assert [slide.label for slide in cohort] == ["tumour", "normal", None]
    assert [slide.patient for slide in cohort] == ["a", "b", "c"]
    assert [slide.positive for slide in cohort] == [True, False, None]


def test_a_slide_opens_its_truth_by_its_own_classes(tmp_path: Path) -> None:
    truth = tmp_path / "a.xml"
    truth.write_text(asap_xml(asap_annotation(square(5, 5), "DCIS")))
    slide = CohortSlide(
        "a", "tumour", "p", truth=truth, truth_kind="asap", tumour_classes=("DCIS",)
    )
    opened = slide.open_truth(Size(100, 100))
    assert opened is not None
    assert opened.bounds == (5.0, 5.0, 15.0, 15.0)
    assert CohortSlide("a", "tumour", "p").open_truth() is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,label\na,normal\n", "no column 'slide'"),
        ("slide\na\n", "no column 'label'"),
        ("slide,label\n,normal\n", "line 2: it names no slide"),
        ("slide,label\na,normal\nb,perhaps\n", "line 3: label 'perhaps' is none of"),
        ("slide,label,split\na,normal,half\n", "line 2: split 'half'"),
        ("slide,label,annotation\na,normal,x\n", "line 2: annotation 'x'"),
        ("slide,label,truth_kind\na,normal,mask\n", "line 2: truth_kind 'mask'"),
        ("slide,label\na,normal\na,tumour\n", "slide a is there twice"),
        ("slide,label,slide_path\na,0,x.svs\nb,1,./x.svs\n", "there twice, as a and b"),
        ("slide,label,patient,split\na,0,p,train\nb,1,p,test\n", "patient p is in two splits"),
        ("slide,label,patient,split\na,0,P 1,train\nb,1,p  1,test\n", "in two splits"),
    ],
)
def test_what_is_impossible_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(CohortError, match=said) as caught:
        read_cohort(path)
    assert str(path) in str(caught.value)


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="cannot be read"):
        read_cohort(tmp_path / "absent.csv")
    path = tmp_path / "cohort.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CohortError, match="cannot be read"):
        read_cohort(path)


def test_an_excluded_slide_is_in_no_split(tmp_path: Path) -> None:
    rows = (
        CohortSlide("a", "normal", "p", split="train"),
        CohortSlide("b", "normal", "p", split="excluded"),
    )
    cohort = Cohort(rows)
    assert [slide.name for slide in cohort.of("train")] == ["a"]
    with pytest.raises(CohortError, match="no slide c"):
        cohort.get("c")


def test_a_full_disk_leaves_the_table_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = written(tmp_path, "slide,label\na,normal\n")
    before = table.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_cohort(Cohort((CohortSlide("b", "normal", "p"),)), table)
    assert table.read_bytes() == before
    assert list(tmp_path.iterdir()) == [table]
