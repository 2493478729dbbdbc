"""Making a cohort of a folder: pairing by name, and naming whatever does not fit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from wsi_pipeline.cohort import CohortSlide
from wsi_pipeline.cohort.indexing import Indexed, index
from wsi_pipeline.cohort.options import IndexOptions
from wsi_pipeline.errors import CohortError, UsageError
from wsi_pipeline.geometry import Size
from wsi_pipeline.synth import SynthSpec, write_slide
from wsi_pipeline.testing.annotations import asap_annotation, asap_xml, square, write_asap

MakeSlide = Callable[..., Path]
TUMOUR = square(100, 100, 50)


def write_mask(path: Path, value: int = 255, side: int = 50, size: Size = Size(400, 300)) -> Path:  # noqa: B008 - a frozen value
    mask = np.zeros((size.height, size.width), np.uint8)
    mask[100 : 100 + side, 100 : 100 + side] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, mask, tile=(64, 64), photometric="minisblack")
    return path


def only(found: Indexed) -> CohortSlide:
    assert found.problems == ()
    (slide,) = found.cohort()
    return slide


def problem(found: Indexed) -> str:
    (text,) = found.problems
    with pytest.raises(CohortError) as caught:
        found.cohort()
    assert text in str(caught.value)
    return text


def test_truth_is_paired_by_name_wherever_it_lies(make_slide: MakeSlide, tmp_path: Path) -> None:
    """Sorted by path, no annotation is at the position of its slide."""
    for number, folder in ((1, "z"), (2, "a"), (3, "m")):
        make_slide(f"images/{folder}/Tumor_00{number}.tif")
    for number, folder in ((3, "a"), (1, "b"), (2, "c")):
        path = tmp_path / "annotations" / folder / f"tumor_00{number}.xml"
        path.parent.mkdir(parents=True)
        write_asap(path, square(10 * number, 20))
    make_slide("images/normal_001.tif")
    found = index(tmp_path)
    assert found.problems == ()
    truths = {slide.name: slide.truth for slide in found.cohort()}
    assert truths.pop("normal_001") is None
    assert {name.lower() for name in truths} == {path.stem for path in truths.values() if path}
    assert {slide.label for slide in found.slides if slide.truth} == {"tumour"}


@pytest.mark.parametrize("name", ["tumor_002.xml", "tumor_002_mask.tif", "tumor_002.json"])
def test_truth_without_a_slide_is_named(make_slide: MakeSlide, tmp_path: Path, name: str) -> None:
    make_slide("tumor_001.tif")
    write_asap(tmp_path / "tumor_001.xml", TUMOUR)
    path = tmp_path / name
    if name.endswith("tif"):
        write_mask(path)
    elif name.endswith("json"):
        path.write_text('{"positive": []}')
    else:
        write_asap(path)
    assert problem(index(tmp_path)) == f"{path}: there is no slide called tumor_002"


def test_a_tumour_slide_without_truth_among_others_is_named(
    make_slide: MakeSlide, tmp_path: Path
) -> None:
    for name in ("tumor_001", "tumor_002", "normal_001"):
        make_slide(f"{name}.tif")
    write_asap(tmp_path / "tumor_001.xml", TUMOUR)
    assert "tumor_002.tif: has the label tumour, and neither" in problem(index(tmp_path))
    found = index(tmp_path, IndexOptions(allow_unannotated=True))
    states = {slide.name: slide.annotated for slide in found.cohort()}
    assert states == {"normal_001": "none", "tumor_001": "full", "tumor_002": "none"}
    (tmp_path / "tumor_001.xml").unlink()  # without any truth, nobody expects some
    assert index(tmp_path).problems == ()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["a/tumor_001.tif", "b/Tumor_001.tif"], "two slides are called tumor_001"),
        (["tumor_001.tif", "tumor_001.svs"], "two slides are called tumor_001"),
        (
            ["tumor_001.tif", "a/tumor_001.xml", "b/TUMOR_001.xml"],
            "two annotations or masks of one kind",
        ),
        (
            ["tumor_001.tif", "tumor_001_mask.tif", "tumor_001_mask.tiff"],
            "two annotations or masks of one kind",
        ),
        (["tumor_001.tif", "tumor_001.xml", "tumor_001.json"], "two annotations"),
    ],
)
def test_what_is_there_twice_is_named(
    make_slide: MakeSlide, tmp_path: Path, files: list[str], said: str
) -> None:
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if "mask" in name:
            write_mask(path)
        elif path.suffix == ".xml":
            write_asap(path, TUMOUR)
        elif path.suffix == ".json":
            path.write_text(json.dumps({"positive": [{"vertices": TUMOUR}]}))
        else:
            make_slide(name)
    text = problem(index(tmp_path, IndexOptions(mask_value=255)))
    assert said in text
    assert sum(str(tmp_path / name) in text for name in files) == 2


def test_copies_under_another_name_are_named(make_slide: MakeSlide, tmp_path: Path) -> None:
    first = make_slide("normal_001.tif")
    second = tmp_path / "normal_002.tif"
    shutil.copy(first, second)
    make_slide("normal_003.tif")
    text = problem(index(tmp_path))
    assert text.startswith(f"{second}: has the same contents as {first}")
    table = tmp_path / "labels.csv"
    table.write_text("slide,split\nnormal_002,excluded\n")
    assert index(tmp_path, IndexOptions(labels=table)).problems == ()


def test_annotation_and_mask_may_both_be_there(make_slide: MakeSlide, tmp_path: Path) -> None:
    make_slide("tumor_001.tif")
    write_asap(tmp_path / "tumor_001.xml", TUMOUR)
    write_mask(tmp_path / "tumor_001_mask.tif")
    found = index(tmp_path)
    assert only(found).truth_kind == "asap"
    assert "the asap is used where there is also a mask" in found.notes
    preferred = index(tmp_path, IndexOptions(prefer="mask", mask_value=255))
    assert only(preferred).truth_kind == "mask-255"


def test_of_two_annotations_one_may_be_preferred(make_slide: MakeSlide, tmp_path: Path) -> None:
    make_slide("tumor_001.tif")
    write_asap(tmp_path / "tumor_001.xml", TUMOUR)
    (tmp_path / "Tumor_001.json").write_text(json.dumps({"positive": [{"vertices": TUMOUR}]}))
    assert only(index(tmp_path, IndexOptions(prefer="ncrf"))).truth_kind == "ncrf"


def test_the_value_of_a_mask_is_declared_not_guessed(make_slide: MakeSlide, tmp_path: Path) -> None:
    make_slide("tumor_001.tif")
    write_mask(tmp_path / "masks" / "tumor_001.tif", 2)  # a folder of masks needs no ending
    assert "declare it with --mask-value" in problem(index(tmp_path))
    assert only(index(tmp_path, IndexOptions(mask_value=2))).truth_kind == "mask-2"
    assert "holds px of the value 2" in problem(index(tmp_path, IndexOptions(mask_value=1)))
    with pytest.raises(UsageError, match="--mask-value must be"):
        IndexOptions(mask_value=3)


def test_truth_may_lie_in_other_folders(make_slide: MakeSlide, tmp_path: Path) -> None:
    make_slide("slides/tumor_001.tif")
    make_slide("slides/tumor_002.tif")
    write_mask(tmp_path / "m" / "tumor_001.tif")
    (tmp_path / "x").mkdir()
    write_asap(tmp_path / "x" / "tumor_002.xml", TUMOUR)
    options = IndexOptions(masks=(tmp_path / "m",), annotations=(tmp_path / "x",), mask_value=255)
    kinds = [slide.truth_kind for slide in index(tmp_path / "slides", options).cohort()]
    assert kinds == ["mask-255", "asap"]
    # Also where the main folder holds them too.
    assert index(tmp_path, options).problems == ()


@pytest.mark.parametrize("corner", [(380, 100), (5000, 5000), (-60, 0)])
def test_an_annotation_outside_its_slide_names_both(
    make_slide: MakeSlide, tmp_path: Path, corner: tuple[float, float]
) -> None:
    slide = make_slide("tumor_001.tif")
    annotation = write_asap(tmp_path / "tumor_001.xml", square(*corner, 50))
    text = problem(index(tmp_path))
    assert "outside the slide of 400 × 300 px" in text
    assert str(slide) in text
    assert str(annotation) in text


def test_a_mask_of_another_size_names_both(make_slide: MakeSlide, tmp_path: Path) -> None:
    slide = make_slide("tumor_001.tif")
    mask = write_mask(tmp_path / "tumor_001_mask.tif", size=Size(400, 640))
    text = problem(index(tmp_path, IndexOptions(mask_value=255)))
    assert "no level of a slide of 400 × 300 px" in text
    assert str(slide) in text
    assert str(mask) in text


def test_labels_come_from_the_table_not_from_an_annotation(
    make_slide: MakeSlide, tmp_path: Path
) -> None:
    for name in ("test_001", "test_002", "test_003"):
        make_slide(f"images/{name}.tif")
    write_asap(tmp_path / "test_001.xml", TUMOUR)
    write_asap(tmp_path / "test_002.xml")
    table = tmp_path / "reference.csv"
    table.write_text("test_001,Tumor,IDC,Micro\ntest_002,Normal,None,None\nTest_003,Normal,,\n")
    found = index(tmp_path, IndexOptions(labels=table))
    assert [slide.label for slide in found.cohort()] == ["micro", "normal", "normal"]
    assert [slide.split for slide in found.slides] == ["test"] * 3
    unknown = index(tmp_path, IndexOptions(allow_unannotated=True))
    assert [slide.label for slide in unknown.cohort()] == [None] * 3
    assert any("3 slides have no label" in note for note in unknown.notes)
    asked = index(tmp_path, IndexOptions(labels_from_annotation=True, allow_unannotated=True))
    assert [slide.label for slide in asked.cohort()] == ["tumour", "normal", None]


@pytest.mark.parametrize(
    ("name", "drawn", "said"),
    [
        ("normal_001", [TUMOUR], "outlines tumour, but slide normal_001 is labelled normal"),
        ("tumor_001", [], "holds no tumour, but slide tumor_001 is labelled tumour"),
    ],
)
def test_a_label_that_contradicts_the_truth_is_named(
    make_slide: MakeSlide, tmp_path: Path, name: str, drawn: list[object], said: str
) -> None:
    make_slide(f"{name}.tif")
    path = tmp_path / f"{name}.xml"
    path.write_text(asap_xml(*(asap_annotation(TUMOUR) for _ in drawn)))
    text = problem(index(tmp_path))
    assert said in text
    assert str(path) in text


def test_camelyons_exceptions_are_in_the_table(make_slide: MakeSlide, tmp_path: Path) -> None:
    names = ["tumor_010", "tumor_011", "normal_086", "test_049", "test_114"]
    for name in names:
        make_slide(f"{name}.tif", mpp=0.2431)
    for name in ("tumor_010", "tumor_011", "test_114"):
        write_asap(tmp_path / f"{name}.xml", TUMOUR)
    table = tmp_path / "reference.csv"
    table.write_text("test_049,Tumor,IDC,Macro\ntest_114,Tumor,IDC,Macro\n")
    found = index(tmp_path, IndexOptions(labels=table))
    rows = {slide.name: slide for slide in found.cohort()}
    assert rows["tumor_010"].annotated == "partial"
    assert not rows["tumor_010"].exhaustive
    assert rows["tumor_011"].annotated == "full"
    assert rows["normal_086"].split == rows["test_049"].split == "excluded"
    assert (rows["test_114"].split, rows["test_114"].annotated) == ("test", "partial")
    assert rows["test_114"].centre == "RUMC"
    assert any(note.startswith("normal_086: became tumor_111") for note in found.notes)
    plain = index(tmp_path, IndexOptions(labels=table, plain_names=True, allow_unannotated=True))
    assert {slide.annotated for slide in plain.slides if slide.truth} == {"full"}


def test_camelyon16_as_it_is_downloaded(make_slide: MakeSlide, tmp_path: Path) -> None:
    """Images, annotations, masks of all slides, masks of tissue and the reference, flat."""
    mpps = {"normal_001": 0.243, "tumor_001": 0.243, "tumor_101": 0.2265, "test_001": 0.2265}
    for name, mpp in mpps.items():
        make_slide(f"images/{name}.tif", mpp=mpp)
        mask = write_mask(tmp_path / "masks" / f"{name}_mask.tif", 1 if "normal" in name else 2)
        tissue = tmp_path / "background_tissue" / f"{name}.tif"
        tissue.parent.mkdir(exist_ok=True)
        shutil.copy(mask, tissue)
    (tmp_path / "annotations").mkdir()
    for name in ("tumor_001", "tumor_101", "test_001"):
        path = tmp_path / "annotations" / f"{name}.xml"
        path.write_text(asap_xml(asap_annotation(TUMOUR, "_0")))
    table = tmp_path / "evaluation" / "reference.csv"
    table.parent.mkdir()
    table.write_text("test_001,Tumor,IDC,Macro\n")
    found = index(tmp_path, IndexOptions(labels=table, mask_value=2))
    rows = [(s.name, s.label, s.centre, s.split, s.truth_kind) for s in found.cohort()]
    assert rows == [
        ("normal_001", "normal", "RUMC", None, "mask-2"),
        ("test_001", "macro", "UMCU", "test", "asap"),
        ("tumor_001", "tumour", "RUMC", None, "asap"),
        ("tumor_101", "tumour", "UMCU", None, "asap"),
    ]
    assert {path.name for path, _ in found.ignored} == {"background_tissue", "reference.csv"}


def test_camelyon17_has_patients_centres_and_stages(make_slide: MakeSlide, tmp_path: Path) -> None:
    for name in ("patient_004_node_4", "patient_021_node_0", "patient_021_node_1"):
        make_slide(f"{name}.tif")
    path = tmp_path / "patient_004_node_4.xml"
    path.write_text(asap_xml(asap_annotation(TUMOUR, "metastases")))
    table = tmp_path / "stage_labels.csv"
    table.write_text(
        "patient,stage\npatient_004.zip,pN1\npatient_004_node_4.tif,macro\n"
        "patient_021_node_0.tif,itc\npatient_021_node_1.tif,negative\npatient_099_node_0.tif,itc\n"
    )
    found = index(tmp_path, IndexOptions(labels=table))
    rows = [(s.patient, s.centre, s.label, s.annotated) for s in found.cohort()]
    assert rows == [
        ("patient_004", "centre_0", "macro", "full"),
        ("patient_021", "centre_1", "itc", "none"),
        ("patient_021", "centre_1", "normal", "none"),
    ]
    assert (
        "1 slides of the table of labels are not in the folder: patient_099_node_0" in found.notes
    )


def test_patient_and_centre_are_found_in_paths(make_slide: MakeSlide, tmp_path: Path) -> None:
    make_slide("west/P01/a_1.tiff")
    make_slide("east/P02/b_7.tiff")
    options = IndexOptions(patient_from=r"(?P<patient>P\d+)", centre_from=r"^(\w+)/")
    found = [(s.patient, s.centre) for s in index(tmp_path, options).cohort()]
    assert found == [("P01", "west"), ("P02", "east")]
    whole = index(tmp_path, IndexOptions(patient_from=r"P\d+", centre="north"))
    assert [(s.patient, s.centre) for s in whole.cohort()] == [("P01", "north"), ("P02", "north")]


def test_a_slide_that_a_pattern_does_not_match_is_named(
    make_slide: MakeSlide, tmp_path: Path
) -> None:
    """Its own patient, silently, might be on both sides of a split."""
    make_slide("P01_a.tiff")
    stranger = make_slide("other.tiff")
    text = problem(index(tmp_path, IndexOptions(patient_from=r"^(P\d+)")))
    assert text.startswith(f"{stranger}: --patient-from")
    nothing = problem(index(tmp_path, IndexOptions(patient_from=r"^(P\d+)|^other(x?)")))
    assert nothing.startswith(f"{stranger}: --patient-from")
    assert "finds nothing in 'other'" in nothing
    with pytest.raises(UsageError, match="is no pattern"):
        IndexOptions(patient_from="(")


def test_centres_in_folders_are_known(make_slide: MakeSlide, tmp_path: Path) -> None:
    make_slide("center_3/a.tiff")
    assert only(index(tmp_path)).centre == "center_3"


def test_synthetic_slides_say_what_they_are(tmp_path: Path) -> None:
    for seed, stain, tumour in ((1, "a", 0.2), (2, "b", 0.0)):
        spec = SynthSpec(size=Size(900, 700), seed=seed, stain=stain, tumour=tumour)
        write_slide(spec, tmp_path / f"p{seed}" / f"synth_000{seed}.tiff")
    svs = SynthSpec(size=Size(900, 700), seed=3, stain="c", tumour=0.2, format="svs-like")
    write_slide(svs, tmp_path / "p3" / "synth_0003.svs")
    found = index(tmp_path, IndexOptions(patient_from="^[^/]+"))
    rows = [(s.label, s.patient, s.centre, s.truth_kind, s.annotated) for s in found.cohort()]
    assert rows == [
        ("tumour", "p1", "a", "asap", "full"),
        ("normal", "p2", "b", "asap", "full"),
        ("tumour", "p3", "c", "asap", "full"),
    ]
    assert any("synthetic" in note for note in found.notes)
    masks = index(tmp_path, IndexOptions(prefer="mask"))
    assert {slide.truth_kind for slide in masks.cohort()} == {"mask-255"}


def test_damaged_slides_are_named_all_of_them(make_slide: MakeSlide, tmp_path: Path) -> None:
    make_slide("a.tiff")
    truncated, empty = make_slide("b.tiff"), tmp_path / "c.tiff"
    with truncated.open("r+b") as file:
        file.truncate(truncated.stat().st_size // 2)
    empty.touch()
    found = index(tmp_path)
    assert [text.split(":")[0] for text in found.problems] == [str(truncated), str(empty)]
    assert "truncated" in found.problems[0]
    with pytest.raises(CohortError, match=r"\(and 1 more\)"):
        found.cohort()


def test_files_of_other_kinds_are_left_alone(make_slide: MakeSlide, tmp_path: Path) -> None:
    make_slide("a.tiff")
    make_slide("a.zarr/inside.tiff")
    make_slide("a.mask.tiff")
    make_slide(".hidden/b.tiff")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "a.geojson").write_text('{"type": "FeatureCollection", "wsi_pipeline": {}}')
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "a.xml").write_text("<Annotations/>")
    found = index(tmp_path)
    assert only(found).truth is None
    reasons = {path.name: reason for path, reason in found.ignored}
    assert "findings of a model" in reasons["a.geojson"]
    assert "XML of 'Annotations'" in reasons["a.xml"]
    assert reasons["notes.txt"] == ""
    assert set(reasons) == {"a.geojson", "a.mask.tiff", "a.xml", "notes.txt", "package.json"}


def test_a_folder_without_slides_is_an_error(tmp_path: Path) -> None:
    assert "contains no slides" in problem(index(tmp_path))
    with pytest.raises(CohortError, match="no such folder"):
        index(tmp_path / "absent")


def test_qupaths_classes_go_into_the_table(make_slide: MakeSlide, tmp_path: Path) -> None:
    make_slide("a.tiff")
    ring = [[*point] for point in [*TUMOUR, TUMOUR[0]]]
    drawn = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": "DCIS"}},
    }
    (tmp_path / "a.geojson").write_text(json.dumps([drawn]))
    assert "none of its classes is tumour: DCIS" in problem(index(tmp_path))
    options = IndexOptions(tumour_classes=("DCIS",), labels_from_annotation=True)
    slide = only(index(tmp_path, options))
    assert (slide.label, slide.tumour_classes) == ("tumour", ("DCIS",))
    truth = slide.open_truth(Size(400, 300))
    assert truth is not None
    assert truth.bounds == (100.0, 100.0, 150.0, 150.0)


def test_progress_counts_slides(make_slide: MakeSlide, tmp_path: Path) -> None:
    make_slide("a.tiff")
    make_slide("b.tiff")
    seen: list[tuple[int, int]] = []
    index(tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
