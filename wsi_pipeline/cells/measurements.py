"""Measured shapes of one white cell. They are measurements: none says why a model decided so."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.cells import shapes
from wsi_pipeline.cells.finder import Box
from wsi_pipeline.cells.shapes import Mask, Window
from wsi_pipeline.cells.stains import Stains
from wsi_pipeline.cells.white_cells import AzureSettings, cell_masks

#: Names of the measurements, in the order of the table's columns.
SHAPES = (
    "area_red_cells",
    "nucleus_share",
    "nucleus_solidity",
    "lobes",
    "clefts",
    "holes",
    "holes_share",
)
#: A nucleus is divided into lobes where it is this much narrower than they are; in red-cell radii.
_WAIST = 0.12
#: A cleft goes in at least this deep from the convex hull of the nucleus; in red-cell diameters.
_CLEFT = 0.1
#: Areas of a hole, in areas of a red cell: smaller ones are noise, larger ones no vacuole.
_HOLE = (0.008, 0.15)
#: A hole is at least this much paler than the cell around it, in densities of a red cell.
_PALER = 0.25


@dataclass(frozen=True, slots=True)
class MeasuredCell:
    """One cell's masks, in a window of the field they were measured on, and what they say.

    Attributes:
        window: Rows and columns, in px of the stains.
        cell: Nucleus and cytoplasm.
        nucleus: All its parts.
        clefts: Where its convex hull is not filled, and deep.
        holes: Pale, round spots inside the cell.
        values: By the names of :data:`SHAPES`.
    """

    window: Window
    cell: Mask
    nucleus: Mask
    clefts: Mask
    holes: Mask
    values: dict[str, float]


def measure(stains: Stains, box: Box, side: float, settings: AzureSettings) -> MeasuredCell | None:
    """Measure a white cell; None where no nucleus is seen in its box.

    - ``area_red_cells``: area, in areas of the field's usual red cell.
    - ``nucleus_share``: nucleus over cell, 0-1.
    - ``nucleus_solidity``: area of the nucleus over that of its convex hull, 0-1.
    - ``lobes``: parts of the nucleus, divided at its waists too.
    - ``clefts``: how many bays of its hull go deep.
    - ``holes``, ``holes_share``: pale spots in the cell, as vacuoles are, and their share of it.

    Args:
        stains: Of the field.
        box: Of the cell, in px of the stains.
        side: Diameter of the usual red cell, px of the stains.
        settings: What a nucleus is.
    """
    found = cell_masks(stains, box, side, settings)
    if found is None:
        return None
    window, nucleus, cell = found
    area = np.pi / 4 * side**2
    hull = shapes.hull_of(nucleus)
    clefts = _clefts(hull, nucleus, side)
    holes = _holes(stains.density[window], cell, side)
    values = {
        "area_red_cells": cell.sum() / area,
        "nucleus_share": nucleus.sum() / cell.sum(),
        "nucleus_solidity": nucleus.sum() / hull.sum(),
        "lobes": float(_lobes(nucleus, side)),
        "clefts": float(shapes.labels_of(clefts).max()),
        "holes": float(shapes.labels_of(holes).max()),
        "holes_share": holes.sum() / cell.sum(),
    }
    rounded = {name: round(float(value), 4) for name, value in values.items()}
    return MeasuredCell(window, cell, nucleus, clefts, holes, rounded)


def _lobes(nucleus: Mask, side: float) -> int:
    padded = np.pad(nucleus, 1)
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(padded), 0.02 * side)
    seeds = shapes.maxima(distance, _WAIST * side / 2) & padded
    return max(1, int(shapes.labels_of(seeds).max()))


def _clefts(hull: Mask, nucleus: Mask, side: float) -> Mask:
    """Parts of the hull outside the nucleus that go in deep."""
    depth = ndimage.distance_transform_edt(np.pad(hull, 1))[1:-1, 1:-1]
    clefts = np.zeros_like(hull)
    for region in shapes.regions_of(shapes.labels_of(hull & ~nucleus)):
        if depth[region.rows, region.columns].max() >= _CLEFT * side:
            clefts[region.rows, region.columns] = True
    return clefts


def _holes(density: NDArray[np.float64], cell: Mask, side: float) -> Mask:
    """Pale spots whose whole border is in the cell (a filled reconstruction, Soille 2003)."""
    inside = np.where(cell, density, density[cell].max(initial=0.0))
    filled = shapes.filled(np.where(cell, inside, -np.inf))
    holes = np.zeros_like(cell)
    least, most = (share * np.pi / 4 * side**2 for share in _HOLE)
    for region in shapes.regions_of(shapes.labels_of(cell & (filled - inside > _PALER))):
        if least <= region.area <= most and region.solidity >= 0.8:
            holes[region.rows, region.columns] = True
    return holes


def mean_areas(cells: list[tuple[str, float]]) -> dict[str, float]:
    """Mean area of each class; only of those with three cells or more.

    Args:
        cells: Class and area of each whole cell.
    """
    areas: dict[str, list[float]] = {}
    for label, area in cells:
        areas.setdefault(label, []).append(area)
    return {label: float(np.mean(found)) for label, found in areas.items() if len(found) >= 3}
