"""Roundish outlines in a density image, also where they overlap: centres by votes of their edges.

Every px of an edge votes for all centres that lie inwards along its normal at a radius that is
possible, as in the circular Hough transform with gradient directions (Kimme, Ballard and Sklansky
1975; skimage's ``hough_circle`` uses no directions, and half of its votes go outwards). Around each
centre with many votes the edges whose normals pass near it are gathered by direction: how many
directions have one says how sure the outline is, and their distances give its box. Cells that
overlap have each its own edge, because densities add up there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.cells import shapes
from wsi_pipeline.cells.finder import Box

#: Directions around a centre in which an edge is looked for.
_DIRECTIONS = 24
#: Fewest directions with an edge.
_FEWEST = 5
#: An outline of which the field shows less is not counted as seen from more directions than this.
_LEAST_VISIBLE = 0.35


@dataclass(frozen=True, slots=True)
class DiscSettings:
    """How outlines are found; lengths in diameters of the usual red cell.

    Attributes:
        smallest: Least diameter.
        largest: Largest.
        blur: Standard deviation of the Gaussian before edges are looked for.
        edge: Least slope of an edge (Sobel), in densities of a red cell per px; with hysteresis
            from twice as much (Canny 1986).
        votes: Standard deviation of the Gaussian that gathers votes.
        apart: Centres are at least this far apart.
        towards: Least cosine between an edge's normal and the direction of the centre.
        spread: Distances that differ from their median by a larger share are of other outlines.
        seen: Least share of the visible directions that have an edge.
    """

    smallest: float = 0.65
    largest: float = 1.3
    blur: float = 0.035
    edge: float = 0.12
    votes: float = 0.12
    apart: float = 0.12
    towards: float = 0.9
    spread: float = 0.3
    seen: float = 0.45


@dataclass(frozen=True, slots=True)
class Disc:
    """One outline.

    Attributes:
        box: In px of the image; may reach over its border.
        seen: Share of the visible directions that have an edge, 0-1.
    """

    box: Box
    seen: float


@dataclass(frozen=True, slots=True)
class _Edges:
    """Edge px ``(n,)`` each, and the unit normals towards the denser side."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    towards_x: NDArray[np.float64]
    towards_y: NDArray[np.float64]


def find_discs(
    density: NDArray[np.float64],
    ignored: NDArray[np.bool_],
    side: float,
    settings: DiscSettings,
) -> list[Disc]:
    """Roundish outlines of what is denser than its surroundings, the surest first.

    One cell may have several: the caller chooses.

    Args:
        density: ``(height, width)``, about 1 in red cells.
        ignored: Edges there are not used.
        side: Diameter of the usual red cell, px.
        settings: Limits.
    """
    edges = _edges(density, ignored, side, settings)
    margin = round(0.3 * side)  # centres of cells that the border cuts may lie outside
    least, most = settings.smallest * side / 2, settings.largest * side / 2
    votes = _votes(edges, density.shape, least, most, margin)
    votes = ndimage.gaussian_filter(votes, settings.votes * side)
    peaks = shapes.peaks(votes, settings.apart * side)
    height, width = density.shape
    discs = []
    for row, column in peaks - margin:
        disc = _outline(edges, float(column), float(row), (least, most), (width, height), settings)
        if disc is not None and disc.seen >= settings.seen:
            discs.append(disc)
    return sorted(discs, key=lambda disc: (-disc.seen, disc.box.ymin, disc.box.xmin))


def _edges(
    density: NDArray[np.float64],
    ignored: NDArray[np.bool_],
    side: float,
    settings: DiscSettings,
) -> _Edges:
    blur = settings.blur * side
    slope_y, slope_x = np.gradient(ndimage.gaussian_filter(density, blur))
    edge = shapes.edges(density, blur, settings.edge)
    y, x = np.nonzero(edge & ~ignored)
    steep = np.maximum(np.hypot(slope_x, slope_y)[y, x], 1e-9)
    towards_x, towards_y = slope_x[y, x] / steep, slope_y[y, x] / steep
    return _Edges(x.astype(np.float64), y.astype(np.float64), towards_x, towards_y)


def _votes(
    edges: _Edges, shape: tuple[int, int], least: float, most: float, margin: int
) -> NDArray[np.float64]:
    height, width = (length + 2 * margin for length in shape)
    votes = np.zeros(height * width)
    for radius in np.arange(least, most):
        x = np.rint(edges.x + radius * edges.towards_x).astype(int) + margin
        y = np.rint(edges.y + radius * edges.towards_y).astype(int) + margin
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        votes += np.bincount(y[inside] * width + x[inside], minlength=height * width)
    return votes.reshape(height, width)


def _outline(
    edges: _Edges,
    x: float,
    y: float,
    radii: tuple[float, float],
    size: tuple[int, int],
    settings: DiscSettings,
) -> Disc | None:
    """The outline around a centre; None where too few directions have an edge."""
    angles = (np.arange(_DIRECTIONS) + 0.5) / _DIRECTIONS * 2 * np.pi - np.pi
    disc = None
    for _ in range(2):  # the second time from the middle of the first outline
        radius = _radii(edges, x, y, radii, settings)
        known = np.isfinite(radius)
        if known.sum() < _FEWEST:
            return None
        radius = np.where(known, radius, np.median(radius[known]))
        outline_x, outline_y = x + radius * np.cos(angles), y + radius * np.sin(angles)
        visible = (outline_x >= 0) & (outline_y >= 0)
        visible &= (outline_x < size[0]) & (outline_y < size[1])
        seen = (known & visible).sum() / max(visible.sum(), _DIRECTIONS * _LEAST_VISIBLE)
        # Edges lie between px, and px are squares: half a px on each side.
        left, right = outline_x.min(), outline_x.max() + 1
        top, bottom = outline_y.min(), outline_y.max() + 1
        disc = Disc(Box(float(left), float(top), float(right), float(bottom)), float(seen))
        x, y = (left + right - 1) / 2, (top + bottom - 1) / 2
    return disc


def _radii(
    edges: _Edges, x: float, y: float, radii: tuple[float, float], settings: DiscSettings
) -> NDArray[np.float64]:
    """The outline's distance in each direction, px; NaN where there is no edge."""
    across, down = edges.x - x, edges.y - y
    distance = np.hypot(across, down)
    inwards = -(across * edges.towards_x + down * edges.towards_y)
    fits = (distance > 0.8 * radii[0]) & (distance < 1.1 * radii[1])
    fits &= inwards > settings.towards * distance
    share = (np.arctan2(down[fits], across[fits]) + np.pi) / (2 * np.pi)
    direction = (share * _DIRECTIONS).astype(int) % _DIRECTIONS
    found = np.full(_DIRECTIONS, np.nan)
    for one in np.unique(direction):
        found[one] = np.median(distance[fits][direction == one])
    known = np.isfinite(found)
    if known.any():
        usual = np.median(found[known])
        found[known & (np.abs(found - usual) > settings.spread * usual)] = np.nan
    return found
