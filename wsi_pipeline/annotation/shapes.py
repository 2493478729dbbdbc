"""Outlines as they were drawn, and the one area of tumour that they come to."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from wsi_pipeline.annotation.groups import Groups, Role
from wsi_pipeline.errors import AnnotationError

Area = shapely.Polygon | shapely.MultiPolygon
Points = NDArray[np.float64]
"""Level-0 px, ``(n, 2)``: x, y. Px edges lie at whole numbers."""

#: Beyond any slide, in level-0 px: such a number is damage.
_FAR = 1e8


@dataclass(frozen=True, slots=True)
class Shape:
    """One area somebody drew.

    Attributes:
        group: Group or class it was put in; empty: none.
        name: What messages call it.
        rings: Its outline, then its holes; not closed, and possibly crossing themselves.
    """

    group: str
    name: str
    rings: tuple[Points, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that one file holds.

    Attributes:
        shapes: Areas, in the file's order.
        notes: What was left out, and why.
    """

    shapes: tuple[Shape, ...]
    notes: tuple[str, ...] = field(default=())


def parse_points(path: Path, name: str, values: Iterable[Sequence[Any]]) -> Points:
    """Coordinates of one ring, checked.

    Raises:
        AnnotationError: one is not a pair of numbers that may lie on a slide.
    """
    try:
        points = np.array([(float(pair[0]), float(pair[1])) for pair in values], np.float64)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise AnnotationError(path, f"{name}: a coordinate is no pair of numbers") from error
    points = points.reshape(-1, 2)
    if not (np.isfinite(points).all() and (np.abs(points) < _FAR).all()):
        raise AnnotationError(path, f"{name}: a coordinate lies beyond any slide")
    return points


def tumour_area(path: Path, drawing: Drawing, groups: Groups) -> tuple[Area, tuple[str, ...]]:
    """The union of all tumour shapes less that of all exclusions, whatever their order.

    An outline that crosses itself encloses what an odd number of its turns do: the rule by which
    ASAP fills polygons.

    Returns:
        Valid polygons in level-0 px, and notes on what was left out.

    Raises:
        AnnotationError: there are shapes, but the groups of none of them say tumour.
    """
    tumour: list[shapely.Geometry] = []
    cut: list[shapely.Geometry] = []
    ignored: Counter[str] = Counter()
    slight = 0
    roles = _roles(path, drawing, groups)
    for shape, role in zip(drawing.shapes, roles, strict=True):
        if role is None:
            ignored[shape.group or "unclassified"] += 1
            continue
        area = _valid(shape)
        if area.is_empty:
            slight += 1
        (tumour if role == "tumour" else cut).append(area)
    whole = shapely.union_all(tumour)
    if cut:
        whole = shapely.difference(whole, shapely.union_all(cut))
    notes = list(drawing.notes)
    if slight:
        notes.append(f"{slight} of its outlines enclose no area and were left out")
    if ignored:
        named = ", ".join(f"{name} ({count})" for name, count in sorted(ignored.items()))
        notes.append(f"neither tumour nor exclusion: {named}")
    return _polygons(whole), tuple(notes)


def union_of(shapes: Sequence[Shape]) -> Area:
    """All that shapes enclose: valid polygons in level-0 px."""
    return _polygons(shapely.union_all([_valid(shape) for shape in shapes]))


def check_inside(path: Path, bounds: tuple[float, ...], width: int, height: int) -> None:
    """Refuse tumour beyond a slide of ``width`` × ``height`` level-0 px.

    Raises:
        AnnotationError: it is; the outlines are of another slide, or of another level.
    """
    left, top, right, bottom = bounds
    # Annotation tools round to whole px.
    if min(left, top) < -1 or right > width + 1 or bottom > height + 1:
        raise AnnotationError(
            path,
            f"its tumour reaches from ({math.floor(left)}, {math.floor(top)}) to "
            f"({math.ceil(right)}, {math.ceil(bottom)}), outside the slide of {width} × {height} "
            "px; is it of another slide?",
        )


def _roles(path: Path, drawing: Drawing, groups: Groups) -> list[Role | None]:
    roles = [groups.role(shape.group) for shape in drawing.shapes]
    if not any(shape.group for shape in drawing.shapes):
        # Nobody classified anything: the file itself says what it is of.
        roles = ["tumour"] * len(roles)
    named = {shape.group or "unclassified" for shape in drawing.shapes}
    open_names = sorted(name for name in named if not groups.excludes(name))
    if open_names and "tumour" not in roles:
        raise AnnotationError(
            path,
            f"none of its classes is tumour: {', '.join(open_names)}; "
            "say which are with --tumour-class",
        )
    return roles


def _valid(shape: Shape) -> Area:
    rings = [ring for ring in shape.rings if len(np.unique(ring, axis=0)) >= 3]
    # Without its outline, holes are holes in nothing.
    if not rings or len(np.unique(shape.rings[0], axis=0)) < 3:
        return shapely.Polygon()
    return _polygons(shapely.make_valid(shapely.Polygon(rings[0], rings[1:])))


def _polygons(geometry: shapely.Geometry) -> Area:
    """The areas of a geometry, without the lines and points that repairs leave."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    areas = [part for part in parts if isinstance(part, shapely.Polygon) and part.area > 0]
    if len(areas) == 1:
        return areas[0]
    return shapely.MultiPolygon(areas)
