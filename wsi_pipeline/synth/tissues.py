"""Stain concentrations of each tissue of a lymph node, drawn on canvases that wrap."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from wsi_pipeline.synth.noise import Plane, enlarge, fractal_noise, value_noise
from wsi_pipeline.synth.nuclei import CellStyle, Points, draw, make_stamps, scatter

Canvas = npt.NDArray[np.float32]
"""float32 (2, side, side): haematoxylin and eosin concentration per px at 0.25 µm/px."""

LYMPHOCYTE = CellStyle(13.0, 0.09, haematoxylin=1.36, clumps=0.30, rim=0.18)
SMALL_LYMPHOCYTE = CellStyle(12.4, 0.07, haematoxylin=1.55, clumps=0.30, rim=0.2)
IMMUNOBLAST = CellStyle(
    19.0, 0.14, (1.0, 1.35), 0.05, haematoxylin=0.72, clumps=0.22, rim=0.55, grain=2.6, nucleoli=1
)
CENTROBLAST = CellStyle(
    17.0, 0.13, (1.0, 1.4), 0.07, haematoxylin=0.98, clumps=0.28, rim=0.4, grain=2.4, nucleoli=2
)
SPINDLE = CellStyle(
    11.0, 0.15, (4.0, 8.0), 0.05, haematoxylin=1.25, clumps=0.2, rim=0.1, softness=1.3
)
MACROPHAGE = CellStyle(
    44.0, 0.2, (1.0, 1.3), 0.08, haematoxylin=0.07, haematoxylin_spread=0.2, eosin=0.20,
    clumps=0.03, rim=0.0, grain=5.0, softness=4.0, opacity=0.92,
)  # fmt: skip
DEBRIS = CellStyle(5.0, 0.35, haematoxylin=1.9, clumps=0.1, rim=0.0)
#: Nuclei of dead cells: faded to an outline (karyolysis), or shrunk and dark (pyknosis).
GHOST = CellStyle(
    19.0, 0.2, (1.0, 1.5), 0.08, haematoxylin=0.20, haematoxylin_spread=0.3, eosin=0.80,
    clumps=0.05, rim=0.16, grain=3.0, softness=2.2, opacity=0.7,
)  # fmt: skip
PYKNOTIC = CellStyle(8.0, 0.3, (1.0, 1.6), 0.14, haematoxylin=1.7, eosin=0.6, clumps=0.1, rim=0.0)
TUMOUR_CYTOPLASM = CellStyle(
    38.0, 0.12, (1.0, 1.35), 0.07, haematoxylin=0.40, haematoxylin_spread=0.25, eosin=0.35,
    clumps=0.07, rim=0.10, grain=3.0, softness=2.0, opacity=0.9,
)  # fmt: skip
TUMOUR_VESICULAR = CellStyle(
    23.5, 0.17, (1.0, 1.5), 0.08, haematoxylin=0.78, haematoxylin_spread=0.2, eosin=0.22,
    clumps=0.27, rim=0.75, grain=3.2, nucleoli=3, softness=0.9,
)  # fmt: skip
TUMOUR_DARK = CellStyle(
    21.0, 0.26, (1.0, 1.8), 0.13, haematoxylin=1.45, haematoxylin_spread=0.12, eosin=0.3,
    clumps=0.34, rim=0.2, grain=3.4,
)  # fmt: skip


def _ground(rng: np.random.Generator, side: int, h: float, e: float, grain: float) -> Canvas:
    """An intercellular ground: a mottled wash of both stains."""
    fine = value_noise(rng, (side, side), 3.0)
    coarse = fractal_noise(rng, (side, side), grain, octaves=2)
    wash = 1 + 0.30 * coarse + 0.16 * fine
    return np.asarray(np.stack([h * wash, e * wash]).clip(0.0, 2.0), np.float32)


def _populate(
    rng: np.random.Generator,
    canvas: Canvas,
    points: Points,
    styles: list[tuple[CellStyle, float]],
    variants: int = 24,
) -> None:
    """Draw at every point a cell of one of the styles, chosen by weight."""
    stamps = []
    chances: list[float] = []
    for style, weight in styles:
        made = make_stamps(rng, style, max(4, round(variants * min(1.0, weight * 2))))
        stamps += made
        chances += [weight / len(made)] * len(made)
    share = np.asarray(chances)
    draw(canvas, points, stamps, rng.choice(len(stamps), len(points), p=share / share.sum()))


def _thinned(rng: np.random.Generator, low: float, cell: float) -> Plane:
    """A coarse density plane between ``low`` and 1, ``cell`` in 1/64 of the torus."""
    chance = 1 - (1 - low) * (0.5 + 0.5 * value_noise(rng, (64, 64), cell))
    return chance.clip(low, 1.0).astype(np.float32)


def cortex(rng: np.random.Generator, side: int) -> Canvas:
    """Densely packed small lymphocytes."""
    canvas = _ground(rng, side, 0.17, 0.30, 28.0)
    points = scatter(rng, side, 29.5, density=_thinned(rng, 0.86, 3.0))
    _populate(rng, canvas, points, [(LYMPHOCYTE, 0.93), (IMMUNOBLAST, 0.05), (CENTROBLAST, 0.02)])
    return canvas


def mantle(rng: np.random.Generator, side: int) -> Canvas:
    """The dark ring of a follicle: the smallest lymphocytes, packed tightest."""
    canvas = _ground(rng, side, 0.2, 0.25, 24.0)
    _populate(
        rng, canvas, scatter(rng, side, 26.5), [(SMALL_LYMPHOCYTE, 0.98), (CENTROBLAST, 0.02)]
    )
    return canvas


def germinal(rng: np.random.Generator, side: int) -> Canvas:
    """A germinal centre: larger paler cells, with macrophages as a starry sky."""
    canvas = _ground(rng, side, 0.24, 0.48, 30.0)
    points = scatter(rng, side, 37.0)
    _populate(rng, canvas, points, [(CENTROBLAST, 0.75), (IMMUNOBLAST, 0.13), (LYMPHOCYTE, 0.12)])
    stars = scatter(rng, side, 300.0)
    _populate(rng, canvas, stars, [(MACROPHAGE, 1.0)])
    near = np.repeat(stars, 4, axis=0) + rng.normal(0.0, 13.0, (4 * len(stars), 2))
    _populate(rng, canvas, near % side, [(DEBRIS, 0.7), (IMMUNOBLAST, 0.3)])
    return canvas


def paracortex(rng: np.random.Generator, side: int) -> Canvas:
    """Looser T-cell zone: lymphocytes among paler large cells and small vessels."""
    canvas = _ground(rng, side, 0.17, 0.46, 40.0)
    points = scatter(rng, side, 32.5, density=_thinned(rng, 0.78, 2.0))
    _populate(
        rng, canvas, points, [(LYMPHOCYTE, 0.80), (IMMUNOBLAST, 0.13), (SPINDLE, 0.03),
        (CENTROBLAST, 0.04)],
    )  # fmt: skip
    return canvas


def sinus(rng: np.random.Generator, side: int) -> Canvas:
    """A sinus: near-empty pale lumen with strands, scattered lymphocytes and histiocytes."""
    strands = np.abs(fractal_noise(rng, (side, side), 46.0, octaves=3))
    web = np.clip(0.42 - strands, 0.0, 0.42) * 0.9
    canvas = np.stack([0.03 + 0.12 * web, 0.07 + web]).astype(np.float32)
    loose = scatter(rng, side, 105.0)
    _populate(rng, canvas, loose, [(MACROPHAGE, 1.0)])
    _populate(rng, canvas, loose + rng.normal(0.0, 8.0, loose.shape), [(IMMUNOBLAST, 1.0)])
    _populate(rng, canvas, scatter(rng, side, 58.0), [(LYMPHOCYTE, 0.9), (SPINDLE, 0.1)])
    return canvas


def _fibres(rng: np.random.Generator, side: int) -> tuple[Plane, Plane]:
    """Wavy fibres running along x, and the slope dy/dx of their course."""
    shape = (side, side)
    course: Plane = np.float32(46.0) * fractal_noise(rng, shape, 420.0, octaves=2)
    rows = np.arange(side)[:, None] + np.rint(course).astype(np.intp)
    columns = np.broadcast_to(np.arange(side)[None, :], shape)
    bundles = value_noise(rng, shape, (26.0, 420.0)) + 0.8 * value_noise(rng, shape, (9.0, 200.0))
    bundles += 0.5 * value_noise(rng, shape, (4.0, 90.0))
    slope = (np.roll(course, -8, axis=1) - np.roll(course, 8, axis=1)) / 16
    bent = (bundles / bundles.std())[rows % side, columns]
    return bent.astype(np.float32), (-slope).astype(np.float32)


def stroma(rng: np.random.Generator, side: int) -> Canvas:
    """Collagen: pink wavy fibres with pale clefts and thin dark spindle nuclei along them."""
    fibres, slope = _fibres(rng, side)
    eosin = np.clip(0.56 + 0.17 * fibres, 0.04, 1.1)
    eosin[fibres < -1.5] *= 0.3
    canvas = np.stack([0.07 + 0.03 * np.clip(fibres, 0, 2), eosin]).astype(np.float32)
    points = scatter(rng, side, 78.0)
    bins = 24
    stamps = []
    for angle in np.linspace(-np.pi / 4, np.pi / 4, bins):
        style = CellStyle(
            9.0, 0.18, (3.5, 8.0), 0.05, haematoxylin=1.2, clumps=0.2, rim=0.1,
            softness=1.2, angle=float(angle),
        )  # fmt: skip
        stamps += make_stamps(rng, style, 8)
    rows, columns = (points.astype(np.intp) % side).T
    angle_bin = (np.arctan(slope[rows, columns]) / (np.pi / 2) + 0.5) * (bins - 1)
    choice = np.rint(angle_bin).astype(np.intp).clip(0, bins - 1) * 8
    draw(canvas, points, stamps, choice + rng.integers(0, 8, len(points)))
    _populate(rng, canvas, scatter(rng, side, 240.0), [(LYMPHOCYTE, 1.0)])
    return canvas


def _walls(rng: np.random.Generator, side: int, pitch: float, scale: int) -> Plane:
    """Distance in px to the nearest wall between random convex cells, ``scale`` px per sample."""
    seeds = scatter(rng, side, pitch)
    axis = (np.arange(side // scale) + 0.5) * scale
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    near, _ = cKDTree(seeds, boxsize=side).query(grid, k=2)
    gap = ((near[:, 1] - near[:, 0]) / 2).reshape(len(axis), len(axis)).astype(np.float32)
    return enlarge(gap, (side, side))


def fat(rng: np.random.Generator, side: int) -> Canvas:
    """Fat: large empty vacuoles between thin pink membranes, with flat nuclei here and there."""
    gap = _walls(rng, side, 215.0, 4) + 2.0 * value_noise(rng, (side, side), 60.0)
    wall = np.clip(1.15 - gap / 7.0, 0.0, 1.0)
    corner = value_noise(rng, (side, side), 8.0)
    eosin = wall * (0.42 + 0.08 * corner)
    canvas = np.stack([0.02 + 0.05 * wall, 0.015 + eosin]).astype(np.float32)
    candidates = scatter(rng, side, 60.0)
    rows, columns = (candidates.astype(np.intp) % side).T
    flat = candidates[(gap[rows, columns] < 4.0) & (rng.random(len(candidates)) < 0.6)]
    _populate(rng, canvas, flat, [(SPINDLE, 0.8), (LYMPHOCYTE, 0.2)])
    return canvas


def tumour(rng: np.random.Generator, side: int) -> Canvas:
    """Carcinoma: nests of large, irregular, vesicular nuclei with nucleoli in broad cytoplasm."""
    fibres, _ = _fibres(rng, side)
    canvas = np.stack([0.16 + 0.05 * np.clip(fibres, 0, 2), np.clip(0.42 + 0.13 * fibres, 0.1, 1)])
    canvas = canvas.astype(np.float32)
    septum = 13.0 + 9.0 * value_noise(rng, (side, side), 300.0)
    gap = _walls(rng, side, 430.0, 8) - septum
    points = scatter(rng, side, 56.0)
    rows, columns = (points.astype(np.intp) % side).T
    depth = gap[rows, columns]
    nest = points[depth > 6.0]
    between = points[depth <= 6.0]
    between = np.concatenate([between, (between + rng.normal(0, 22, between.shape)) % side])
    _populate(rng, canvas, between, [(SPINDLE, 0.45), (LYMPHOCYTE, 0.55)])
    _populate(rng, canvas, nest, [(TUMOUR_CYTOPLASM, 1.0)])
    shifted = (nest + rng.normal(0.0, 3.0, nest.shape)) % side
    mix = [(TUMOUR_VESICULAR, 0.78), (TUMOUR_DARK, 0.22)]
    _populate(rng, canvas, shifted, mix, variants=60)
    guests = scatter(rng, side, 210.0)
    _populate(rng, canvas, guests, [(SMALL_LYMPHOCYTE, 1.0)])
    return canvas


def necrosis(rng: np.random.Generator, side: int) -> Canvas:
    """Dead tissue: granular and strongly pink, ghosts of nuclei, patches of dark nuclear dust."""
    shape = (side, side)
    granules = value_noise(rng, shape, 5.0) + 0.7 * value_noise(rng, shape, 11.0)
    clouds = fractal_noise(rng, shape, 160.0, octaves=3)
    eosin = np.clip(0.92 + 0.10 * granules + 0.13 * clouds, 0.35, 1.6)
    canvas = np.stack([np.clip(0.09 + 0.03 * granules, 0, 1), eosin]).astype(np.float32)
    _populate(rng, canvas, scatter(rng, side, 95.0), [(GHOST, 1.0)])
    # Dust lies in swarms: the remains of cells that died together.
    swarms = scatter(rng, side, 360.0)
    dust = np.repeat(swarms, 22, axis=0)
    dust = (dust + rng.normal(0.0, 62.0, dust.shape)) % side
    _populate(rng, canvas, dust, [(DEBRIS, 0.75), (PYKNOTIC, 0.25)])
    return canvas


def mucin(rng: np.random.Generator, side: int) -> Canvas:
    """Mucin: pale blue-grey pools with streaks, few floating cells, thin pink septa between."""
    shape = (side, side)
    streaks = fractal_noise(rng, shape, 120.0, octaves=4)
    web = np.clip(0.30 - np.abs(streaks), 0.0, 0.30)
    # Dark enough that every px counts as tissue, whichever the stain.
    h = np.clip(0.34 + 0.42 * web + 0.02 * value_noise(rng, shape, 3.0), 0.3, 1.0)
    e = np.clip(0.07 + 0.08 * web, 0.0, 1.0)
    gap = _walls(rng, side, min(600.0, side / 3), 8) + 7.0 * value_noise(rng, shape, 90.0)
    wall = np.clip(1.3 - gap / 14.0, 0.0, 1.0)
    canvas = np.stack([h + wall * (0.14 - h), e + wall * (0.62 - e)]).astype(np.float32)
    points = scatter(rng, side, 60.0)
    rows, columns = (points.astype(np.intp) % side).T
    _populate(rng, canvas, points[gap[rows, columns] < 10.0], [(SPINDLE, 0.8), (LYMPHOCYTE, 0.2)])
    nests = scatter(rng, side, 420.0)
    cells = (np.repeat(nests, 5, axis=0) + rng.normal(0.0, 24.0, (5 * len(nests), 2))) % side
    _populate(rng, canvas, cells, [(TUMOUR_CYTOPLASM, 1.0)])
    _populate(rng, canvas, cells, [(TUMOUR_DARK, 1.0)])
    return canvas


def glass(rng: np.random.Generator, side: int) -> Canvas:
    """Empty glass with the camera's faint noise."""
    noise = 0.006 * np.abs(value_noise(rng, (side, side), 1.5))
    return np.stack([noise, noise]).astype(np.float32)


#: Each tissue's painter and the side in px of its canvas at 0.25 µm/px.
PAINTERS: dict[str, tuple[Callable[[np.random.Generator, int], Canvas], int]] = {
    "glass": (glass, 1024),
    "cortex": (cortex, 4096),
    "paracortex": (paracortex, 3072),
    "mantle": (mantle, 2048),
    "germinal": (germinal, 2048),
    "sinus": (sinus, 2048),
    "stroma": (stroma, 2048),
    "fat": (fat, 2048),
    "tumour": (tumour, 4096),
    "necrosis": (necrosis, 2048),
    "mucin": (mucin, 2048),
}
