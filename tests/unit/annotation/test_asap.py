"""ASAP's XML: order, kinds, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.annotation import OutlineTruth, open_truth
from wsi_pipeline.annotation.asap import read_asap
from wsi_pipeline.errors import AnnotationError
from wsi_pipeline.testing.annotations import asap_annotation as annotation
from wsi_pipeline.testing.annotations import asap_xml as xml
from wsi_pipeline.testing.annotations import square as box


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tumor_001.xml"
    path.write_text(text, encoding="utf-8")
    return path


def area(path: Path) -> float:
    truth = open_truth(path, "asap")
    assert isinstance(truth, OutlineTruth)
    return truth.geometry.area


def test_coordinates_are_put_in_their_order(tmp_path: Path) -> None:
    corners = box(0, 0)
    shuffled = [corners[i] for i in (2, 0, 3, 1)]
    path = written(tmp_path, xml(annotation(shuffled, orders=[2, 0, 3, 1])))
    assert area(path) == 100  # in the file's order it would be a bow tie


def test_order_is_a_number_not_a_text(tmp_path: Path) -> None:
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    points: list[tuple[object, object]] = [(50 * np.cos(a), 50 * np.sin(a)) for a in angles]
    rotated = [*range(6, 12), *range(6)]
    one = written(tmp_path, xml(annotation(points)))
    first = area(one)
    other = written(tmp_path, xml(annotation([points[i] for i in rotated], orders=[*rotated])))
    assert area(other) == pytest.approx(first)


@pytest.mark.parametrize(
    ("orders", "said"),
    [([0, 1, 1, 2], "same Order"), ([0, "x", 1, 2], "not a number")],
)
def test_an_order_that_is_none_is_refused(tmp_path: Path, orders: list[object], said: str) -> None:
    path = written(tmp_path, xml(annotation(box(0, 0), orders=orders)))
    with pytest.raises(AnnotationError, match=said) as caught:
        read_asap(path)
    assert str(path) in str(caught.value)


def test_coordinates_without_order_are_taken_as_they_come(tmp_path: Path) -> None:
    text = xml(annotation(box(0, 0)))
    for order in range(4):
        text = text.replace(f' Order="{order}"', "")
    assert area(written(tmp_path, text)) == 100


def test_some_coordinates_without_order_are_refused(tmp_path: Path) -> None:
    text = xml(annotation(box(0, 0))).replace(' Order="2"', "")
    with pytest.raises(AnnotationError, match="some coordinates"):
        read_asap(written(tmp_path, text))


def test_a_comma_may_stand_for_the_point(tmp_path: Path) -> None:
    path = written(tmp_path, xml(annotation([("0,5", "0"), ("10,5", "0"), ("10,5", "10")])))
    assert open_truth(path, "asap").bounds == (0.5, 0, 10.5, 10)


def test_what_encloses_nothing_is_noted(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        xml(
            annotation([(3, 3)], kind="Dot"),
            annotation(box(0, 0)),
            annotation([(1, 1), (2, 2)]),
            annotation([]),
        ),
    )
    truth = open_truth(path, "asap")
    assert isinstance(truth, OutlineTruth)
    assert truth.geometry.area == 100
    assert any("Dot" in note for note in truth.notes)
    assert any("2 of its outlines enclose no area" in note for note in truth.notes)


@pytest.mark.parametrize("kind", ["Spline", "Rectangle", "polygon"])
def test_other_areas_are_areas(tmp_path: Path, kind: str) -> None:
    assert area(written(tmp_path, xml(annotation(box(0, 0), kind=kind)))) == 100


def test_an_xml_without_annotations_is_a_slide_without_tumour(tmp_path: Path) -> None:
    truth = open_truth(written(tmp_path, xml()), "asap")
    assert truth.bounds is None
    assert not truth.window(-5, -5, 20, 20, 3).any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no valid XML"),
        ("<ASAP_Annotations><Annotations>", "no valid XML"),
        ("<Annotations><Annotation/></Annotations>", "is XML of 'Annotations'"),
        (xml(annotation([(1, "a"), (2, 2), (3, 1)])), "no pair of numbers"),
        (xml(annotation([(1, "nan"), (2, 2), (3, 1)])), "beyond any slide"),
        (xml(annotation([(1, "1e300"), (2, 2), (3, 1)])), "beyond any slide"),
        (xml('<Annotation><Coordinate Order="0" X="1"/></Annotation>'), "lacks X or Y"),
    ],
)
def test_what_is_no_annotation_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(AnnotationError, match=said) as caught:
        read_asap(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><ASAP_Annotations>&c;</ASAP_Annotations>"""
OUTSIDE = """<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>
<ASAP_Annotations>&f;</ASAP_Annotations>"""


@pytest.mark.parametrize("text", [BOMB, OUTSIDE, '<!DOCTYPE x SYSTEM "http://x/y"><x/>'])
def test_a_document_type_is_refused_before_anything_grows(tmp_path: Path, text: str) -> None:
    with pytest.raises(AnnotationError, match="document type"):
        read_asap(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"absent\.xml: cannot be read"):
        read_asap(tmp_path / "absent.xml")


def test_other_encodings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    head = '<?xml version="1.0" encoding="UTF-16"?>'
    path.write_bytes((head + xml(annotation(box(0, 0)))).encode("utf-16"))
    assert area(path) == 100
