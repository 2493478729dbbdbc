"""Cells of many kinds as small stain stamps, packed and drawn on canvases that wrap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from wsi_pipeline.synth.noise import Plane

Points = npt.NDArray[np.float64]
"""float64 (n, 2): y and x in px."""


@dataclass(frozen=True, slots=True)
class CellStyle:
    """What one kind of nucleus (or cytoplasm) looks like. Lengths in px at 0.25 µm/px."""

    #: Mean radius and its relative spread (log-normal).
    radius: float
    spread: float = 0.08
    #: Range of long over short axis.
    elongation: tuple[float, float] = (1.0, 1.15)
    #: Amplitude of the outline's irregularity, relative to the radius.
    irregularity: float = 0.04
    #: Haematoxylin inside, and its spread from cell to cell.
    haematoxylin: float = 1.5
    haematoxylin_spread: float = 0.12
    #: Eosin inside.
    eosin: float = 0.25
    #: Extra haematoxylin in the chromatin's clumps and at the membrane.
    clumps: float = 0.25
    rim: float = 0.15
    #: Feature size of the clumps in px.
    grain: float = 2.2
    #: Largest number of nucleoli.
    nucleoli: int = 0
    #: How opaque the stamp is and how soft its edge is, in px.
    opacity: float = 1.0
    softness: float = 1.0
    #: Direction of the long axis in radians; random if ``None``.
    angle: float | None = None


@dataclass(frozen=True, slots=True)
class Stamp:
    """One drawn cell: ``alpha`` float32 (s, s) and ``stain`` float32 (2, s, s), H then E."""

    alpha: Plane
    stain: npt.NDArray[np.float32]


def make_stamp(rng: np.random.Generator, style: CellStyle) -> Stamp:
    """Draw one random cell of a style."""
    radius = style.radius * float(np.exp(rng.normal(0.0, style.spread)))
    ratio = rng.uniform(*style.elongation) ** 0.5
    angle = style.angle if style.angle is not None else rng.uniform(0.0, np.pi)
    half = int(np.ceil(radius * ratio * (1 + 2.5 * style.irregularity) + 2 * style.softness)) + 1
    axis = np.arange(-half, half + 1, dtype=np.float64)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    along = (x * np.cos(angle) + y * np.sin(angle)) / ratio
    across = (-x * np.sin(angle) + y * np.cos(angle)) * ratio
    theta = np.arctan2(across, along)
    outline = np.ones_like(theta)
    for wave in range(2, 6):
        strength = style.irregularity * rng.normal() * (2.0 / wave)
        outline += strength * np.cos(wave * theta + rng.uniform(0, 2 * np.pi))
    # Signed distance to the outline, px, positive inside.
    inside = radius * np.clip(outline, 0.5, 1.5) - np.hypot(along, across)
    alpha = style.opacity * np.clip(0.5 + inside / (2 * style.softness), 0.0, 1.0)
    grain = gaussian_filter(rng.standard_normal(inside.shape), style.grain)
    grain /= grain.std() or 1.0
    level = style.haematoxylin * (1 + rng.normal(0.0, style.haematoxylin_spread))
    h = level + style.clumps * np.clip(grain, -1.2, 2.0)
    h += style.rim * np.exp(-(((inside - 1.5) / 1.6) ** 2))
    for _ in range(int(rng.integers(0, style.nucleoli + 1)) if style.nucleoli else 0):
        place, turn = radius * 0.5 * rng.random() ** 0.5, rng.uniform(0, 2 * np.pi)
        size = rng.uniform(0.13, 0.22) * radius
        spot = np.hypot(x - place * np.cos(turn), y - place * np.sin(turn))
        h += 0.75 * np.clip(size + 0.8 - spot, 0.0, 1.6) / 1.6
    e = np.full_like(h, style.eosin) + 0.05 * grain
    stain = np.clip(np.stack([h, e]), 0.0, 2.6).astype(np.float32)
    return Stamp(alpha.astype(np.float32), stain)


def make_stamps(rng: np.random.Generator, style: CellStyle, count: int) -> list[Stamp]:
    """Draw ``count`` random cells, each also mirrored and turned: eight stamps from one."""
    stamps: list[Stamp] = []
    for _ in range(count):
        stamp = make_stamp(rng, style)
        if style.angle is not None:
            stamps.append(stamp)
            continue
        for turns in range(4):
            alpha = np.rot90(stamp.alpha, turns)
            stain = np.rot90(stamp.stain, turns, axes=(1, 2))
            stamps += [
                Stamp(
                    np.ascontiguousarray(alpha[:, ::flip]),
                    np.ascontiguousarray(stain[:, :, ::flip]),
                )
                for flip in (1, -1)
            ]
    return stamps


def scatter(
    rng: np.random.Generator, side: int, pitch: float, *, density: Plane | None = None
) -> Points:
    """Pack points on a torus so that few are much closer than ``pitch``.

    Args:
        rng: Source of randomness; consumed.
        side: The torus's side in px.
        pitch: Wanted distance in px: there is about one point per ``pitch ** 2``.
        density: Optional float32 (n, n) over the torus; the chance to keep a point, 0-1.

    Returns:
        float64 (n, 2): y, x in [0, side).
    """
    # A jittered grid: even enough that a few pushes settle it, too jittered to show its rows.
    rows = max(1, round(side / pitch))
    grid = np.stack(np.meshgrid(np.arange(rows), np.arange(rows), indexing="ij"), axis=-1)
    points = (grid.reshape(-1, 2) + rng.uniform(-0.2, 1.2, (rows * rows, 2))) * (side / rows)
    points %= side
    count = len(points)
    if density is not None:
        scale = density.shape[0] / side
        cells = (points * scale).astype(np.intp) % density.shape[0]
        points = points[rng.random(count) < density[cells[:, 0], cells[:, 1]]]
    for _ in range(9):
        pairs = cKDTree(points, boxsize=side).query_pairs(pitch, output_type="ndarray")
        if not len(pairs):
            break
        # Sorted: the order of the sums below must not depend on the tree.
        pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
        offset = points[pairs[:, 0]] - points[pairs[:, 1]]
        offset -= side * np.round(offset / side)
        distance = np.maximum(np.hypot(offset[:, 0], offset[:, 1]), 1e-3)
        push = offset * (0.28 * (pitch - distance) / distance)[:, None]
        for axis in range(2):
            points[:, axis] += np.bincount(pairs[:, 0], push[:, axis], len(points))
            points[:, axis] -= np.bincount(pairs[:, 1], push[:, axis], len(points))
        points %= side
    return points % side


def draw(
    canvas: npt.NDArray[np.float32],
    points: Points,
    stamps: Sequence[Stamp],
    choice: npt.NDArray[np.integer],
) -> None:
    """Lay stamps over a wrapping canvas, one after the other.

    Args:
        canvas: float32 (2, side, side), haematoxylin and eosin; changed in place.
        points: Centres, y and x in px.
        stamps: The cells to choose from.
        choice: One index into ``stamps`` per point.
    """
    side = canvas.shape[1]
    corners = np.rint(points).astype(np.intp)
    for (y, x), index in zip(corners.tolist(), choice.tolist(), strict=True):
        stamp = stamps[index]
        half = stamp.alpha.shape[0] // 2
        top, left, bottom, right = y - half, x - half, y + half + 1, x + half + 1
        if top >= 0 and left >= 0 and bottom <= side and right <= side:
            area = canvas[:, top:bottom, left:right]
            area += stamp.alpha * (stamp.stain - area)
        else:
            rows = np.arange(top, bottom)[:, None] % side
            columns = np.arange(left, right)[None, :] % side
            under = canvas[:, rows, columns]
            canvas[:, rows, columns] = under + stamp.alpha * (stamp.stain - under)
