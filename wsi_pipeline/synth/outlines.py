"""Smooth irregular outlines, and exact rasters of polygons by the px-centre rule."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry, BaseMultipartGeometry
from shapely.ops import unary_union

Ring = npt.NDArray[np.float64]
"""float64 (n, 2): x, y in level-0 px of an open ring's vertices (first not repeated)."""


def blob(rng: np.random.Generator, centre: tuple[float, float], area: float) -> Polygon:
    """A smooth irregular outline.

    Args:
        rng: Source of randomness; consumed.
        centre: x, y in level-0 px.
        area: Area in level-0 px².

    Returns:
        A valid polygon without holes whose vertices lie on 1/100 px.
    """
    radius = (area / np.pi) ** 0.5
    count = int(np.clip(2 * np.pi * radius / 24, 48, 900))
    theta = np.linspace(0, 2 * np.pi, count, endpoint=False)
    reach = np.ones(count)
    for wave in range(2, max(8, min(60, count // 5))):
        strength = 0.24 / wave**1.15 * rng.normal()
        reach += strength * np.cos(wave * theta + rng.uniform(0, 2 * np.pi))
    reach = np.clip(reach, 0.35, 1.9)
    stretch = rng.uniform(0.75, 1.3)
    turn = rng.uniform(0, np.pi)
    x, y = reach * np.cos(theta) * stretch, reach * np.sin(theta) / stretch
    ring = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1)
    twice = np.dot(ring[:, 0], np.roll(ring[:, 1], -1)) - np.dot(
        ring[:, 1], np.roll(ring[:, 0], -1)
    )
    ring *= (area / (abs(twice) / 2)) ** 0.5
    return Polygon(np.round(ring + np.asarray(centre), 2))


def rectangle(x: int, y: int, width: int, height: int) -> Polygon:
    """The rectangle that covers exactly ``width * height`` px from level-0 px ``x``, ``y``."""
    return Polygon([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])


def merged(shapes: Iterable[BaseGeometry], bounds: BaseGeometry) -> tuple[Polygon, ...]:
    """Unite overlapping shapes inside ``bounds``; in a fixed order, vertices on 1/100 px."""
    united = unary_union(list(shapes)).intersection(bounds)
    parts = united.geoms if isinstance(united, BaseMultipartGeometry) else [united]
    rounded = [_rounded(part) for part in parts if isinstance(part, Polygon) and part.area >= 1]
    return tuple(sorted(rounded, key=lambda part: (-part.area, part.bounds)))


def _rounded(shape: Polygon) -> Polygon:
    """The shape with vertices on 1/100 px and exterior before holes."""
    return Polygon(
        np.round(np.asarray(shape.exterior.coords), 2),
        [np.round(np.asarray(hole.coords), 2) for hole in shape.interiors],
    )


def without_holes(shape: Polygon) -> list[Polygon]:
    """Cut a polygon along columns of px until no part has a hole.

    The cuts lie on px edges, so the parts' rasters make up the polygon's.
    """
    if not shape.interiors:
        return [shape]
    left, top, right, bottom = shape.bounds
    first, _, last, _ = shape.interiors[0].bounds
    middle = (first + last) / 2
    # A hole narrower than a px may lie between two px edges.
    at = float(round(middle)) if first < round(middle) < last else middle
    halves = [box(left, top, at, bottom), box(at, top, right, bottom)]
    return [part for half in halves for one in merged([shape], half) for part in without_holes(one)]


def rings(shapes: Iterable[Polygon]) -> list[Ring]:
    """Every outline and hole of the shapes as an open ring."""
    return [
        np.asarray(ring.coords, dtype=np.float64)[:-1, :2]
        for shape in shapes
        for ring in (shape.exterior, *shape.interiors)
    ]


def rasterise(
    outlines: Sequence[Ring], x0: int, y0: int, width: int, height: int
) -> npt.NDArray[np.uint8]:
    """Draw rings by the even-odd rule: a px is inside if its centre is.

    Args:
        outlines: Rings in level-0 px, px edges at integers; holes are rings like any other.
        x0: Left level-0 px of the window.
        y0: Top level-0 px of the window.
        width: Of the window, px.
        height: Of the window, px.

    Returns:
        uint8 (height, width): 255 inside, 0 outside. A window's values don't depend on where
        other windows lie.
    """
    out = np.zeros((height, width), np.uint8)
    rows_found: list[npt.NDArray[np.intp]] = []
    columns_found: list[npt.NDArray[np.intp]] = []
    for ring in outlines:
        ax, ay = ring[:, 0] - x0, ring[:, 1] - y0
        bx, by = np.roll(ax, -1), np.roll(ay, -1)
        # Always from the upper to the lower end, so both sides of an edge round alike.
        swap = ay > by
        ax, bx = np.where(swap, bx, ax), np.where(swap, ax, bx)
        ay, by = np.where(swap, by, ay), np.where(swap, ay, by)
        first = np.clip(np.ceil(ay - 0.5), 0, height).astype(np.intp)
        last = np.clip(np.ceil(by - 0.5), 0, height).astype(np.intp)
        counts = last - first
        edge = np.repeat(np.arange(len(ring)), counts)
        start = np.repeat(np.cumsum(counts) - counts, counts)
        rows = first[edge] + np.arange(len(edge)) - start
        slope = (bx - ax)[edge] / (by - ay)[edge]
        crossing = ax[edge] + (rows + 0.5 - ay[edge]) * slope
        rows_found.append(rows)
        columns_found.append(np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.intp))
    if not rows_found:
        return out
    rows, columns = np.concatenate(rows_found), np.concatenate(columns_found)
    order = np.lexsort((columns, rows))
    pairs = zip(
        rows[order][::2].tolist(),
        columns[order][::2].tolist(),
        columns[order][1::2].tolist(),
        strict=True,
    )
    for row, left, right in pairs:
        out[row, left:right] = 255
    return out
