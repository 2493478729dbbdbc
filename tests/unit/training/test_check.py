"""What is wrong with a cohort is said before anything is trained, and names the slide."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from training_support import make_cohort, outline

from wsi_pipeline.cohort import Cohort, CohortSlide
from wsi_pipeline.cohort.table import read_cohort
from wsi_pipeline.errors import CohortError, TrainingError
from wsi_pipeline.training.check import (
    Surveyed,
    check_apart,
    check_classes,
    check_pairing,
    check_slides,
    check_space,
)
from wsi_pipeline.training.recipe import Recipe
from wsi_pipeline.training.run import Silence

Change = Callable[[str, CohortSlide], Cohort]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort that is sound."""
    return make_cohort(tmp_path_factory.mktemp("cohort"), ("train", "validation"))


@pytest.fixture
def cohort(drawn: Path, tmp_path: Path) -> Cohort:
    """A copy to spoil."""
    return read_cohort(Path(shutil.copytree(drawn.parent, tmp_path / "cohort")) / drawn.name)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe.model_validate(
        {
            "name": "r",
            "architecture": {"name": "baseline"},
            "patch_px": 64,
            "mpp": 0.5,
            "labels": {"central_px": 32},
            "sampling": {"stride": 32},
        }
    )


def changed(cohort: Cohort, name: str, **fields: object) -> Cohort:
    return Cohort(
        tuple(replace(s, **fields) if s.name == name else s for s in cohort),  # type: ignore[arg-type]  # fields of a slide
        cohort.source,
    )


def check(cohort: Cohort, recipe: Recipe, *, skip_bad: bool = False) -> list[Surveyed]:
    return check_slides(cohort, recipe, threads=2, observer=Silence(), skip_bad=skip_bad)


def test_a_sound_cohort(cohort: Cohort, recipe: Recipe) -> None:
    found = check(cohort, recipe)
    assert [one.slide.name for one in found] == ["tumour_0", "normal_0", "tumour_1", "normal_1"]
    counts = {one.slide.name: (one.tiles.tumour, one.tiles.normal) for one in found}
    # 512 px hold 16 × 16 cells; the central 32 px of 9 × 9 of them meet the 256 px of tumour.
    # Of the last patch of all, three quarters lie over the edge: that is too little tissue.
    assert counts["tumour_0"] == (81, 255 - 81)
    assert counts["normal_0"] == (0, 255)
    assert not any(one.synthetic or one.warnings for one in found)
    check_classes(found, "training", None)
    check_apart(found[:2], found[2:])
    with pytest.raises(CohortError, match="patient p0 is trained on and validated on"):
        check_apart(found[:1], found[1:])


def test_a_corrupt_slide_is_named_or_left_out(cohort: Cohort, recipe: Recipe) -> None:
    path = cohort.get("normal_0").path
    assert path is not None
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match=r"1 slide cannot .*normal_0\.tiff.*--skip-bad"):
        check(cohort, recipe)
    found = check(cohort, recipe, skip_bad=True)
    assert [one.slide.name for one in found] == ["tumour_0", "tumour_1", "normal_1"]


def test_every_bad_slide_is_named_at_once(cohort: Cohort, recipe: Recipe) -> None:
    for name in ("tumour_0", "normal_1"):
        path = cohort.get(name).path
        assert path is not None
        path.unlink()
    with pytest.raises(TrainingError, match=r"2 slides.*tumour_0\.tiff: no such file.*normal_1"):
        check(cohort, recipe)


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("tumour_0", {"truth": None}, r"tumour_0: it is tumour and fully annotated, but the table"),
        ("tumour_0", {"truth_kind": None}, r"tumour_0: the table does not say its truth_kind"),
        ("tumour_0", {"path": None}, r"tumour_0: the table has no slide_path"),
        ("tumour_0", {"label": None}, r"tumour_0: its label is unknown"),
        ("tumour_0", {"label": "normal"}, r"tumour_0: it is labelled normal, but"),
    ],
)
def test_what_the_table_has_wrong_is_named(
    cohort: Cohort, recipe: Recipe, name: str, fields: dict[str, object], reason: str
) -> None:
    with pytest.raises(CohortError, match=reason):
        check(changed(cohort, name, **fields), recipe)


@pytest.mark.parametrize("fields", [{"truth_kind": "geojson"}, {"truth": Path("none.xml")}])
def test_an_annotation_that_cannot_be_read_is_no_fault_of_the_table(
    cohort: Cohort, recipe: Recipe, fields: dict[str, object]
) -> None:
    with pytest.raises(TrainingError, match="tumour_0"):
        check(changed(cohort, "tumour_0", **fields), recipe)


def test_an_annotation_outside_its_slide(cohort: Cohort, recipe: Recipe) -> None:
    truth = cohort.get("tumour_1").truth
    assert truth is not None
    outline(truth, (900, 900, 1100, 1100))
    with pytest.raises(TrainingError, match=r"tumour_1\.xml"):
        check(cohort, recipe)


def test_an_annotation_without_tumour(cohort: Cohort, recipe: Recipe) -> None:
    truth = cohort.get("tumour_1").truth
    assert truth is not None
    text = truth.read_text().replace('PartOfGroup="Tumor"', 'PartOfGroup="Exclusion"')
    truth.write_text(text)
    with pytest.raises(CohortError, match="tumour_1"):
        check(cohort, recipe)


def test_another_slides_annotation(cohort: Cohort) -> None:
    swapped = changed(cohort, "tumour_0", truth=cohort.get("tumour_1").truth)
    swapped = changed(swapped, "tumour_1", truth=cohort.get("tumour_0").truth)
    with pytest.raises(CohortError, match="tumour_0 is paired with the annotation of tumour_1"):
        check_pairing(list(swapped), None)


def test_one_file_for_two_slides(cohort: Cohort) -> None:
    twice = changed(cohort, "tumour_1", truth=cohort.get("tumour_0").truth)
    with pytest.raises(CohortError, match="tumour_0 and tumour_1 name the same file"):
        check_pairing(list(twice), None)
    one, other = cohort.get("normal_0").path, cohort.get("normal_1").path
    assert one is not None
    assert other is not None
    shutil.copy(one, other)
    with pytest.raises(CohortError, match="are the same slide under two patients"):
        check_pairing(list(cohort), None)


def test_partial_annotation_gives_no_negatives(cohort: Cohort, recipe: Recipe) -> None:
    found = check(changed(cohort, "tumour_0", annotated="partial"), recipe)
    tiles = found[0].tiles
    assert (tiles.tumour, tiles.normal) == (81, 0)
    nothing = check(changed(cohort, "tumour_0", annotated="none"), recipe)[0]
    assert (nothing.tiles.tumour, nothing.tiles.normal) == (0, 0)
    assert "gives no patch" in nothing.warnings[0]


def test_an_empty_class(cohort: Cohort, recipe: Recipe) -> None:
    found = check(cohort, recipe)
    normal = [one for one in found if not one.slide.positive]
    with pytest.raises(CohortError, match=r"no tumour patch for validation .*normal_0, normal_1"):
        check_classes(normal, "validation", None)
    with pytest.raises(CohortError, match="no slide is there for training"):
        check_classes([], "training", None)


def test_a_full_disk_is_seen_before(tmp_path: Path) -> None:
    check_space(tmp_path, 1)
    with pytest.raises(TrainingError, match="clear some space"):
        check_space(tmp_path, 10**18)
