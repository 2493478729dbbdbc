"""A lymph node's coarse anatomy: where the tissue, its follicles and what is planted lie."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter
from shapely.geometry import Point, Polygon, box
from shapely.ops import unary_union

from wsi_pipeline.synth.noise import Plane, fractal_noise
from wsi_pipeline.synth.outlines import Ring, blob, merged, rasterise, rectangle, rings
from wsi_pipeline.synth.planting import KINDS, Plant
from wsi_pipeline.synth.spec import SynthSpec

#: Shares of a kind's area by focus, as of a tumour's: a macrometastasis, two lesser ones and a
#: micrometastasis.
FOCI = (0.60, 0.24, 0.12, 0.04)

Mask = npt.NDArray[np.bool_]
"""bool (height, width) on the coarse grid."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Coarse fields of one slide; sample ``i`` lies at level-0 px ``(i + 0.5) * cell``."""

    #: Level-0 px per sample.
    cell: int
    #: Natural scale of structures on this slide: 1 for a large node, less for small slides.
    unit: float
    #: Distance to the tissue's edge in level-0 px, positive inside.
    depth: Plane
    #: Distance to the border of a germinal centre in level-0 px, positive inside.
    follicle: Plane
    #: Distance to the nearest planted tissue in level-0 px, 0 inside.
    planted_distance: Plane
    #: What is planted, by kind, in level-0 px: exact, vertices on 1/100 px, largest first. No two
    #: overlap.
    planted: Mapping[str, tuple[Polygon, ...]]


