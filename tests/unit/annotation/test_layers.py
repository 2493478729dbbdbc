"""Areas and erasures, drawn one after the other, and their files."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.annotation.asap import read_asap
from wsi_pipeline.annotation.geojson import read_geojson
from wsi_pipeline.annotation.layers import DrawnArea, Stroke, compose, merged, without_holes
from wsi_pipeline.annotation.opening import open_truth
from wsi_pipeline.annotation.shapes import Shape, union_of
from wsi_pipeline.annotation.writing import asap_text, geojson_text

WIDTH, HEIGHT = 1000, 800


def square(
    group: str, left: float, top: float, side: float, *, erases: bool = False, comment: str = ""
) -> Stroke:
    ring = np.array(
        [(left, top), (left + side, top), (left + side, top + side), (left, top + side)], float
    )
    return Stroke(Shape(group, "a square", (ring,)), erases, comment)


def composed(*strokes: Stroke) -> list[DrawnArea]:
    return compose(strokes, WIDTH, HEIGHT)


def test_touching_strokes_of_a_class_are_one_area_with_their_comments() -> None:
    areas = composed(
        square("tumour", 0, 0, 100, comment="first"),
        square("necrosis", 0, 0, 50, comment="dead"),
        square("tumour", 50, 0, 100, comment="second"),
        square("tumour", 500, 500, 10, comment="apart"),
    )
    assert [(a.group, a.polygon.area, a.comments) for a in areas] == [
        ("tumour", 150 * 100, ("first", "second")),
        ("tumour", 100, ("apart",)),
        ("necrosis", 2500, ("dead",)),
    ]


def test_an_erasure_takes_from_what_came_before_it() -> None:
    eraser = square("tumour", 20, 20, 10, erases=True)
    assert [a.polygon.area for a in composed(square("tumour", 0, 0, 100), eraser)] == [9900]
    assert [a.polygon.area for a in composed(eraser, square("tumour", 0, 0, 100))] == [10_000]
    both = [square("tumour", 0, 0, 100), square("necrosis", 0, 0, 100)]
    everything = square("", 0, 0, 50, erases=True)
    assert [a.polygon.area for a in composed(*both, everything)] == [7500, 7500]
    assert [a.polygon.area for a in composed(*both, eraser)] == [9900, 10_000]
    assert composed(square("tumour", 0, 0, 10), square("", -5, -5, 20, erases=True)) == []


def test_what_lies_beyond_the_slide_is_cut_off() -> None:
    (area,) = composed(square("tumour", 950, 750, 100))
    assert area.polygon.bounds == (950, 750, WIDTH, HEIGHT)


def test_areas_of_several_users_are_joined() -> None:
    ann = composed(square("tumour", 0, 0, 100, comment="Ann's"))
    ben = composed(square("tumour", 50, 0, 100), square("", 0, 0, 60, erases=True))
    (area,) = merged([ann, ben])
    assert area.polygon.area == 150 * 100  # Ben erased nothing of Ann's
    assert area.comments == ("Ann's",)


def ring_with_island() -> list[DrawnArea]:
    """A square with a hole, in which another square lies; both of one class."""
    return composed(
        square("tumour", 100, 100, 300, comment="a ring"),
        square("tumour", 150, 150, 200, erases=True),
        square("tumour", 200, 200, 100),
    )


def test_pieces_without_holes_cover_the_same() -> None:
    ring = ring_with_island()[0].polygon
    assert len(ring.interiors) == 1
    pieces = without_holes(ring)
    assert all(not piece.interiors for piece in pieces)
    assert shapely.union_all(pieces).equals(ring)
    assert sum(piece.area for piece in pieces) == pytest.approx(ring.area)


@pytest.mark.parametrize("ending", ["geojson", "xml"])
def test_a_file_comes_back_as_it_was_drawn(tmp_path: Path, ending: str) -> None:
    areas = [*ring_with_island(), *composed(square('odd "class" & <more>', 500.25, 500, 50.5))]
    path = tmp_path / f"drawn.{ending}"
    path.write_text(geojson_text(areas) if ending == "geojson" else asap_text(areas))
    drawing = read_geojson(path) if ending == "geojson" else read_asap(path)
    for ours, theirs in (("tumour", "Tumor"), ('odd "class" & <more>',) * 2):
        read = union_of([shape for shape in drawing.shapes if shape.group == theirs])
        drawn = shapely.union_all([area.polygon for area in areas if area.group == ours])
        assert drawn.symmetric_difference(read).area == pytest.approx(0, abs=1e-6)
    truth = open_truth(path, "geojson" if ending == "geojson" else "asap")
    where = truth.window(0, 0, 500, 500, 1)
    assert where[120, 120]
    assert not where[170, 170]  # in the hole
    assert where[250, 250]  # on the island in it


def test_qupath_finds_class_colour_and_description() -> None:
    value = json.loads(geojson_text(ring_with_island(), {"necrosis": (1, 2, 3)}))
    first = value["features"][0]
    assert first["properties"]["classification"] == {"name": "Tumor", "color": [200, 0, 0]}
    assert first["properties"]["metadata"] == {"ANNOTATION_DESCRIPTION": "a ring"}
    assert first["geometry"]["coordinates"][0][0] == first["geometry"]["coordinates"][0][-1]
    again = json.loads(geojson_text(ring_with_island()))
    assert [one["id"] for one in value["features"]] == [one["id"] for one in again["features"]]
    assert len({one["id"] for one in value["features"]}) == 2
    assert json.loads(geojson_text([]))["features"] == []


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.lists(
                st.tuples(*[st.floats(-1e8, 1e8) | st.floats(-10, 1010)] * 2),
                min_size=3,
                max_size=8,
            ),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_outlines_come_to_valid_areas_on_the_slide(
    drawn: list[tuple[bool, list[tuple[float, float]]]],
) -> None:
    strokes = [
        Stroke(Shape("" if erases else "tumour", "any", (np.array(ring, float),)), erases)
        for erases, ring in drawn
    ]
    for area in merged([composed(*strokes), composed(*strokes)]):
        assert area.polygon.is_valid
        left, top, right, bottom = area.polygon.bounds
        assert 0 <= left < right <= WIDTH
        assert 0 <= top < bottom <= HEIGHT
        pieces = without_holes(area.polygon)
        assert sum(piece.area for piece in pieces) == pytest.approx(area.polygon.area, abs=1)
