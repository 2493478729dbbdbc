"""What is known of a slide: label, annotation state and truth must not contradict each other."""

from dataclasses import replace
from pathlib import Path

import pytest
from laboratory_support import asap

from wsi_pipeline.cohort.table import CohortSlide, Label
from wsi_pipeline.errors import AnnotationError, CohortError
from wsi_pipeline.evaluation.reference_standard import open_reference_standard
from wsi_pipeline.geometry import Size

SIZE = Size(1000, 1000)


@pytest.fixture
def slide(tmp_path: Path) -> CohortSlide:
    """A fully annotated slide with tumour."""
    truth = asap(tmp_path / "s.xml", [(10, 10, 100, 100)])
    return CohortSlide("s", "tumour", "p", annotated="full", truth=truth, truth_kind="asap")


def test_a_fully_annotated_slide(slide: CohortSlide) -> None:
    ground = open_reference_standard(slide, SIZE)
    assert ground.positive
    assert ground.exhaustive
    assert ground.truth is not None


def test_a_partly_annotated_one_is_not_exhaustive(slide: CohortSlide) -> None:
    ground = open_reference_standard(replace(slide, annotated="partial"), SIZE)
    assert ground.positive
    assert not ground.exhaustive
    assert ground.why_not == "not all of its tumour is annotated"


def test_normal_slides_need_no_annotation(slide: CohortSlide, tmp_path: Path) -> None:
    bare = replace(slide, label="normal", annotated="none", truth=None, truth_kind=None)
    assert open_reference_standard(bare, None).exhaustive
    empty = replace(bare, truth=asap(tmp_path / "none.xml", []), truth_kind="asap")
    assert open_reference_standard(empty, SIZE).positive is False


def test_without_a_label_a_full_annotation_decides(slide: CohortSlide, tmp_path: Path) -> None:
    assert open_reference_standard(replace(slide, label=None), SIZE).positive is True
    empty = asap(tmp_path / "none.xml", [])
    assert open_reference_standard(replace(slide, label=None, truth=empty), SIZE).positive is False
    partly = open_reference_standard(replace(slide, label=None, annotated="partial"), SIZE)
    assert partly.positive is None
    assert not partly.exhaustive


def test_contradictions_are_errors(slide: CohortSlide, tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"labelled normal, but .* holds tumour"):
        open_reference_standard(replace(slide, label="normal"), SIZE)
    with pytest.raises(CohortError, match="names no annotation"):
        open_reference_standard(replace(slide, truth=None, truth_kind=None), SIZE)
    empty = asap(tmp_path / "none.xml", [])
    with pytest.raises(CohortError, match="finds no tumour in"):
        open_reference_standard(replace(slide, truth=empty), SIZE)
    with pytest.raises(CohortError, match="does not say its truth_kind"):
        open_reference_standard(replace(slide, truth_kind=None), SIZE)


def test_an_annotation_of_another_slide_is_an_error(slide: CohortSlide) -> None:
    with pytest.raises(AnnotationError):
        open_reference_standard(slide, Size(60, 60))


@pytest.mark.parametrize(
    ("label", "extents", "expected"),
    [
        ("macro", (10.0,), ("macro", "label")),
        ("tumour", (250.0, 2500.0), ("macro", "extent")),
        ("tumour", (250.0, 100.0), ("micro", "extent")),
        ("tumour", (100.0,), ("itc", "extent")),
        ("tumour", None, (None, "")),
    ],
)
def test_the_kind_is_the_labels_else_the_longest_lesions(
    slide: CohortSlide,
    label: Label,
    extents: tuple[float, ...] | None,
    expected: tuple[Label | None, str],
) -> None:
    assert open_reference_standard(replace(slide, label=label), SIZE).kind(extents) == expected