def make_anatomy(spec: SynthSpec) -> Anatomy:
    """Lay out a slide's tissue and what is planted in it.

    The grid has at most about 1,000 samples along its long side, so the effort does not grow
    with the slide.
    """
    rng = np.random.default_rng([spec.seed, 1])
    cell = 8
    while max(spec.size.width, spec.size.height) / cell > 1000 and cell < 512:
        cell *= 2
    shape = (-(-spec.size.height // cell), -(-spec.size.width // cell))
    tissue = _tissue(rng, spec, shape, cell)
    unit = float(np.clip(np.sqrt(tissue.sum()) * cell / 20_000, 0.12, 1.0))
    planted = _planted(rng, spec, tissue, cell)
    outlines = rings(one for some in planted.values() for one in some)
    distance = _distance_to(outlines, shape, cell)
    tissue |= distance <= max(3.0 * cell, 700.0 * unit)
    depth = _signed_distance(tissue) * cell
    follicle = _follicles(rng, depth, distance, cell, unit)
    return Anatomy(cell, unit, depth, follicle, distance, planted)


def _signed_distance(inside: Mask) -> Plane:
    """Distance to the border in samples, positive inside, slightly smoothed."""
    within = np.pad(inside, 1, mode="edge")
    reach = float(sum(inside.shape))
    into = distance_transform_edt(within) if not within.all() else np.full(within.shape, reach)
    out = distance_transform_edt(~within) if within.any() else np.full(within.shape, reach)
    signed = np.where(within, into - 0.5, 0.5 - out)[1:-1, 1:-1]
    return np.asarray(gaussian_filter(signed.astype(np.float32), 1.0), np.float32)


def _distance_to(outlines: list[Ring], shape: tuple[int, int], cell: int) -> Plane:
    """Distance in level-0 px to the nearest outline's inside; huge if there is none."""
    if not outlines:
        return np.full(shape, 1e6, np.float32)
    inside = rasterise([ring / cell for ring in outlines], 0, 0, shape[1], shape[0]) > 0
    for ring in outlines:  # what is smaller than a sample must not be missed
        x, y = np.floor(ring / cell).astype(np.intp).T
        inside[y.clip(0, shape[0] - 1), x.clip(0, shape[1] - 1)] = True
    return np.asarray(distance_transform_edt(~inside) * cell, np.float32)


def _tissue(rng: np.random.Generator, spec: SynthSpec, shape: tuple[int, int], cell: int) -> Mask:
    """One to three bean-shaped pieces that cover the wanted share of the slide."""
    height, width = shape
    y, x = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    short = min(height, width)
    centres = [
        (rng.uniform(0.35, 0.65) * width, rng.uniform(0.35, 0.65) * height, 1.0),
        (rng.uniform(0.15, 0.85) * width, rng.uniform(0.15, 0.85) * height, rng.uniform(0.3, 0.7)),
        (rng.uniform(0.15, 0.85) * width, rng.uniform(0.15, 0.85) * height, rng.uniform(0.2, 0.4)),
    ][: int(rng.integers(1, 4))]
    places = [one.where[0] for one in spec.planted if isinstance(one.where, tuple) and one.where]
    if places:
        first = places[0]
        centre = ((first.x + first.width / 2) / cell, (first.y + first.height / 2) / cell)
        centres[0] = (*centre, 1.0)
    value = np.full(shape, -9.0, np.float32)
    for centre_x, centre_y, size in centres:
        turn, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 1.5)
        dx, dy = x - centre_x, y - centre_y
        along = (dx * np.cos(turn) + dy * np.sin(turn)) / stretch
        across = (-dx * np.sin(turn) + dy * np.cos(turn)) * stretch
        # A shallow dent, the hilum, makes an ellipse a bean.
        hilum = 0.45 * np.exp(-(((along / (0.16 * short)) ** 2)
                                + ((across / (0.2 * short) - 1.2) ** 2)))  # fmt: skip
        piece = size - np.hypot(along, across) / (0.42 * short) - hilum
        value = np.maximum(value, piece.astype(np.float32))
    value += 0.10 * fractal_noise(rng, shape, short / 3.5, octaves=5, persistence=0.55)
    inset = np.minimum(np.minimum(x, width - x), np.minimum(y, height - y)) / short
    # Tissue keeps away from the slide's edges, gently, or it would look cut off.
    value -= (0.9 * np.clip(1 - inset / 0.13, 0, 1) ** 2).astype(np.float32)
    scanned = (x * cell < spec.scanned.width) & (y * cell < spec.scanned.height)
    if spec.padding:
        value[~scanned] -= 9
    return value > np.quantile(value, 1 - spec.tissue)


def _planted(
    rng: np.random.Generator, spec: SynthSpec, tissue: Mask, cell: int
) -> dict[str, tuple[Polygon, ...]]:
    """Every kind's polygons; a later kind is cut out of the ones before it."""
    scanned = box(0, 0, spec.scanned.width, spec.scanned.height)
    planted: dict[str, tuple[Polygon, ...]] = {}
    for plant in spec.planted:
        # The tumour draws from the slide's own source, so that further kinds do not change it.
        own = np.random.default_rng([spec.seed, 6, KINDS.index(plant.kind)])
        source = rng if plant.kind == "tumour" else own
        outlines = rings(one for some in planted.values() for one in some)
        free = _signed_distance(tissue) * cell
        if outlines:
            free = np.minimum(free, _distance_to(outlines, tissue.shape, cell))
        shapes = _shapes(source, plant, scanned, tissue, cell, free)
        taken = unary_union(shapes)
        planted = {
            kind: merged(some, scanned.difference(taken))
            if any(one.intersects(taken) for one in some)
            else some
            for kind, some in planted.items()
        }
        planted[plant.kind] = shapes
    return planted


def _shapes(
    rng: np.random.Generator,
    plant: Plant,
    scanned: Polygon,
    tissue: Mask,
    cell: int,
    free: Plane,
) -> tuple[Polygon, ...]:
    """One kind's polygons: the rectangles asked for, or foci that make up the share asked for.

    Args:
        rng: Source of randomness; consumed for a share.
        plant: What is asked for.
        scanned: Where a polygon may be, level-0 px.
        tissue: Of which a share is meant.
        cell: Level-0 px per sample of ``tissue`` and ``free``.
        free: Distance in level-0 px to the tissue's edge and to what is planted already.
    """
    if isinstance(plant.where, tuple):
        return merged((rectangle(r.x, r.y, r.width, r.height) for r in plant.where), scanned)
    total = plant.where * float(tissue.sum()) * cell**2
    if total < 16:
        return ()
    placed: list[Polygon] = []
    y_px, x_px = (np.indices(tissue.shape) + 0.5) * cell
    for share in FOCI:
        radius = (total * share / np.pi) ** 0.5
        roomy = np.flatnonzero(free >= 0.9 * radius)
        spot = int(rng.choice(roomy)) if len(roomy) else int(np.argmax(free))
        centre = (float(x_px.flat[spot]), float(y_px.flat[spot]))
        shape = blob(rng, centre, total * share)
        if share == FOCI[0] and shape.area > 4e6:
            hole = _hole(rng, shape)
            shape = Polygon(shape.exterior, [] if hole is None else [hole.exterior])
        placed.append(shape)
        away = np.hypot(x_px - centre[0], y_px - centre[1]) - 1.35 * radius
        free = np.minimum(free, away.astype(np.float32))
    return merged(placed, scanned)


def _hole(rng: np.random.Generator, shape: Polygon) -> Polygon | None:
    """A spared island well inside a focus: what annotators draw as an exclusion."""
    centre = Point(shape.representative_point())
    reach = shape.exterior.distance(centre)
    area = min(0.02 * shape.area, np.pi * (0.45 * reach) ** 2)
    hole = blob(rng, (centre.x, centre.y), area)
    return hole if shape.buffer(-1).contains(hole) else None


def _follicles(
    rng: np.random.Generator, depth: Plane, planted_distance: Plane, cell: int, unit: float
) -> Plane:
    """Distance to the nearest germinal centre's border, from -700 px (far) upwards."""
    field = np.full(depth.shape, -700.0, np.float32)
    band = (depth > 750 * unit) & (depth < 3000 * unit) & (planted_distance > 900 * unit)
    spots = rng.permutation(np.flatnonzero(band))[:4000]
    warp = fractal_noise(rng, depth.shape, max(3.0, 420 * unit / cell), octaves=3)
    taken: list[tuple[float, float, float]] = []
    for spot in spots.tolist():
        y, x = divmod(spot, depth.shape[1])
        radius = rng.uniform(300, 720) * unit
        wanted = [radius + other + 650 * unit for _, _, other in taken]
        if any(
            np.hypot(y - oy, x - ox) * cell < gap
            for (oy, ox, _), gap in zip(taken, wanted, strict=True)
        ):
            continue
        taken.append((y, x, radius))
        reach = int((radius * 1.5 + 700) / cell) + 2
        rows = slice(max(0, y - reach), y + reach)
        columns = slice(max(0, x - reach), x + reach)
        yy, xx = np.mgrid[rows.start : min(rows.stop, depth.shape[0]),
                          columns.start : min(columns.stop, depth.shape[1])]  # fmt: skip
        local = radius * (1 + 0.2 * warp[rows, columns]) - np.hypot(yy - y, xx - x) * cell
        field[rows, columns] = np.maximum(field[rows, columns], local)
        if len(taken) >= 260:
            break
    return field
