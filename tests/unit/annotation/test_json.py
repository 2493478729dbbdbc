"""GeoJSON in all its forms, and NCRF's lists."""

import json
from pathlib import Path
from typing import Any

import pytest

from wsi_pipeline.annotation import OutlineTruth, TruthKind, open_truth
from wsi_pipeline.errors import AnnotationError

RING = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
HOLE = [[2, 2], [2, 6], [6, 6], [6, 2], [2, 2]]
FAR = [[20, 20], [30, 20], [30, 30], [20, 20]]
POLYGON = {"type": "Polygon", "coordinates": [RING, HOLE]}
MULTI = {"type": "MultiPolygon", "coordinates": [[RING, HOLE], [FAR]]}


def feature(geometry: object, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def opened(
    tmp_path: Path, value: object, kind: TruthKind = "geojson", tumour: tuple[str, ...] = ()
) -> OutlineTruth:
    path = tmp_path / "slide.geojson"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    truth = open_truth(path, kind, tumour=tumour)
    assert isinstance(truth, OutlineTruth)
    return truth


@pytest.mark.parametrize(
    ("value", "area"),
    [
        (POLYGON, 84),
        (MULTI, 134),
        (feature(POLYGON), 84),
        ({"type": "FeatureCollection", "features": [feature(MULTI)]}, 134),
        ([feature(POLYGON), feature({"type": "Polygon", "coordinates": [FAR]})], 134),
        ({"type": "GeometryCollection", "geometries": [POLYGON]}, 84),
        (feature({"type": "GeometryCollection", "geometries": [MULTI]}), 134),
        ({"type": "FeatureCollection", "features": []}, 0),
        ([], 0),
        (feature(None), 0),
    ],
)
def test_every_form_is_read_with_its_holes(tmp_path: Path, value: object, area: float) -> None:
    assert opened(tmp_path, value).geometry.area == area


@pytest.mark.parametrize(
    "classification",
    [{"name": "Tumor", "color": [200, 0, 0]}, {"names": ["Tumor", "Positive"]}, "Tumor"],
)
def test_qupath_says_the_class_in_several_ways(tmp_path: Path, classification: object) -> None:
    truth = opened(tmp_path, [feature(POLYGON, classification=classification)])
    assert truth.geometry.area == 84


def test_classes_are_told_apart(tmp_path: Path) -> None:
    big = {"type": "Polygon", "coordinates": [RING]}
    inner = {"type": "Polygon", "coordinates": [HOLE]}
    value = [
        feature(inner, classification={"name": "Ignore*"}),
        feature(big, classification={"name": "Tumor"}),
        feature({"type": "Polygon", "coordinates": [FAR]}, classification={"name": "Stroma"}),
        feature({"type": "Polygon", "coordinates": [FAR]}),
    ]
    truth = opened(tmp_path, value)
    assert truth.geometry.area == 84
    assert truth.notes == ("neither tumour nor exclusion: Stroma (1), unclassified (1)",)
    assert opened(tmp_path, value, tumour=("Stroma",)).geometry.area == 50


def test_classes_of_which_none_is_tumour_are_shown(tmp_path: Path) -> None:
    value = [feature(POLYGON, classification={"name": name}) for name in ("Stroma", "Necrosis")]
    with pytest.raises(AnnotationError, match="Necrosis, Stroma; say which are"):
        opened(tmp_path, value)


def test_points_and_lines_are_noted(tmp_path: Path) -> None:
    value = [
        feature({"type": "Point", "coordinates": [1, 1]}),
        feature({"type": "LineString", "coordinates": [[1, 1], [2, 2]]}),
        feature(POLYGON),
    ]
    truth = opened(tmp_path, value)
    assert truth.geometry.area == 84
    assert truth.notes == ("2 points and lines, which enclose nothing",)


def test_a_models_findings_are_no_annotation(tmp_path: Path) -> None:
    value = {"type": "FeatureCollection", "wsi_pipeline": {}, "features": [feature(POLYGON)]}
    with pytest.raises(AnnotationError, match="findings of a model"):
        opened(tmp_path, value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "no valid JSON"),
        ('{"type": "Polygon", ', "no valid JSON"),
        ('{"type": "Polygon", "coordinates": [[[NaN, 1]]]}', "no valid JSON"),
        ('{"type": "Polygon", "coordinates": [[[1e400, 1], [2, 2], [3, 1]]]}', "beyond any slide"),
        ("[" * 100_000, "no valid JSON"),
        ({"type": "Circle"}, "type 'Circle'"),
        ({"features": []}, "no 'type'"),
        (3, "no 'type'"),
        ({"type": "FeatureCollection"}, "no list 'features'"),
        ({"type": "Polygon", "coordinates": 3}, "no list 'coordinates'"),
        ({"type": "Polygon", "coordinates": [3]}, "not lists of rings"),
        ({"type": "Polygon", "coordinates": [[["a", 1]]]}, "no pair of numbers"),
        ({"type": "Polygon", "coordinates": [[1, 2, 3]]}, "no pair of numbers"),
        (feature("x"), "has no geometry"),
    ],
)
def test_what_is_no_geojson_is_refused_by_name(tmp_path: Path, value: object, said: str) -> None:
    with pytest.raises(AnnotationError, match=said) as caught:
        opened(tmp_path, value)
    assert "slide.geojson" in str(caught.value)


def test_ncrf_lists_tumour_and_what_is_cut_out(tmp_path: Path) -> None:
    value = {
        "positive": [{"name": "_0", "vertices": RING[:-1]}, {"vertices": FAR[:-1]}],
        "negative": [{"name": "_2", "vertices": HOLE}],
    }
    assert opened(tmp_path, value, "ncrf").geometry.area == 134


def test_ncrf_may_lack_the_negative(tmp_path: Path) -> None:
    assert opened(tmp_path, {"positive": []}, "ncrf").bounds is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"type": "Feature"}, "no list 'positive'"),
        ({"positive": 3}, "'positive' is no list"),
        ({"positive": [3]}, "no 'vertices'"),
        ({"positive": [{"vertices": [[1]]}]}, "no pair of numbers"),
    ],
)
def test_what_is_not_ncrfs_is_refused(tmp_path: Path, value: object, said: str) -> None:
    with pytest.raises(AnnotationError, match=said):
        opened(tmp_path, value, "ncrf")


def test_outlines_that_cross_themselves_are_mended(tmp_path: Path) -> None:
    bow_tie = [[0, 0], [10, 10], [10, 0], [0, 10]]
    truth = opened(tmp_path, {"positive": [{"vertices": bow_tie}]}, "ncrf")
    assert truth.geometry.is_valid
    assert truth.geometry.area == 50
    # A stroke there and back encloses nothing, and is no reason to stop.
    stroke = {"positive": [{"vertices": [[0, 0], [5, 5], [0, 0]]}, {"vertices": RING}]}
    assert opened(tmp_path, stroke, "ncrf").geometry.area == 100
    # A curl that runs over itself twice is a hole, as ASAP fills it.
    curl = [[0, 0], [9, 0], [9, 9], [0, 9], [0, 0], [3, 3], [6, 3], [6, 6], [3, 6], [3, 3]]
    assert opened(tmp_path, {"positive": [{"vertices": curl}]}, "ncrf").geometry.area == 72
