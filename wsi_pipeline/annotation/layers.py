"""What areas and erasures, drawn one after the other, come to: one area for each class."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely

from wsi_pipeline.annotation.shapes import Area, Shape, union_of

#: Set operations are computed on points this far apart, level-0 px: exactly, where floating-point
#: ones fail on outlines that nearly touch (snap rounding). Files keep as many digits.
_GRID = 0.001


@dataclass(frozen=True, slots=True)
class Stroke:
    """One thing that was drawn.

    Attributes:
        shape: Its area; the group is its class, empty of an erasure: every class.
        erases: Whether its area is taken away instead of added.
        comment: What was said of it.
    """

    shape: Shape
    erases: bool = False
    comment: str = ""


@dataclass(frozen=True, slots=True)
class DrawnArea:
    """A connected area of one class.

    Attributes:
        group: The class.
        polygon: In level-0 px, with its holes.
        comments: Of the strokes that are left in it, in their order.
    """

    group: str
    polygon: shapely.Polygon
    comments: tuple[str, ...]


def compose(strokes: Sequence[Stroke], width: int, height: int) -> list[DrawnArea]:
    """The connected areas that strokes leave on a slide.

    Each is added to the area of its class, or taken from it and from all that came before. Strokes
    of one class that touch become one area. Areas of different classes may overlap.

    Args:
        strokes: In the order in which they were drawn.
        width: Of the slide, level-0 px: what lies beyond it is cut off.
        height: Of the slide, level-0 px.

    Returns:
        By class in the order in which the classes first appear, then from top to bottom.
    """
    slide = shapely.box(0, 0, width, height)
    whole: dict[str, shapely.Geometry] = {}
    told: dict[str, list[tuple[str, shapely.Geometry]]] = {}
    for stroke in strokes:
        area = _only_areas(shapely.intersection(_area(stroke.shape), slide, grid_size=_GRID))
        group = stroke.shape.group
        if stroke.erases:
            for name in [group] if group else list(whole):
                if name in whole:
                    left = shapely.difference(whole[name], area, grid_size=_GRID)
                    whole[name] = _only_areas(left)
            continue
        before = whole.get(group, shapely.Polygon())
        whole[group] = _only_areas(shapely.union(before, area, grid_size=_GRID))
        if stroke.comment:
            told.setdefault(group, []).append((stroke.comment, area))
    return [
        DrawnArea(
            group,
            polygon,
            tuple(text for text, area in told.get(group, ()) if shapely.intersects(area, polygon)),
        )
        for group, area in whole.items()
        for polygon in _connected(area)
    ]


def merged(several: Iterable[Sequence[DrawnArea]]) -> list[DrawnArea]:
    """The areas of several users together: where one of them drew a class, there it is."""
    groups: dict[str, list[DrawnArea]] = {}
    for areas in several:
        for area in areas:
            groups.setdefault(area.group, []).append(area)
    found: list[DrawnArea] = []
    for group, areas in groups.items():
        drawn = [one.polygon for one in areas]
        near = shapely.STRtree(drawn)
        for polygon in _connected(shapely.union_all(drawn, grid_size=_GRID)):
            parts = sorted(near.query(polygon, predicate="intersects"))
            comments = tuple(text for index in parts for text in areas[index].comments)
            found.append(DrawnArea(group, polygon, comments))
    return found


def without_holes(polygon: shapely.Polygon) -> list[shapely.Polygon]:
    """Pieces without holes whose union is the polygon.

    It is cut through each hole along y, for formats that have no holes. Cutting changes no area:
    an outline for the hole, which such formats subtract, would also take what lies inside it.

    Args:
        polygon: Valid.
    """
    if not polygon.interiors:
        return [polygon]
    left, bottom, right, top = polygon.bounds
    hole = shapely.Polygon(polygon.interiors[0]).bounds
    middle = (hole[0] + hole[2]) / 2
    halves = (shapely.box(left, bottom, middle, top), shapely.box(middle, bottom, right, top))
    return [
        piece
        for half in halves
        for part in _connected(shapely.intersection(polygon, half, grid_size=_GRID))
        for piece in without_holes(part)
    ]


def _area(shape: Shape) -> Area:
    """What a shape encloses, its points rounded to the grid."""
    rings = tuple(np.round(ring / _GRID) * _GRID for ring in shape.rings)
    return union_of([replace(shape, rings=rings)])


def _only_areas(geometry: shapely.Geometry) -> shapely.MultiPolygon:
    """Without the lines and points that set operations leave."""
    return shapely.MultiPolygon(_connected(geometry))


def _connected(area: shapely.Geometry) -> list[shapely.Polygon]:
    """Polygons from top to bottom; lines and points are dropped."""
    parts = [
        part
        for part in shapely.get_parts(shapely.get_parts(area))
        if isinstance(part, shapely.Polygon) and part.area > 0
    ]
    return sorted(parts, key=lambda part: (part.bounds[1], part.bounds[0]))
